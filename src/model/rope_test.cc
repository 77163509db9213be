#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

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
    Rope rope{.theta = 1e3 * (1 + 1000 * rng.uniform()), .scaling = {}};
    std::optional<Llama3RopeScaling> scaling;
    if (rng.below(4) > 0) {
      const double low = 0.5 + rng.uniform();
      scaling = {.factor = 1 + 40 * rng.uniform(),
                 .low_freq_factor = low,
                 .high_freq_factor = low + 0.1 + 5 * rng.uniform(),
                 .original_max_positions = 64 << rng.below(10)};
      rope.scaling = *scaling;
    }
    const int size = 2 * (1 + rng.below(128));
    const auto frequencies = rope.frequencies(size);
    ASSERT_EQ(frequencies.size(), static_cast<size_t>(size / 2));
    for (int i = 0; i < size / 2; ++i) {
      const double expected = published(rope.theta, scaling, i, size);
      ASSERT_NEAR(frequencies[static_cast<size_t>(i)], expected, 1e-12 * expected) << i;
    }
  }
}

// Llama-3.2's numbers, by hand: pair 0 turns by a radian a position and stays; the last pair's wave
// is far longer than 8192 positions and is divided by 32.
TEST(Rope, StretchesLlama32) {
  const Rope rope{.theta = 500000,
                  .scaling = Llama3RopeScaling{.factor = 32,
                                               .low_freq_factor = 1,
                                               .high_freq_factor = 4,
                                               .original_max_positions = 8192}};
  const auto frequencies = rope.frequencies(64);
  EXPECT_EQ(frequencies.front(), 1.0);
  EXPECT_NEAR(frequencies.back(), std::pow(500000.0, -62.0 / 64) / 32, 1e-20);
  const Rope plain{.theta = 500000, .scaling = {}};
  int kept = 0, cut = 0;
  for (size_t i = 0; i < 32; ++i) {
    const double ratio = plain.frequencies(64)[i] / frequencies[i];
    kept += ratio == 1 ? 1 : 0;
    cut += std::abs(ratio - 32) < 1e-9 ? 1 : 0;
  }
  EXPECT_EQ(kept, 15);  // 500000^(-2i/64) >= 2 pi 4 / 8192 up to i = 14
  EXPECT_EQ(cut, 14);   // and < 2 pi / 8192 from i = 18
}

// Numbers that another program computed from the published formula.
struct YarnCase {
  const char* name;
  double theta;
  int head_size;
  YarnRopeScaling scaling;
  double attention_factor;
  std::vector<std::pair<size_t, double>> frequencies;  // of some pairs
};

class Yarn : public ::testing::TestWithParam<YarnCase> {};

TEST_P(Yarn, FollowsThePublishedRule) {
  const Rope rope{.theta = GetParam().theta, .scaling = GetParam().scaling};
  const auto frequencies = rope.frequencies(GetParam().head_size);
  for (const auto& [pair, expected] : GetParam().frequencies) {
    EXPECT_NEAR(frequencies[pair], expected, 1e-12 * expected) << pair;
  }
  EXPECT_NEAR(rope.attention_factor(), GetParam().attention_factor, 1e-12);
}

INSTANTIATE_TEST_SUITE_P(
    Models, Yarn,
    ::testing::Values(
        YarnCase{"qwen25_7b",
                 1e6,
                 128,
                 {.factor = 4, .original_max_positions = 32768},
                 1.1386294361119891,
                 {{0, 1},
                  {23, 0.0069783058485986633},
                  {24, 0.0053753214907901019},
                  {31, 0.00080295972754523023},
                  {39, 6.4903943208370293e-05},
                  {40, 4.4456985250973067e-05},
                  {63, 3.1023444018792988e-07}}},
        YarnCase{
            "deepseek",
            1e4,
            64,
            {.factor = 40, .original_max_positions = 4096, .mscale = 0.707, .mscale_all_dim = 1},
            0.92104235531633993,
            {{10, 0.056234132519034911},
             {11, 0.039006926567143857},
             {16, 0.0054999999999999997},
             {22, 0.00017782794100389219},
             {23, 3.3338035804083099e-05},
             {31, 3.3338035804083097e-06}}},
        YarnCase{"equal_mscales",
                 1e6,
                 128,
                 {.factor = 16, .original_max_positions = 16384, .mscale = 1, .mscale_all_dim = 1},
                 1,
                 {{20, 0.013335214321633241},
                  {21, 0.010153463672006566},
                  {36, 4.961135334453909e-05},
                  {37, 2.1238802055890998e-05}}},
        YarnCase{"untruncated",
                 150000,
                 64,
                 {.factor = 32, .original_max_positions = 4096, .truncate = false},
                 1.3465735902799727,
                 {{8, 0.050813274815461475},
                  {9, 0.031705696184663769},
                  {16, 0.00045648391922324086},
                  {17, 0.00012931870124506319},
                  {31, 3.0235114281192144e-07}}},
        YarnCase{"said", 1e4, 64, {.factor = 40, .attention_factor = 1.25, .mscale = 1}, 1.25, {}},
        YarnCase{"factor_below_one", 1e4, 64, {.factor = 0.25}, 1, {{0, 1}}}),
    [](const auto& parameter) { return std::string(parameter.param.name); });

}  // namespace
}  // namespace tidar
