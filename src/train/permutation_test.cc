#include "train/permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

TEST(Permutation, TakesEveryIndexOnce) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const int64_t count = seed < 70 ? static_cast<int64_t>(seed) + 1 : 1 + Rng(seed).below(20'000);
    const Permutation permutation(count, seed, seed * 7);
    std::vector<bool> taken(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = permutation(i);
      ASSERT_TRUE(place >= 0 && place < count) << "seed " << seed;
      ASSERT_FALSE(taken[static_cast<size_t>(place)]) << "seed " << seed;
      taken[static_cast<size_t>(place)] = true;
    }
  }
}

TEST(Permutation, SeedsAndRoundsGiveOthers) {
  const Permutation one(1000, 1, 0), other_seed(1000, 2, 0), other_round(1000, 1, 1);
  int same_seed = 0, same_round = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    same_seed += one(i) == other_seed(i);
    same_round += one(i) == other_round(i);
    EXPECT_EQ(one(i), Permutation(1000, 1, 0)(i));
  }
  EXPECT_LT(same_seed, 12);  // 1 expected
  EXPECT_LT(same_round, 12);
}

TEST(Permutation, EveryIndexGoesEverywhereEquallyOften) {
  // χ² of 5 x 5 counts over 5000 rounds; 16 degrees of freedom: 47 is passed once in 10,000 times.
  constexpr int kCount = 5, kRounds = 5000;
  double counts[kCount][kCount] = {};
  for (uint64_t round = 0; round < kRounds; ++round) {
    const Permutation permutation(kCount, 42, round);
    for (int64_t i = 0; i < kCount; ++i) counts[i][permutation(i)] += 1;
  }
  double chi_squared = 0;
  for (const auto& row : counts) {
    for (const double count : row) chi_squared += std::pow(count - kRounds / 5.0, 2) / 1000;
  }
  EXPECT_LT(chi_squared, 47);
}

TEST(Permutation, LargeCounts) {
  const int64_t count = (int64_t{1} << 40) + 12345;
  const Permutation permutation(count, 3, 1);
  for (int64_t i = 0; i < 100; ++i) EXPECT_LT(permutation(count - 1 - i), count);
}

}  // namespace
}  // namespace tidar
