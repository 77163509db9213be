#include "report/plot_scale.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace tidar {
namespace {

using Labels = std::vector<std::string>;

TEST(PlotScale, StepsAreOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_DOUBLE_EQ(nice_step(5, 5), 1);
  EXPECT_DOUBLE_EQ(nice_step(0.9, 5), 0.2);
  EXPECT_DOUBLE_EQ(nice_step(260, 5), 50);
  EXPECT_DOUBLE_EQ(nice_step(45, 5), 10);
}

TEST(PlotScale, HoldsItsNumbersBetweenItsFirstAndLastTick) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const double size = std::pow(10.0, rng.below(12) - 6);
    const double least = size * (rng.below(2001) - 1000), most = least + size * rng.below(1000);
    const PlotScale scale = PlotScale::linear(least, most, 5);
    ASSERT_LE(scale.from(), least + 1e-6 * size);
    ASSERT_GE(scale.to(), most - 1e-6 * size);
    ASSERT_LT(scale.from(), scale.to());
    ASSERT_EQ(scale.ticks().front(), scale.from());
    ASSERT_EQ(scale.ticks().back(), scale.to());
    ASSERT_GE(scale.ticks().size(), 3u);
    ASSERT_LE(scale.ticks().size(), 10u);
    const Labels labels = scale.labels();
    for (size_t i = 1; i < labels.size(); ++i) ASSERT_NE(labels[i], labels[i - 1]);
  }
}

TEST(PlotScale, PowersOfTwoAreEquallyFarApart) {
  PlotScale scale = PlotScale::log2(1, 500, 10);
  EXPECT_EQ(scale.to(), 512);
  scale.place(0, 90);
  EXPECT_NEAR(scale.pixel(1), 0, 1e-9);
  EXPECT_NEAR(scale.pixel(8), 30, 1e-9);
  EXPECT_NEAR(scale.pixel(512), 90, 1e-9);
  EXPECT_EQ(scale.labels(), Labels({"1", "2", "4", "8", "16", "32", "64", "128", "256", "512"}));
  EXPECT_EQ(PlotScale::log2(0.5, 100, 4).labels(), Labels({"0.5", "2", "8", "32", "128"}));
}

TEST(PlotScale, PixelsMayRunUpwards) {
  PlotScale scale = PlotScale::linear(0, 10, 5);
  scale.place(200, 100);
  EXPECT_DOUBLE_EQ(scale.pixel(0), 200);
  EXPECT_DOUBLE_EQ(scale.pixel(2.5), 175);
}

TEST(PlotScale, NumbersHaveAsFewDecimalsAsTellThemApart) {
  EXPECT_EQ(tick_labels({0, 0.5, 1}), Labels({"0.0", "0.5", "1.0"}));
  EXPECT_EQ(tick_labels({-20, 0, 20}), Labels({"-20", "0", "20"}));
  EXPECT_EQ(tick_labels({-0.0, 2}), Labels({"0", "2"}));
}

}  // namespace
}  // namespace tidar
