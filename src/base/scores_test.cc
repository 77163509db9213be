#include "base/scores.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

namespace tidar {
namespace {

TEST(Scores, MeanAndStandardError) {
  const Score score = score_of(std::vector<double>{1, 0, 1, 1});
  EXPECT_DOUBLE_EQ(score.mean, 0.75);
  // Variance of a share p among n, without bias: n / (n - 1) p (1 - p).
  EXPECT_DOUBLE_EQ(score.standard_error, std::sqrt(4.0 / 3 * 0.75 * 0.25 / 4));
  EXPECT_EQ(score.count, 4);
}

TEST(Scores, FewValues) {
  EXPECT_EQ(score_of({}).count, 0);
  const Score one = score_of(std::vector<double>{3});
  EXPECT_EQ(one.mean, 3);
  EXPECT_EQ(one.standard_error, 0);
}

TEST(Scores, PassAtKIsTheShareOfSubsetsWithARightOne) {
  for (int n = 1; n <= 8; ++n) {
    for (int right = 0; right <= n; ++right) {
      for (int k = 1; k <= n; ++k) {
        int subsets = 0, hits = 0;
        for (unsigned subset = 0; subset < 1u << n; ++subset) {
          if (std::popcount(subset) != k) continue;
          ++subsets;
          hits += (subset & ((1u << right) - 1)) != 0;  // samples 0 … right - 1 are right
        }
        EXPECT_NEAR(pass_at_k(n, right, k), double(hits) / subsets, 1e-12)
            << n << " " << right << " " << k;
      }
    }
  }
}

}  // namespace
}  // namespace tidar
