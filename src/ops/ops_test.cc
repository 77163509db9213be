#include "ops/ops.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tidar {
namespace {

TEST(RopeTable, HoldsTheAngleOfEveryPositionRoundedOnce) {
  const std::vector<double> frequencies = {1.0, 0.1, 1e-6};
  const RopeTable table = make_rope_table(frequencies, 5000);
  EXPECT_EQ(table.half, 3);
  EXPECT_EQ(table.positions(), 5000);
  for (const int position : {0, 1, 77, 4999}) {
    for (size_t i = 0; i < 3; ++i) {
      const size_t at = static_cast<size_t>(position) * 3 + i;
      EXPECT_EQ(table.cosines[at], static_cast<float>(std::cos(position * frequencies[i])));
      EXPECT_EQ(table.sines[at], static_cast<float>(std::sin(position * frequencies[i])));
    }
  }
  EXPECT_EQ(RopeTable{}.positions(), 0);
  const RopeTable scaled = make_rope_table(frequencies, 5000, 1.1);
  EXPECT_EQ(scaled.cosines[231], static_cast<float>(1.1 * std::cos(77.0)));
  EXPECT_EQ(scaled.sines[231], static_cast<float>(1.1 * std::sin(77.0)));
}

TEST(AttendPlan, CountsTheKeysOfAllRows) {
  AttendPlan plan;
  plan.sights = {{0, 5, 0, 0}, {2, 5, 16, 20}, {0, 0, 16, 17}};
  EXPECT_EQ(plan.keys_seen(), 5 + 3 + 4 + 1);
}

}  // namespace
}  // namespace tidar
