#include "ops/candidates.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/rng.h"

namespace tidar {
namespace {

constexpr double kForbidden = -std::numeric_limits<double>::infinity();

std::vector<Candidate> of_logits(const std::vector<double>& logits) {
  std::vector<Candidate> candidates;
  for (const double logit : logits) {
    candidates.push_back({static_cast<int32_t>(candidates.size()), logit});
  }
  return candidates;
}

std::vector<Candidate> of_probabilities(const std::vector<double>& probabilities) {
  std::vector<Candidate> candidates = of_logits(probabilities);
  for (Candidate& candidate : candidates) candidate.logit = std::log(candidate.logit) + 5;
  return candidates;
}

std::vector<int32_t> left(std::vector<Candidate> candidates, const Sampling& sampling,
                          double rest = 0) {
  cut(candidates, sampling, rest);
  std::vector<int32_t> tokens;
  for (const Candidate& candidate : candidates) tokens.push_back(candidate.token);
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

Sampling cuts(int32_t top_k, float top_p, float min_p) {
  Sampling sampling;
  sampling.temperature = 1;
  sampling.top_k = top_k;
  sampling.top_p = top_p;
  sampling.min_p = min_p;
  return sampling;
}

using Tokens = std::vector<int32_t>;

TEST(Candidates, TopKKeepsLowerIdsOnTies) {
  EXPECT_EQ(left(of_logits({1, 3, 2, 3, 2, 2}), cuts(4, 1, 0)), (Tokens{1, 2, 3, 4}));
  EXPECT_EQ(left(of_logits({1, 3, 2}), cuts(9, 1, 0)), (Tokens{0, 1, 2}));
  EXPECT_EQ(left(of_logits({1, 3, 2}), cuts(0, 1, 0)), (Tokens{0, 1, 2}));
}

TEST(Candidates, TopPKeepsTheSmallestSetThatReachesIt) {
  const auto candidates = of_probabilities({0.1, 0.4, 0.2, 0.3});
  EXPECT_EQ(left(candidates, cuts(0, 0.39f, 0)), (Tokens{1}));
  EXPECT_EQ(left(candidates, cuts(0, 0.41f, 0)), (Tokens{1, 3}));
  EXPECT_EQ(left(candidates, cuts(0, 0.71f, 0)), (Tokens{1, 2, 3}));
  EXPECT_EQ(left(candidates, cuts(0, 0, 0)), (Tokens{1}));
}

TEST(Candidates, TopPIsAShareOfWhatTopKLeft) {
  // Of {0.4, 0.3} the first is 0.571.
  const auto candidates = of_probabilities({0.1, 0.4, 0.2, 0.3});
  EXPECT_EQ(left(candidates, cuts(2, 0.56f, 0)), (Tokens{1}));
  EXPECT_EQ(left(candidates, cuts(2, 0.58f, 0)), (Tokens{1, 3}));
}

TEST(Candidates, TopPCountsWhatWasNotGathered) {
  // Gathered: 0.4 and 0.3 of 1; the rest weighs 0.3 / 0.4 of the largest.
  const auto gathered = of_probabilities({0.4, 0.3});
  EXPECT_EQ(left(gathered, cuts(0, 0.41f, 0), 0.75), (Tokens{0, 1}));
  EXPECT_EQ(left(gathered, cuts(0, 0.39f, 0), 0.75), (Tokens{0}));
  EXPECT_EQ(left(gathered, cuts(0, 0.41f, 0), 0), (Tokens{0}));
}

TEST(Candidates, MinPIsRelativeToTheMostProbable) {
  const auto candidates = of_probabilities({0.1, 0.4, 0.2, 0.3});
  EXPECT_EQ(left(candidates, cuts(0, 1, 0.49f)), (Tokens{1, 2, 3}));
  EXPECT_EQ(left(candidates, cuts(0, 1, 0.51f)), (Tokens{1, 3}));
  EXPECT_EQ(left(candidates, cuts(0, 1, 1.0f)), (Tokens{1}));
}

TEST(Candidates, SomethingIsAlwaysLeft) {
  const double nan = std::nan("");
  const std::vector<std::vector<double>> rows = {
      {kForbidden, kForbidden, kForbidden}, {nan, nan, nan}, {nan, 1, kForbidden}};
  for (const std::vector<double>& logits : rows) {
    for (const Sampling& sampling : {cuts(1, 1, 0), cuts(0, 0.5f, 0), cuts(0, 1, 0.5f)}) {
      auto candidates = of_logits(logits);
      cut(candidates, sampling);
      ASSERT_FALSE(candidates.empty());
      const int32_t winner = race(candidates, sampling, 3);
      EXPECT_EQ(winner, std::isnan(logits[0]) && logits[1] == 1 ? 1 : 0);
    }
  }
}

TEST(Candidates, ForbiddenTokensNeverWin) {
  const auto candidates = of_logits({kForbidden, 0, kForbidden, -4});
  Sampling sampling = cuts(0, 1, 0);
  for (uint64_t draw = 0; draw < 1000; ++draw) {
    EXPECT_EQ(race(candidates, sampling, draw) % 2, 1);
  }
}

TEST(Candidates, TheRaceDrawsFromTheDistribution) {
  const std::vector<double> probabilities = {0.02, 0.5, 0.08, 0.1, 0.3};
  const auto candidates = of_probabilities(probabilities);
  constexpr int kDraws = 40000;
  std::vector<double> counts(probabilities.size());
  Sampling sampling = cuts(0, 1, 0);
  for (int i = 0; i < kDraws; ++i) {
    sampling.seed = static_cast<uint64_t>(i % 200);
    ++counts[static_cast<size_t>(race(candidates, sampling, static_cast<uint64_t>(i / 200)))];
  }
  double chi_square = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = probabilities[i] * kDraws;
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi_square, 18.5);  // 4 degrees of freedom, p = 0.001
}

// What makes drafts drawn from nearly the right distribution nearly always right.
TEST(Candidates, NearbyDistributionsShareTheirDraws) {
  const auto a = of_probabilities({0.50, 0.30, 0.20});
  const auto b = of_probabilities({0.51, 0.30, 0.19});
  int equal = 0;
  constexpr int kDraws = 4000;
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    equal += race(a, cuts(0, 1, 0), draw) == race(b, cuts(0, 1, 0), draw);
  }
  EXPECT_GT(equal, kDraws * 97 / 100);
  EXPECT_LT(equal, kDraws);
}

TEST(Candidates, RaceTimesAreThoseOfTheHeader) {
  const auto words = philox(11, 22, 33 / 4);
  const double v = (words[33 % 4] + 0.5) / 4294967296.0;
  EXPECT_DOUBLE_EQ(race_time(11, 22, 33), -std::log(1 - v));
}

TEST(Candidates, OwnChangesReplaceCommonOnes) {
  const std::vector<LogitChange> pool = {{3, 2, 0}, {5, 1, 1}, {5, 1, -7}, {8, 4, 0}};
  Ask ask;
  ask.changes = {0, 2};
  ask.own_changes = {2, 4};
  std::map<int32_t, LogitChange> seen;
  for_each_change(ask, pool, [&](const LogitChange& change) {
    EXPECT_TRUE(seen.emplace(change.token, change).second);
  });
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(changed(4.0f, seen[3]), 2.0f);
  EXPECT_EQ(changed(-4.0f, seen[3]), -8.0f);
  EXPECT_EQ(changed(4.0f, seen[5]), -3.0f);
  EXPECT_EQ(changed(4.0f, seen[8]), 1.0f);
}

}  // namespace
}  // namespace tidar
