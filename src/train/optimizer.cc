#include "train/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

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
  int64_t moment = 0;  // index of the first one's moment among those of the shard
};

/// All of the shard.
std::vector<Chunk> cut(const Parameters& parameters, const Shard& shard) {
  std::vector<Chunk> chunks;
  int64_t at = 0;  // elements before the parameter, of those that are not frozen
  for (size_t p = 0; p < parameters.all().size(); ++p) {
    if (parameters.all()[p].frozen()) continue;
    const int64_t count = elements(parameters.all()[p].value);
    int64_t moment = 0;  // elements of the shard's ranges so far
    for (const Range& range : shard) {
      const int64_t from = std::max<int64_t>(range.begin - at, 0);
      const int64_t to = std::min(range.end - at, count);
      for (int64_t begin = from; begin < to; begin += kChunk) {
        const int64_t end = std::min(begin + kChunk, to);
        chunks.push_back({p, begin, end, moment + at + begin - range.begin});
      }
      moment += range.size();
    }
    at += count;
  }
  return chunks;
}

int64_t elements(const Shard& shard) {
  int64_t count = 0;
  for (const Range& range : shard) count += range.size();
  return count;
}

/// Views of moments that stand one after another.
std::vector<AdamMoments> views_of(const Parameters& parameters, float* first, float* second) {
  std::vector<AdamMoments> moments;
  for (const Parameter& parameter : parameters.all()) {
    const Matrix& value = parameter.value;
    const bool frozen = parameter.frozen();
    moments.push_back({Matrix(frozen ? nullptr : first, DType::f32, value.rows, value.cols),
                       Matrix(frozen ? nullptr : second, DType::f32, value.rows, value.cols)});
    if (frozen) continue;
    first += elements(value);
    second += elements(value);
  }
  return moments;
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

double gradient_squares(const Parameters& parameters, const Shard& shard, Threads& threads) {
  const std::vector<Chunk> chunks = cut(parameters, shard);
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
  return total;
}

double gradient_norm(const Parameters& parameters, Threads& threads) {
  return std::sqrt(gradient_squares(parameters, whole_shard(parameters), threads));
}

Shard whole_shard(const Parameters& parameters) {
  int64_t count = 0;
  for (const Parameter& parameter : parameters.all()) {
    if (!parameter.frozen()) count += elements(parameter.value);
  }
  return {{0, count}};
}

double clip_scale(double norm, double limit) {
  return limit > 0 && norm > limit ? limit / norm : 1;
}

AdamW::AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads,
             std::vector<ParameterUpdate> own)
    : AdamW(parameters, options, threads, std::move(own), whole_shard(parameters)) {
  float* const first = memory_.as<float>();
  moments_ = views_of(parameters, first, first + elements(shard_));
}

AdamW::AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads,
             std::vector<ParameterUpdate> own, Shard shard)
    : options_(options),
      own_(std::move(own)),
      threads_(threads),
      shard_(std::move(shard)),
      memory_(static_cast<size_t>(elements(shard_)) * 2 * sizeof(float)) {
  own_.resize(parameters.all().size());
}

AllMoments AdamW::all_moments(const Parameters& parameters) const {
  const auto count = static_cast<size_t>(elements(whole_shard(parameters)));
  AllMoments all;
  all.memory = Buffer(count * 2 * sizeof(float));
  float* const first = all.memory.as<float>();
  all.first = {first, count};
  all.second = {first + count, count};
  all.of_parameters = views_of(parameters, first, first + count);
  const float* from = memory_.as<float>();
  for (const std::span<float> to : {all.first, all.second}) {
    for (const Range& range : shard_) {
      std::copy_n(from, range.size(), to.begin() + range.begin);
      from += range.size();
    }
  }
  return all;
}

void AdamW::take(const AllMoments& all) {
  float* to = memory_.as<float>();
  for (const std::span<float> from : {all.first, all.second}) {
    for (const Range& range : shard_) {
      to = std::copy(from.begin() + range.begin, from.begin() + range.end, to);
    }
  }
}

void AdamW::update(Parameters& parameters, double rate, double gradient_scale) {
  TIDAR_CHECK_EQ(parameters.all().size(), own_.size());
  ++updates_;
  const auto t = static_cast<double>(updates_);
  const double warm = 1 - std::pow(options_.beta1, t);
  const double root = 1 / std::sqrt(1 - std::pow(options_.beta2, t));
  const auto f32 = [](double value) { return static_cast<float>(value); };
  const Factors factors = {.scale = f32(gradient_scale),
                           .keep1 = f32(options_.beta1),
                           .take1 = f32(1 - options_.beta1),
                           .keep2 = f32(options_.beta2),
                           .take2 = f32(1 - options_.beta2),
                           .step = 0,
                           .root = f32(root),
                           .epsilon = f32(options_.epsilon),
                           .decay = 0};
  const std::vector<Chunk> chunks = cut(parameters, shard_);
  float* const first = memory_.as<float>();
  float* const second = first + elements(shard_);
  threads_.split(static_cast<int64_t>(chunks.size()), 1, [&](Range range, int) {
    for (int64_t i = range.begin; i < range.end; ++i) {
      const Chunk& chunk = chunks[static_cast<size_t>(i)];
      const Parameter& parameter = parameters.all()[chunk.parameter];
      const ParameterUpdate& its = own_[chunk.parameter];
      const bool decays = its.decays && parameter.spec.shape.size() == 2;
      Factors own = factors;
      own.step = f32(rate * its.rate / warm);
      own.decay = decays ? f32(rate * its.rate * options_.weight_decay) : 0;
      const Elements to = {parameter.value.row<float>(0) + chunk.begin, first + chunk.moment,
                           second + chunk.moment};
      with_gradient(parameter.gradient, [&](const auto* gradient) {
        update_chunk(own, gradient + chunk.begin, to, chunk.end - chunk.begin);
      });
    }
  });
}

}  // namespace tidar
