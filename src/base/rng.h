#pragma once
// Random numbers as a function of a key and a counter: no state, so the same draw can be repeated
// in any order, on any thread, on any device.

#include <array>
#include <cstddef>
#include <cstdint>

namespace tidar {

/// 128 random bits: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011). Who uses which counters, so that two uses never share a draw, stands where they are
/// drawn: tokens in plan/ask.h, noise of training in train/objective.h.
inline std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  std::array<uint32_t, 4> c = {
      static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
      static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/// 23 random bits as a float in the open interval (0, 1). Not 24: with the half added, the largest
/// would need 25 bits and round to 1.
inline float open_unit(uint32_t bits) { return (static_cast<float>(bits >> 9) + 0.5f) * 0x1p-23f; }

/// A sequence of draws from one key: the words of philox(seed, 0, 0), philox(seed, 0, 1), … For
/// tests and whatever is drawn in one order. Not thread-safe; a copy goes on from where the
/// original is.
class Rng {
 public:
  explicit Rng(uint64_t seed) : key_(seed) {}

  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox(key_, 0, counter_++);
      used_ = 0;
    }
    return block_[static_cast<size_t>(used_++)];
  }
  /// Uniform in (0, 1).
  float uniform() { return open_unit(bits()); }
  /// Uniform in [0, n), n >= 1; uneven by n / 2^32 at most.
  int below(int n) { return static_cast<int>((uint64_t{bits()} * static_cast<uint64_t>(n)) >> 32); }
  /// Standard normal, by Box and Muller; of each pair of theirs only one is used.
  float normal();

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace tidar
