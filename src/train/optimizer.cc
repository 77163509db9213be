#include "train/optimizer.h"

#include <array>
#include <cmath>

#include "base/check.h"

namespace tidar {

namespace {

// Elements that are worked on at a time: sums of chunks do not depend on who makes them.
constexpr int64_t kChunk = 1 << 14;

int64_t elements(const Matrix& matrix) {
  TIDAR_CHECK_EQ(matrix.stride, matrix.cols);
  return matrix.rows * matrix.cols;
}

// A stretch of one parameter.
struct Chunk {
  size_t parameter = 0;
  int64_t begin = 0, end = 0;
};

std::vector<Chunk> cut(const Parameters& parameters) {
  std::vector<Chunk> chunks;
  for (size_t p = 0; p < parameters.all().size(); ++p) {
    const int64_t count = elements(parameters.all()[p].value);
    for (int64_t begin = 0; begin < count; begin += kChunk) {
      chunks.push_back({p, begin, std::min(begin + kChunk, count)});
    }
  }
  return chunks;
}

// Sums in eight lanes, which vector registers hold and a chain of additions does not hold up.
template <class T>
double sum_of_squares(const T* values, int64_t count) {
  constexpr int64_t kLanes = 8;
  std::array<double, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = static_cast<double>(values[i + lane]);
      lanes[static_cast<size_t>(lane)] += value * value;
    }
  }
  for (; i < count; ++i)
    lanes[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

// The factors of one update.
struct Factors {
  float scale;         // of gradients
  float keep1, take1;  // beta1, 1 - beta1
  float keep2, take2;  // beta2, 1 - beta2
  float step;          // rate / (1 - beta1^t)
  float root;          // 1 / sqrt(1 - beta2^t)
  float epsilon;
  float decay;  // rate * weight decay
};

struct Elements {
  float* __restrict weight;
  float* __restrict first;
  float* __restrict second;
};

template <class T>
void update_chunk(const Factors& by, const T* __restrict gradient, const Elements& to,
                  int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = by.scale * static_cast<float>(gradient[i]);
    const float first = by.keep1 * to.first[i] + by.take1 * g;
    const float second = by.keep2 * to.second[i] + by.take2 * (g * g);
    to.first[i] = first;
    to.second[i] = second;
    to.weight[i] -=
        by.step * first / (std::sqrt(second) * by.root + by.epsilon) + by.decay * to.weight[i];
  }
}

// Calls f(first element) with the gradient's own type.
template <class F>
void with_gradient(const Matrix& gradient, F&& f) {
  if (gradient.dtype == DType::f64) return f(gradient.row<double>(0));
  TIDAR_CHECK(gradient.dtype == DType::f32);
  f(gradient.row<float>(0));
}

}  // namespace

double gradient_norm(const Parameters& parameters, Threads& threads) {
  const std::vector<Chunk> chunks = cut(parameters);
  std::vector<double> sums(chunks.size());
  threads.split(static_cast<int64_t>(chunks.size()), 1, [&](Range range, int) {
    for (int64_t i = range.begin; i < range.end; ++i) {
      const Chunk& chunk = chunks[static_cast<size_t>(i)];
      with_gradient(parameters.all()[chunk.parameter].gradient, [&](const auto* values) {
        sums[static_cast<size_t>(i)] =
            sum_of_squares(values + chunk.begin, chunk.end - chunk.begin);
      });
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

double clip_scale(double norm, double limit) {
  return limit > 0 && norm > limit ? limit / norm : 1;
}

AdamW::AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads)
    : options_(options),
      threads_(threads),
      memory_(static_cast<size_t>(parameters.count()) * 2 * sizeof(float)) {
  float* at = memory_.as<float>();
  for (const Parameter& parameter : parameters.all()) {
    const Matrix& value = parameter.value;
    const int64_t count = elements(value);
    moments_.push_back({Matrix(at, DType::f32, value.rows, value.cols),
                        Matrix(at + count, DType::f32, value.rows, value.cols)});
    at += 2 * count;
  }
}

void AdamW::update(Parameters& parameters, double rate, double gradient_scale) {
  TIDAR_CHECK_EQ(parameters.all().size(), moments_.size());
  ++updates_;
  const auto t = static_cast<double>(updates_);
  const double step = rate / (1 - std::pow(options_.beta1, t));
  const double root = 1 / std::sqrt(1 - std::pow(options_.beta2, t));
  const auto f32 = [](double value) { return static_cast<float>(value); };
  const Factors factors = {.scale = f32(gradient_scale),
                           .keep1 = f32(options_.beta1),
                           .take1 = f32(1 - options_.beta1),
                           .keep2 = f32(options_.beta2),
                           .take2 = f32(1 - options_.beta2),
                           .step = f32(step),
                           .root = f32(root),
                           .epsilon = f32(options_.epsilon),
                           .decay = f32(rate * options_.weight_decay)};
  const std::vector<Chunk> chunks = cut(parameters);
  threads_.split(static_cast<int64_t>(chunks.size()), 1, [&](Range range, int) {
    for (int64_t i = range.begin; i < range.end; ++i) {
      const Chunk& chunk = chunks[static_cast<size_t>(i)];
      const Parameter& parameter = parameters.all()[chunk.parameter];
      const Moments& moments = moments_[chunk.parameter];
      Factors own = factors;
      if (parameter.spec.shape.size() < 2) own.decay = 0;
      const Elements to = {parameter.value.row<float>(0) + chunk.begin,
                           moments.first.row<float>(0) + chunk.begin,
                           moments.second.row<float>(0) + chunk.begin};
      with_gradient(parameter.gradient, [&](const auto* gradient) {
        update_chunk(own, gradient + chunk.begin, to, chunk.end - chunk.begin);
      });
    }
  });
}

}  // namespace tidar
