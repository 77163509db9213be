#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/rng.h"
#include "model/config.h"

namespace tidar {
namespace {

constexpr double kPi = 3.14159265358979323846;

// The published rule in its published form: by wave length, and with the theta power as a division.
double published(double theta, const std::optional<Llama3RopeScaling>& scaling, int i, int size) {
  const double frequency = 1.0 / std::exp(std::log(theta) * (2.0 * i) / size);
  if (!scaling) return frequency;
  const double wave = 2 * kPi / frequency;
  const double longest_kept = scaling->original_max_positions / scaling->high_freq_factor;
  const double shortest_cut = scaling->original_max_positions / scaling->low_freq_factor;
  if (wave < longest_kept) return frequency;
  if (wave > shortest_cut) return frequency / scaling->factor;
  const double smooth = (scaling->original_max_positions / wave - scaling->low_freq_factor) /
                        (scaling->high_freq_factor - scaling->low_freq_factor);
  return (1 - smooth) * frequency / scaling->factor + smooth * frequency;
}

TEST(Rope, FollowsThePublishedRule) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  Rng rng(seed);
  for (int round = 0; round < 200; ++round) {
    Rope rope{.theta = 1e3 * (1 + 1000 * rng.uniform()), .llama3 = {}};
    if (rng.below(4) > 0) {
      const double low = 0.5 + rng.uniform();
      rope.llama3 = {.factor = 1 + 40 * rng.uniform(),
                     .low_freq_factor = low,
                     .high_freq_factor = low + 0.1 + 5 * rng.uniform(),
                     .original_max_positions = 64 << rng.below(10)};
    }
    const int size = 2 * (1 + rng.below(128));
    const auto frequencies = rope.frequencies(size);
    ASSERT_EQ(frequencies.size(), static_cast<size_t>(size / 2));
    for (int i = 0; i < size / 2; ++i) {
      const double expected = published(rope.theta, rope.llama3, i, size);
      ASSERT_NEAR(frequencies[static_cast<size_t>(i)], expected, 1e-12 * expected) << i;
    }
  }
}

// Llama-3.2's numbers, by hand: pair 0 turns by a radian a position and stays; the last pair's wave
// is far longer than 8192 positions and is divided by 32.
TEST(Rope, StretchesLlama32) {
  const Rope rope{.theta = 500000,
                  .llama3 = Llama3RopeScaling{.factor = 32,
                                              .low_freq_factor = 1,
                                              .high_freq_factor = 4,
                                              .original_max_positions = 8192}};
  const auto frequencies = rope.frequencies(64);
  EXPECT_EQ(frequencies.front(), 1.0);
  EXPECT_NEAR(frequencies.back(), std::pow(500000.0, -62.0 / 64) / 32, 1e-20);
  const Rope plain{.theta = 500000, .llama3 = {}};
  int kept = 0, cut = 0;
  for (size_t i = 0; i < 32; ++i) {
    const double ratio = plain.frequencies(64)[i] / frequencies[i];
    kept += ratio == 1 ? 1 : 0;
    cut += std::abs(ratio - 32) < 1e-9 ? 1 : 0;
  }
  EXPECT_EQ(kept, 15);  // 500000^(-2i/64) >= 2 pi 4 / 8192 up to i = 14
  EXPECT_EQ(cut, 14);   // and < 2 pi / 8192 from i = 18
}

}  // namespace
}  // namespace tidar
