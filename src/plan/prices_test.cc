#include "plan/prices.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

TEST(Prices, AreStraightLinesBetweenPointsAndBeyondThem) {
  const Prices prices({{1, 10}, {5, 14}, {9, 34}}, 0.5);
  EXPECT_DOUBLE_EQ(prices.seconds({1, 0}), 10);
  EXPECT_DOUBLE_EQ(prices.seconds({3, 0}), 12);
  EXPECT_DOUBLE_EQ(prices.seconds({5, 2}), 15);
  EXPECT_DOUBLE_EQ(prices.seconds({7, 0}), 24);
  EXPECT_DOUBLE_EQ(prices.seconds({11, 4}), 46);
}

// What is likely to be asked is no whole number.
TEST(Prices, OfPartsOfARowAreOnTheSameLines) {
  const Prices prices({{1, 10}}, {{1, 1}, {4, 1.1}, {8, 5}});
  EXPECT_DOUBLE_EQ(prices.seconds({1, 3.25}), 10 + 1 + 0.1 * 2.25 / 3);
  EXPECT_DOUBLE_EQ(prices.seconds({1, 4.5}), 10 + 1.1 + 3.9 * 0.5 / 4);
  EXPECT_DOUBLE_EQ(prices.seconds({1, 9.5}), 10 + 5 + 3.9 * 1.5 / 4);
  double last = 0;
  for (double asked = 0; asked <= 12; asked += 0.125) {
    EXPECT_GE(prices.seconds({1, asked}), last) << asked;
    last = prices.seconds({1, asked});
  }
}

TEST(Prices, OfAsksAreStraightLinesToo) {
  const Prices prices({{1, 10}, {5, 14}}, {{1, 3}, {9, 5}, {17, 13}});
  EXPECT_DOUBLE_EQ(prices.seconds({5, 0}), 14);
  EXPECT_DOUBLE_EQ(prices.seconds({5, 0.5}), 15.5);
  EXPECT_DOUBLE_EQ(prices.seconds({5, 1}), 17);
  EXPECT_DOUBLE_EQ(prices.seconds({5, 5}), 18);
  EXPECT_DOUBLE_EQ(prices.seconds({5, 21}), 31);
}

// Two askers read the head once; one that may not ask reads it as often as it does.
TEST(Prices, OfLaterAsksCountOnlyWhereTheyHappen) {
  const Prices prices({{1, 10}, {5, 14}}, {{1, 3}, {9, 5}, {17, 13}});
  EXPECT_DOUBLE_EQ(prices.seconds({1, 1, 9, 1}), 10 + 3 + 5);
  EXPECT_DOUBLE_EQ(prices.seconds({1, 1, 9, 2}), 10 + 3 + 5);
  EXPECT_DOUBLE_EQ(prices.seconds({1, 1, 0.25 * 9, 0.25}), 10 + 3 + 0.25 * 5);
  EXPECT_DOUBLE_EQ(prices.seconds({1, 1, 0, 0}), 10 + 3);
}

TEST(Prices, CountTheKeysThatRowsSee) {
  const Prices prices({{1, 10}, {5, 14}}, {{1, 0.5}}, {.cached = 100, .seconds = 0.01});
  const PassSize one = {1, 1}, five = {5, 2};
  EXPECT_DOUBLE_EQ(prices.seconds(five.behind(100)), 15);
  EXPECT_DOUBLE_EQ(prices.seconds(five.behind(300)), 15 + 5 * 200 * 0.01);
  EXPECT_DOUBLE_EQ(prices.seconds(five.behind(0)), 15 - 5 * 100 * 0.01);
  const PassSize both = one.behind(300) + PassSize{4, 0}.behind(50);
  EXPECT_DOUBLE_EQ(prices.seconds(both), 14.5 + (200 - 4 * 50) * 0.01);
  // A price is never below nothing.
  EXPECT_DOUBLE_EQ(Prices({{1, 1}}, {{1, 2}}, {1000, 1}).seconds(one), 2);
}

TEST(Prices, OfKeysFollowWithTheOthersAndAreLoweredWithThem) {
  Prices prices({{1, 1}, {9, 9}}, {{1, 1}}, {.cached = 0, .seconds = 0.01});
  const PassSize size = PassSize{9, 1}.behind(100);
  for (int i = 0; i < 200; ++i) prices.observe(size, 2 * 19);
  EXPECT_NEAR(prices.seconds(size), 2 * 19, 0.4);
  EXPECT_NEAR(prices.seconds(size) - prices.seconds({9, 1}), 2 * 9, 0.4);

  const auto of_key = [](double seconds, int cached = 64) {
    return Prices({{1, 1}}, {{1, 1}}, {cached, seconds});
  };
  EXPECT_EQ(lowered(of_key(3), of_key(2)).key().seconds, 2);
  EXPECT_EQ(lowered(of_key(3), of_key(4)).key().seconds, 3);
  EXPECT_EQ(lowered(of_key(3), of_key(0)).key().seconds, 3);  // it had no time to find it
  EXPECT_EQ(lowered(of_key(3), of_key(2, 32)).key().seconds, 3);
  EXPECT_EQ(lowered(of_key(3), of_key(2)).key().cached, 64);
}

