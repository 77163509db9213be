#include "decode/reveal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>

namespace tidar {
namespace {

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();
using Indices = std::vector<size_t>;

// Probabilities 0.9, 0.6, 0.95, 0.6 at positions 3, 4, 7, 9, with margins and entropies that order
// them otherwise.
std::vector<MaskGuess> four() {
  return {{.position = 3, .logprob = std::log(0.9f), .margin = 0.2f, .entropy = 0.5f},
          {.position = 4, .logprob = std::log(0.6f), .margin = 0.5f, .entropy = 0.3f},
          {.position = 7, .logprob = std::log(0.95f), .margin = 0.4f, .entropy = 0.2f},
          {.position = 9, .logprob = std::log(0.6f), .margin = 0.5f, .entropy = 0.4f}};
}

TEST(Reveal, TakesTheFirstOfTheOrder) {
  const auto first = [](RevealOrder order, int count) {
    return revealed(four(), {.order = order, .count = count}, 0);
  };
  EXPECT_EQ(first(RevealOrder::confidence, 1), (Indices{2}));
  EXPECT_EQ(first(RevealOrder::confidence, 2), (Indices{0, 2}));
  EXPECT_EQ(first(RevealOrder::confidence, 3), (Indices{0, 1, 2})) << "of equal ones, the left one";
  EXPECT_EQ(first(RevealOrder::confidence, 9), (Indices{0, 1, 2, 3}));
  EXPECT_EQ(first(RevealOrder::margin, 1), (Indices{1}));
  EXPECT_EQ(first(RevealOrder::margin, 3), (Indices{1, 2, 3}));
  EXPECT_EQ(first(RevealOrder::entropy, 1), (Indices{2}));
  EXPECT_EQ(first(RevealOrder::entropy, 3), (Indices{1, 2, 3}));
  EXPECT_EQ(first(RevealOrder::left_to_right, 2), (Indices{0, 1}));
  EXPECT_EQ(revealed({}, {}, 0), Indices{});
  const std::vector<MaskGuess> equal(100, four()[0]);
  EXPECT_EQ(revealed(equal, {.count = 3}, 0), (Indices{0, 1, 2}));
}

TEST(Reveal, AThresholdLetsMoreThrough) {
  const auto above = [](float threshold, RevealOrder order = RevealOrder::confidence) {
    return revealed(four(), {.order = order, .threshold = threshold}, 0);
  };
  EXPECT_EQ(above(0.85f), (Indices{0, 2}));
  EXPECT_EQ(above(0.5f), (Indices{0, 1, 2, 3}));
  EXPECT_EQ(above(0.99f), (Indices{2})) << "at least one";
  EXPECT_EQ(above(1.5f), (Indices{2}));
  EXPECT_EQ(above(0.92f, RevealOrder::left_to_right), (Indices{0, 2}));
  EXPECT_EQ(revealed(four(), {.count = 3, .threshold = 0.92f}, 0), (Indices{0, 1, 2}));
}

TEST(Reveal, AnEntropyBoundLimitsTheSumWithoutTheLargest) {
  const auto within = [](float bound) {
    return revealed(four(), {.order = RevealOrder::entropy, .entropy_bound = bound}, 0);
  };
  // In order: 0.2, 0.3, 0.4, 0.5, so the sums without the largest are 0, 0.2, 0.5, 0.9.
  EXPECT_EQ(within(0), (Indices{2}));
  EXPECT_EQ(within(0.19f), (Indices{2}));
  EXPECT_EQ(within(0.21f), (Indices{1, 2}));
  EXPECT_EQ(within(0.51f), (Indices{1, 2, 3}));
  EXPECT_EQ(within(0.91f), (Indices{0, 1, 2, 3}));
  // By confidence: 0.2, 0.5, 0.3, 0.4; without the largest 0, 0.2, 0.5, 0.9.
  EXPECT_EQ(revealed(four(), {.entropy_bound = 0.21f}, 0), (Indices{0, 2}));
  EXPECT_EQ(revealed(four(), {.count = 2, .entropy_bound = 0.0f}, 0), (Indices{0, 2}));
}

TEST(Reveal, EveryRandomOrderIsAsLikely) {
  std::map<Indices, int> firsts;
  constexpr int kRuns = 6000, kExpected = kRuns / 6;
  for (uint64_t seed = 0; seed < kRuns; ++seed)
    ++firsts[revealed(four(), {.order = RevealOrder::random, .count = 2}, seed)];
  ASSERT_EQ(firsts.size(), 6u);
  for (const auto& [pair, count] : firsts) EXPECT_NEAR(count, kExpected, 5 * std::sqrt(kExpected));
  // The order belongs to positions, not to what a pass says of them.
  auto other = four();
  for (MaskGuess& guess : other) guess.logprob = -guess.logprob;
  for (uint64_t seed = 0; seed < 20; ++seed)
    EXPECT_EQ(revealed(other, {.order = RevealOrder::random}, seed),
              revealed(four(), {.order = RevealOrder::random}, seed));
}

TEST(Reveal, WhatIsNoNumberComesLast) {
  auto guesses = four();
  guesses[2] = {.position = 7, .logprob = kNoNumber, .margin = kNoNumber, .entropy = kNoNumber};
  for (const RevealOrder order :
       {RevealOrder::confidence, RevealOrder::margin, RevealOrder::entropy}) {
    EXPECT_EQ(revealed(guesses, {.order = order, .count = 3, .threshold = 0.99f}, 0),
              (Indices{0, 1, 3}));
    EXPECT_EQ(revealed(guesses, {.order = order, .entropy_bound = 100.0f}, 0), (Indices{0, 1, 3}));
    EXPECT_EQ(revealed(guesses, {.order = order, .count = 4}, 0).size(), 4u);
  }
}

TEST(CheckRule, SaysWhatIsWrong) {
  const auto complaint = [](const RevealRule& rule) {
    const auto result = check_rule(rule);
    return result.ok() ? "" : result.error().message;
  };
  EXPECT_EQ(complaint({}), "");
  EXPECT_EQ(complaint({.threshold = 2.0f, .entropy_bound = 0.0f}), "");
  EXPECT_NE(complaint({.count = 0}).find("tokens of a pass"), std::string::npos);
  for (const float wrong : {-0.1f, kNoNumber}) {
    EXPECT_NE(complaint({.threshold = wrong}).find("threshold"), std::string::npos);
    EXPECT_NE(complaint({.entropy_bound = wrong}).find("entropy bound"), std::string::npos);
  }
}

}  // namespace
}  // namespace tidar
