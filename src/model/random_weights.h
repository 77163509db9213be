#pragma once
// Random weights as a function of a seed and a place in the weight table.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/weights.h"

namespace tidar {

/// Fills weights with normal numbers. Each number is a quantile of the normal distribution, picked
/// from a table of 2^16 by 16 random bits: about ten times faster than a logarithm and a cosine
/// each, and within ±4.33 deviations. Immutable after construction.
class RandomWeights {
 public:
  /// `threads`, unless it is nullptr, fill together, and must outlive this; then one fill() at a
  /// time.
  explicit RandomWeights(uint64_t seed, Threads* threads = nullptr);

  /// Writes all elements of `spec`, row `row` of the weight table, as `dtype` (f32 or bf16).
  void fill(const WeightSpec& spec, size_t row, DType dtype, std::byte* out) const;

 private:
  uint64_t seed_;
  Threads* threads_;
  std::vector<float> quantiles_;
};

}  // namespace tidar
