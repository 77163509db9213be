#include "train/permutation.h"

#include <bit>

#include "base/check.h"
#include "base/rng.h"

namespace tidar {

Permutation::Permutation(int64_t count, uint64_t seed, uint64_t round)
    : count_(static_cast<uint64_t>(count)), seed_(seed), round_(round) {
  TIDAR_CHECK_GE(count, 1);
  half_bits_ = (std::bit_width(count_ - 1) + 1) / 2;
}

int64_t Permutation::operator()(int64_t index) const {
  TIDAR_CHECK(index >= 0 && static_cast<uint64_t>(index) < count_);
  // At most three quarters of the blocks lie outside, so a walk takes four steps on average at
  // worst; it ends because it runs along a cycle that holds `index` itself.
  uint64_t block = encrypt(static_cast<uint64_t>(index));
  while (block >= count_) block = encrypt(block);
  return static_cast<int64_t>(block);
}

uint64_t Permutation::encrypt(uint64_t block) const {
  constexpr uint64_t kRounds = 6;
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = block >> half_bits_, right = block & mask;
  for (uint64_t round = 0; round < kRounds; ++round) {
    // The halves have at most 32 bits, so the round fits above one of them.
    const uint64_t noise = philox(seed_, round_, round << 32 | right)[0];
    const uint64_t mixed = (left ^ noise) & mask;
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

}  // namespace tidar
