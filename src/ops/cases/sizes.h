#pragma once
// Sizes from which cases are drawn: both sides of the borders of tiles and vectors, and primes.

#include <cstddef>
#include <cstdint>

#include "base/rng.h"

namespace tidar {

inline constexpr int kLengths[] = {1, 7, 31, 32, 33, 64, 100, 131, 257, 640};
inline constexpr int kOutputs[] = {1, 2, 15, 16, 17, 32, 48, 65, 100};
inline constexpr int kHeadSizes[] = {8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128};

template <class T, size_t N>
T one_of(Rng& rng, const T (&values)[N]) {
  return values[rng.below(static_cast<int>(N))];
}

inline uint64_t next_seed(Rng& rng) { return (uint64_t{rng.bits()} << 32) | rng.bits(); }

}  // namespace tidar
