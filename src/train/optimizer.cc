#include "train/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace tidar {

namespace {

// Elements that are worked on at a time: sums of chunks do not depend on who makes them. Whole
// blocks of moments.
constexpr int64_t kChunk = 1 << 14;
static_assert(kChunk % kMomentBlock == 0);

int64_t elements(const Matrix& matrix) {
  TIDAR_CHECK_EQ(matrix.stride, matrix.cols);
  return matrix.rows * matrix.cols;
}

// A stretch of one parameter.
struct Chunk {
  size_t parameter = 0;
  int64_t begin = 0, end = 0;
};

/// All of the shard.
std::vector<Chunk> cut(const Parameters& parameters, const Shard& shard) {
  std::vector<Chunk> chunks;
  int64_t at = 0;  // elements before the parameter, of those that are not frozen
  for (size_t p = 0; p < parameters.all().size(); ++p) {
    if (parameters.all()[p].frozen()) continue;
    const int64_t count = elements(parameters.all()[p].value);
    for (const Range& range : shard) {
      const int64_t from = std::max<int64_t>(range.begin - at, 0);
      const int64_t to = std::min(range.end - at, count);
      for (int64_t begin = from; begin < to; begin += kChunk) {
        chunks.push_back({p, begin, std::min(begin + kChunk, to)});
      }
    }
    at += count;
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

/// Likewise, of a block whose moments are codes.
template <class T>
void update_block(const Factors& by, const MomentCodes& codes, const T* gradient, float* weights,
                  const Moments::Block& block, int64_t count) {
  std::array<float, kMomentBlock> first, second;
  const auto firsts = std::span(first).first(static_cast<size_t>(count));
  const auto seconds = std::span(second).first(static_cast<size_t>(count));
  codes.first.decode(block.first_codes, *block.first_scale, firsts);
  codes.second.decode(block.second_codes, *block.second_scale, seconds);
  update_chunk(by, gradient, {weights, first.data(), second.data()}, count);
  *block.first_scale = codes.first.encode(firsts, block.first_codes);
  *block.second_scale = codes.second.encode(seconds, block.second_codes);
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

double clip_scale(double norm, double limit) {
  return limit > 0 && norm > limit ? limit / norm : 1;
}

AdamW::AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads,
             std::vector<ParameterUpdate> own, std::optional<Shard> shard)
    : options_(options),
      own_(std::move(own)),
      threads_(threads),
      shard_(shard ? std::move(*shard) : whole_shard(parameters)),
      moments_(parameters, shard_, options.moments) {
  if (own_.empty()) own_.resize(parameters.all().size());
  TIDAR_CHECK_EQ(own_.size(), parameters.all().size());
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
  threads_.split(static_cast<int64_t>(chunks.size()), 1, [&](Range range, int) {
    for (int64_t i = range.begin; i < range.end; ++i) {
      const Chunk& chunk = chunks[static_cast<size_t>(i)];
      const Parameter& parameter = parameters.all()[chunk.parameter];
      const ParameterUpdate& its = own_[chunk.parameter];
      const bool decays = its.decays && parameter.spec.shape.size() == 2;
      Factors own = factors;
      own.step = f32(rate * its.rate / warm);
      own.decay = decays ? f32(rate * its.rate * options_.weight_decay) : 0;
      float* const weights = parameter.value.row<float>(0);
      with_gradient(parameter.gradient, [&](const auto* gradient) {
        if (!moments_.has_codes(chunk.parameter)) {
          const Elements to = {weights + chunk.begin, moments_.first(chunk.parameter, chunk.begin),
                               moments_.second(chunk.parameter, chunk.begin)};
          return update_chunk(own, gradient + chunk.begin, to, chunk.end - chunk.begin);
        }
        for (int64_t at = chunk.begin; at < chunk.end; at += kMomentBlock) {
          update_block(own, codes_, gradient + at, weights + at,
                       moments_.block(chunk.parameter, at), std::min(kMomentBlock, chunk.end - at));
        }
      });
    }
  });
}

}  // namespace tidar