TEST(Prices, OfAsksFollowWhatPassesTake) {
  Prices prices({{1, 1}, {9, 9}}, {{1, 1}, {9, 2}});
  for (int i = 0; i < 200; ++i) prices.observe({9, 9}, 22);
  EXPECT_NEAR(prices.seconds({9, 9}), 22, 0.1);
  EXPECT_NEAR(prices.seconds({9, 9}) - prices.seconds({9, 0}), 4, 0.1);
}

TEST(Prices, OfAsksDoNotFollowWhereNothingIsAsked) {
  Prices prices({{1, 1}, {9, 9}}, {{1, 1}, {5, 1.5}, {9, 2}});
  for (int i = 0; i < 20; ++i) prices.observe({9, 0}, i % 2 == 0 ? 9 : 10);
  const auto of_asks = [&](double asked) {
    return prices.seconds({9, asked}) - prices.seconds({9, 0});
  };
  EXPECT_NEAR(of_asks(9) / of_asks(1), 2, 1e-12);
}

TEST(Prices, MoreRowsNeverCostLess) {
  const Prices prices({{1, 10}, {8, 9}, {16, 20}}, 0);
  double last = 0;
  for (int rows = 1; rows <= 40; ++rows) {
    EXPECT_GE(prices.seconds({rows, 0}), last) << rows;
    last = prices.seconds({rows, 0});
  }
}

TEST(Prices, OfOnePointAreInProportionToRows) {
  EXPECT_DOUBLE_EQ(Prices({{1, 3}}, 0).seconds({4, 0}), 12);
}

TEST(Prices, AreLoweredToThoseOfAQuietMachine) {
  const Prices busy({{1, 10}, {2, 30}, {4, 32}, {8, 60}}, {{1, 3}, {4, 9}});
  const Prices quiet({{1, 7}, {4, 16}, {8, 66}}, {{1, 2}, {8, 5}});
  const Prices both = lowered(busy, quiet);
  // Of 1, 4 and 8 rows 0.7, 0.5 and 1 is left; so 0.7 of 2 rows, if 4 cost no less. Of asks 2/3.
  const double passes[] = {7, 16, 16, 60}, asks[] = {2, 6};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(both.points()[i].rows, busy.points()[i].rows);
    EXPECT_DOUBLE_EQ(both.points()[i].seconds, passes[i]);
  }
  for (size_t i = 0; i < 2; ++i) EXPECT_DOUBLE_EQ(both.asks()[i].seconds, asks[i]);
}

// A check of a large network has time for one pass: it must not make one row look cheap beside two.
TEST(Prices, KeepTheirShapeWhereFewSizesWereChecked) {
  const Prices kept({{1, 15}, {2, 15.1}, {4, 16}, {8, 18}}, {{1, 1}, {2, 1.2}});
  const Prices both = lowered(kept, Prices({{1, 10}}, {{1, 1.1}}));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(both.points()[i].seconds, kept.points()[i].seconds * 10 / 15);
  }
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(both.asks()[i].seconds, kept.asks()[i].seconds);
}

// Work beside the passes that makes all of them slower, of which few sizes are carried: the others
// must not seem cheap.
TEST(Prices, KeepTheirShapeWhereEverythingTakesLonger) {
  Prices prices({{1, 1}, {4, 2}, {8, 3}, {16, 6}, {32, 12}}, 0);
  for (int i = 0; i < 400; ++i) prices.observe({4, 0}, 2.8);
  for (const int rows : {1, 4, 16, 32}) {
    const Prices fresh({{1, 1}, {4, 2}, {8, 3}, {16, 6}, {32, 12}}, 0);
    EXPECT_NEAR(prices.seconds({rows, 0}) / fresh.seconds({rows, 0}), 1.4, 0.06) << rows;
  }
}

TEST(Prices, FollowWhatPassesTakeAndForgiveOneThatWasHeldUp) {
  Prices prices({{1, 1}, {9, 9}, {30, 30}, {50, 50}}, 0);
  prices.observe({2, 0}, 1000);
  EXPECT_LT(prices.seconds({2, 0}), 2 * 1.03);
  const double far = prices.seconds({40, 0});
  for (int i = 0; i < 300; ++i) prices.observe({2, 0}, 6);
  EXPECT_NEAR(prices.seconds({2, 0}), 6, 0.01);
  EXPECT_GT(prices.seconds({40, 0}), 1.5 * far);
  prices.observe({2, 0}, 0);
  EXPECT_NEAR(prices.seconds({2, 0}), 6, 0.01);
}

}  // namespace
}  // namespace tidar
