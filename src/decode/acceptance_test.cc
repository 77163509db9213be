#include "decode/acceptance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace tidar {
namespace {

// Of a guess at this place, by way of those before it.
double of_place(const Acceptance& acceptance, int place) {
  double chance = PlaceChances::kBeforeFirst;
  for (int i = 0; i <= place; ++i) chance = acceptance.by_place().of(i, chance);
  return chance;
}

TEST(Acceptance, BelievesADraftUntilItKnowsBetter) {
  const Acceptance fresh;
  for (const double probability : {0.02, 0.4, 0.9, 0.999}) {
    EXPECT_NEAR(fresh.of_guess(static_cast<float>(std::log(probability))), probability, 1e-6);
  }
  EXPECT_GT(of_place(fresh, 0), of_place(fresh, 7));
}

// Drafts whose guesses are right with other chances than they say, which differ by place.
TEST(Acceptance, LearnsWhatIsCounted) {
  Rng rng(3);
  Acceptance acceptance;
  const std::vector<double> said = {0.98, 0.6, 0.2}, truth = {0.9, 0.3, 0.5};
  std::vector<float> logprobs;
  for (const double probability : said)
    logprobs.push_back(static_cast<float>(std::log(probability)));
  double sums[3] = {};
  constexpr int kDrafts = 4000, kFirst = 1000;
  for (int draft = 0; draft < kDrafts; ++draft) {
    int accepted = 0;
    while (accepted < 3 && rng.uniform() < truth[static_cast<size_t>(accepted)]) ++accepted;
    acceptance.learn(logprobs, 3, accepted);
    if (draft < kFirst) continue;
    for (size_t i = 0; i < 3; ++i) sums[i] += acceptance.of_guess(logprobs[i]);
  }
  for (size_t i = 0; i < 3; ++i) {
    // The memory of some 200 tries beside the prior's 3.
    EXPECT_NEAR(sums[i] / (kDrafts - kFirst), truth[i], 0.03) << said[i];
  }
}

// A second candidate has what the first one leaves it, until it is known better.
TEST(Acceptance, LearnsSecondCandidates) {
  const auto log_of = [](double probability) { return static_cast<float>(std::log(probability)); };
  Acceptance acceptance;
  EXPECT_NEAR(acceptance.of_runner_up(log_of(0.6), log_of(0.3)), 0.75, 1e-6);
  EXPECT_NEAR(acceptance.of_runner_up(log_of(0.6), log_of(0.04)), 0.1, 1e-6);
  EXPECT_LE(acceptance.of_runner_up(0, 0), 1);  // rounded
  Rng rng(4);
  double sum = 0;
  constexpr int kTries = 4000, kFirst = 1000;
  for (int i = 0; i < kTries; ++i) {
    acceptance.learn_runner_up(log_of(0.2), log_of(0.6), rng.uniform() < 0.35);  // says 0.75
    if (i >= kFirst) sum += acceptance.of_runner_up(log_of(0.6), log_of(0.3));
  }
  EXPECT_NEAR(sum / (kTries - kFirst), 0.35, 0.03);
  EXPECT_NEAR(acceptance.of_runner_up(log_of(0.6), log_of(0.04)), 0.1, 1e-6);
}

TEST(Acceptance, ForgetsWhatWasLongAgo) {
  Acceptance acceptance;
  const std::vector<float> logprobs(4, -0.1f);
  for (int i = 0; i < 300; ++i) acceptance.learn(logprobs, 4, 4);
  EXPECT_GT(of_place(acceptance, 3), 0.95);
  for (int i = 0; i < 600; ++i) acceptance.learn(logprobs, 4, 0);
  EXPECT_LT(of_place(acceptance, 0), 0.15);
  EXPECT_LT(acceptance.of_guess(-0.1f), 0.2);
}

TEST(Acceptance, APlaceThatWasNeverReachedIsSomewhatWorseThanTheOneBefore) {
  Acceptance acceptance;
  for (int i = 0; i < 200; ++i) acceptance.learn(std::vector<float>(2, -1.0f), 2, 1);
  EXPECT_GT(of_place(acceptance, 0), 0.9);
  EXPECT_LT(of_place(acceptance, 1), 0.1);
  EXPECT_LT(of_place(acceptance, 2), of_place(acceptance, 1));
  EXPECT_GT(of_place(acceptance, 2), 0.9 * of_place(acceptance, 1));
}

// Two early misses, and then shorter drafts that are right: they are not believed for ever.
TEST(Acceptance, WhatIsKnownOfAPlaceFadesWhereNoDraftReachesIt) {
  Acceptance acceptance;
  const std::vector<float> longer(4, -0.1f), shorter(3, -0.1f);
  for (int i = 0; i < 5; ++i) acceptance.learn(longer, 4, 4 - i % 2);
  for (int i = 0; i < 20; ++i) acceptance.learn(shorter, 3, 3);
  const double early = of_place(acceptance, 3);
  EXPECT_LT(early, 0.85);
  for (int i = 0; i < 100; ++i) acceptance.learn({}, 0, 0);  // says nothing of drafts
  EXPECT_EQ(of_place(acceptance, 3), early);
  for (int i = 0; i < 200; ++i) acceptance.learn(shorter, 3, 3);
  EXPECT_GT(of_place(acceptance, 3), 0.95);
}

// Of a draft only guesses that promise much are verified: their place is not as good as they are.
TEST(Acceptance, PlacesAreAsGoodAsTheGuessesThatNobodyVerifiedPromiseToo) {
  Acceptance acceptance;
  const std::vector<float> sure(1, -0.01f), poor(1, -2.0f);
  for (int i = 0; i < 400; ++i) {
    acceptance.learn(sure, 1, 1);
    acceptance.learn(poor, 0, 0);
  }
  EXPECT_NEAR(of_place(acceptance, 0), (1 + std::exp(-2.0)) / 2, 0.02);
  EXPECT_FALSE(acceptance.is_new(-0.01f));
  EXPECT_TRUE(acceptance.is_new(-2.0f));
}

}  // namespace
}  // namespace tidar
