#include "train/spike_guard.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace tidar {
namespace {

/// A guard that has seen `steps` ordinary steps: losses of 3 within 0.1, norms of about 1.
SpikeGuard seasoned(int steps, double factor = 10) {
  SpikeGuard guard(factor);
  Rng rng(1);
  for (int i = 0; i < steps; ++i) {
    EXPECT_FALSE(guard.is_spike(3 + 0.2 * rng.uniform() - 0.1, 0.5 + rng.uniform()));
  }
  return guard;
}

TEST(SpikeGuard, LeavesOutWhatStandsOut) {
  SpikeGuard guard = seasoned(100);
  EXPECT_TRUE(guard.is_spike(8, 1));
  EXPECT_FALSE(guard.is_spike(3, 1));
  EXPECT_TRUE(guard.is_spike(3, 30));
  EXPECT_FALSE(guard.is_spike(0.1, 0.001)) << "better is never a spike";
}

TEST(SpikeGuard, TakesTheFirstStepsAndAllOfThemWithoutAFactor) {
  SpikeGuard early = seasoned(31);
  EXPECT_FALSE(early.is_spike(1000, 1000));
  SpikeGuard ready = seasoned(32);
  EXPECT_TRUE(ready.is_spike(1000, 1000));
  SpikeGuard off = seasoned(100, 0);
  EXPECT_FALSE(off.is_spike(1000, 1000));
}

TEST(SpikeGuard, AfterThreeInARowTheNewIsTheUsual) {
  SpikeGuard guard = seasoned(100);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(guard.is_spike(9, 1));
  EXPECT_FALSE(guard.is_spike(9, 1));
  EXPECT_EQ(guard.history().losses.size(), 1u);
}

TEST(SpikeGuard, ForgetsWhatIsLongPast) {
  SpikeGuard guard = seasoned(100);
  EXPECT_EQ(guard.history().losses.size(), 64u);
  EXPECT_EQ(guard.history().norms.size(), 64u);
}

TEST(SpikeGuard, GoesOnFromAHistory) {
  SpikeGuard guard = seasoned(100);
  guard.is_spike(9, 1);
  SpikeGuard other(10);
  other.restore(guard.history());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(other.is_spike(9, 1), guard.is_spike(9, 1));
  EXPECT_EQ(other.history().losses, guard.history().losses);
}

}  // namespace
}  // namespace tidar
