#include "apps/samples.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

TEST(Samples, MedianAndSpread) {
  Samples samples;
  for (const double value : {5.0, 1.0, 4.0, 2.0, 3.0}) samples.add(value);
  EXPECT_EQ(samples.count(), 5);
  EXPECT_DOUBLE_EQ(samples.total(), 15);
  EXPECT_DOUBLE_EQ(samples.median(), 3);
  EXPECT_DOUBLE_EQ(samples.spread(), (4.0 - 2.0) / 2 / 3);
  samples.add(100);
  EXPECT_DOUBLE_EQ(samples.median(), 3.5);
}

}  // namespace
}  // namespace tidar
