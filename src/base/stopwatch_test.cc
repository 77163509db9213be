#include "base/stopwatch.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

TEST(Stopwatch, LapsAddUpToTheWholeTime) {
  const Stopwatch outer;
  Stopwatch laps;
  const Stopwatch inner;
  double sum = 0;
  for (int i = 0; i < 1000; ++i) sum += laps.lap();
  const double least = inner.seconds();
  sum += laps.lap();
  const double rounding = 1e-9;
  EXPECT_GE(sum, least - rounding);
  EXPECT_LE(sum, outer.seconds() + rounding);
  const double last = laps.seconds();
  EXPECT_LE(last + least, outer.seconds() + rounding) << "a lap begins at the end of the last";
}

}  // namespace
}  // namespace tidar
