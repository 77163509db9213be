#include "model/random_weights.h"

#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "model/weight_source.h"

namespace tidar {

namespace {

constexpr size_t kQuantiles = size_t{1} << 16;

struct Distribution {
  float mean = 0;
  float deviation = 1;
};

Distribution distribution_of(const WeightSpec& spec) {
  const float fan_in = static_cast<float>(spec.shape.back());
  switch (spec.role) {
    case WeightRole::embedding:
    case WeightRole::head:
      return {0, 2.5f / std::sqrt(fan_in)};
    case WeightRole::query_bias:
    case WeightRole::key_bias:
    case WeightRole::value_bias:
      return {0, 0.5f};
    case WeightRole::input_norm:
    case WeightRole::ffn_norm:
    case WeightRole::final_norm:
    case WeightRole::query_norm:
    case WeightRole::key_norm:
      return {1, 0.1f};
    default:
      return {0, 1 / std::sqrt(fan_in)};
  }
}

// The normal quantiles of (i + 1/2) / count. Below the mean the distribution function is convex, so
// that Newton's method, started at the quantile before, overshoots once and then closes in from
// above; the upper half is the mirror image.
std::vector<float> normal_quantiles(size_t count) {
  std::vector<float> quantiles(count);
  double x = -5;
  for (size_t i = 0; i < count / 2; ++i) {
    const double target = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    for (double step = 1; std::abs(step) > 1e-9;) {
      const double below = 0.5 * std::erfc(-x / std::numbers::sqrt2);
      const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi);
      step = (target - below) / density;
      x += step;
    }
    quantiles[i] = static_cast<float>(x);
    quantiles[count - 1 - i] = static_cast<float>(-x);
  }
  return quantiles;
}

constexpr int64_t kDrawn = 8;  // numbers of one draw

/// Numbers [kDrawn · draws.begin, kDrawn · draws.end) of row `row` of the table, as far as there
/// are `count` in all.
template <class T>
void fill_from(const std::vector<T>& values, uint64_t seed, size_t row, Range draws, int64_t count,
               T* out) {
  for (int64_t draw = draws.begin; draw < draws.end; ++draw) {
    const auto words = philox(seed, row, static_cast<uint64_t>(draw));
    const int64_t first = kDrawn * draw;
    for (int64_t k = 0; k < kDrawn && first + k < count; ++k) {
      out[first + k] = values[(words[static_cast<size_t>(k / 2)] >> (16 * (k % 2))) & 0xffffu];
    }
  }
}

}  // namespace

RandomWeights::RandomWeights(uint64_t seed, Threads* threads)
    : seed_(seed), threads_(threads), quantiles_(normal_quantiles(kQuantiles)) {}

void RandomWeights::fill(const WeightSpec& spec, size_t row, DType dtype, std::byte* out) const {
  int64_t count = 1;
  for (const int64_t dimension : spec.shape) count *= dimension;
  const Distribution distribution = distribution_of(spec);
  std::vector<float> values(kQuantiles);
  for (size_t i = 0; i < kQuantiles; ++i) {
    values[i] = distribution.mean + distribution.deviation * quantiles_[i];
  }
  const auto fill_with = [&]<class T>(const std::vector<T>& numbers) {
    const int64_t draws = (count + kDrawn - 1) / kDrawn;
    const auto fill_range = [&](Range range, int) {
      fill_from(numbers, seed_, row, range, count, reinterpret_cast<T*>(out));
    };
    if (threads_ == nullptr) return fill_range({0, draws}, 0);
    constexpr int64_t kGrain = 1 << 13;  // some 0.1 ms
    threads_->split(draws, kGrain, fill_range);
  };
  if (dtype == DType::f32) return fill_with(values);
  TIDAR_CHECK(dtype == DType::bf16);
  fill_with(std::vector<BFloat16>(values.begin(), values.end()));
}

namespace {

/// Nothing is there before it is asked for.
class RandomSource final : public WeightSource {
 public:
  RandomSource(const ModelConfig& config, DType dtype, uint64_t seed, Threads* threads)
      : table_(weight_table(config)), dtype_(dtype), weights_(seed, threads) {}

  StoredTensor tensor(size_t row) const override {
    const WeightSpec& spec = table_[row];
    return {.name = spec.name, .dtype = dtype_, .shape = spec.shape, .data = {}, .file = "random"};
  }
  void make(size_t row, int64_t, int64_t, std::byte* out) const override {
    weights_.fill(table_[row], row, dtype_, out);
  }
  void release(size_t) const override {}
  StoredForm form(size_t) const override { return StoredForm::numbers; }
  std::string_view stored_as(size_t) const override { return "random"; }

 private:
  std::vector<WeightSpec> table_;
  DType dtype_;
  RandomWeights weights_;
};

}  // namespace

std::unique_ptr<WeightSource> random_source(const ModelConfig& config, DType dtype, uint64_t seed,
                                            Threads* threads) {
  TIDAR_CHECK(dtype == DType::f32 || dtype == DType::bf16);
  return std::make_unique<RandomSource>(config, dtype, seed, threads);
}

}  // namespace tidar
