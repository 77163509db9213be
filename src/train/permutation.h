#pragma once
// A shuffle that is a function: where index i of n goes, without a table of n entries.

#include <cstdint>

namespace tidar {

/// A permutation of [0, count) that looks random and depends on (seed, round) alone: a Feistel
/// network over the next even power of two, walked until it comes back into the range (Black and
/// Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). An index takes less than a
/// microsecond. Immutable.
class Permutation {
 public:
  /// `count` is at least 1.
  Permutation(int64_t count, uint64_t seed, uint64_t round);

  /// `index` is in [0, count), and so is the result.
  int64_t operator()(int64_t index) const;

 private:
  uint64_t encrypt(uint64_t block) const;

  uint64_t count_;
  uint64_t seed_;
  uint64_t round_;
  int half_bits_;
};

}  // namespace tidar
