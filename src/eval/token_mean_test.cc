#include "eval/token_mean.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

TEST(TokenMeans, WeighItemsByTheirTokens) {
  const Score score = mean_of_tokens(std::vector<double>{2, 12}, std::vector<double>{1, 3});
  EXPECT_DOUBLE_EQ(score.mean, 14.0 / 4);
  EXPECT_EQ(score.count, 2);
  // The rests are -1.5 and 1.5: sqrt(4.5 * 2 / 1) / 4.
  EXPECT_NEAR(score.standard_error, 0.75, 1e-12);
  EXPECT_EQ(mean_of_tokens({}, {}).count, 0);
  EXPECT_EQ(mean_of_tokens(std::vector<double>{2}, std::vector<double>{4}).standard_error, 0);
}

TEST(TokenMeans, TellHowFarTheyAreOff) {
  Rng rng(3);
  constexpr int kRuns = 400, kItems = 60;
  double squares = 0, told = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<double> sums, tokens;
    for (int i = 0; i < kItems; ++i) {
      const int n = 1 + rng.below(20);
      double sum = 0;
      for (int k = 0; k < n; ++k) sum += 2 * rng.uniform();
      sums.push_back(sum);
      tokens.push_back(n);
    }
    const Score score = mean_of_tokens(sums, tokens);
    squares += (score.mean - 1) * (score.mean - 1);
    told += score.standard_error * score.standard_error;
  }
  EXPECT_NEAR(std::sqrt(told / squares), 1, 0.15);
}

}  // namespace
}  // namespace tidar
