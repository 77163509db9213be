#include "apps/reliability.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

/// A pass that was offered guesses with these chances, and groups.
Explanation pass_of(const std::vector<double>& guesses, const std::vector<Bundle>& groups,
                    int drafted, int accepted) {
  Explanation pass;
  pass.offer.emplace();
  for (const double chance : guesses)
    pass.offer->bundles.push_back({.size = {1}, .chance = chance});
  for (const Bundle& group : groups) pass.offer->bundles.push_back(group);
  pass.report.drafted = drafted;
  pass.report.accepted = accepted;
  return pass;
}

TEST(Reliability, CountsGuessesUpToTheFirstWrongOne) {
  Reliability reliability;
  reliability.add(Explanation());                               // no offer
  reliability.add(pass_of({0.98, 0.94, 0.55, 0.3}, {}, 4, 2));  // the third is wrong
  reliability.add(pass_of({0.96, 0.51, 0.5}, {}, 2, 2));        // the third was not granted
  reliability.add(pass_of({1, 0}, {}, 2, 1));                   // the borders
  const PlotSeries guesses = reliability.plot().series[0];
  EXPECT_EQ(guesses.label, "7 guesses");
  ASSERT_EQ(guesses.points.size(), 3u);
  EXPECT_EQ(guesses.points[0].x, 0);
  EXPECT_EQ(guesses.points[0].y, 0);
  EXPECT_DOUBLE_EQ(guesses.points[1].x, 0.53);
  EXPECT_EQ(guesses.points[1].y, 0.5);
  EXPECT_DOUBLE_EQ(guesses.points[2].x, 0.97);
  EXPECT_EQ(guesses.points[2].y, 1);
  for (const PlotPoint& point : guesses.points) EXPECT_GT(point.error, 0);
}

TEST(Reliability, CountsGroupsWhoseCaseIsDecided) {
  const std::vector<Bundle> groups = {{.size = {4}, .group = 3, .chance = 0.75},
                                      {.size = {4}, .group = 1, .chance = 0.15}};
  Reliability reliability;
  reliability.add(pass_of({0.9, 0.9}, groups, 2, 2));  // all right: group 3 happens, 1 does not
  reliability.add(pass_of({0.9, 0.9}, groups, 2, 0));  // the other way round
  reliability.add(pass_of({0.9, 0.9}, groups, 1, 1));  // of 3 nobody knows; 1 does not happen
  const PlotSeries counted = reliability.plot().series[1];
  EXPECT_EQ(counted.label, "5 groups");
  ASSERT_EQ(counted.points.size(), 2u);
  EXPECT_DOUBLE_EQ(counted.points[0].x, 0.15);
  EXPECT_DOUBLE_EQ(counted.points[0].y, 1.0 / 3);
  EXPECT_DOUBLE_EQ(counted.points[1].x, 0.75);
  EXPECT_DOUBLE_EQ(counted.points[1].y, 0.5);
}

TEST(Reliability, CountsGuessedGroupsThatWereHeld) {
  const std::vector<Bundle> bundles = {{.size = {4}, .group = 2, .guessed = true, .chance = 0.25}};
  Explanation pass = pass_of({0.9, 0.9}, bundles, 2, 1);
  Reliability reliability;
  reliability.add(pass);  // not granted
  pass.report.guessed = {{.accepted = 2, .token = 5, .masks = 3}};
  reliability.add(pass);  // another token
  pass.report.guessed_right = true;
  reliability.add(pass);
  pass.report.accepted = 0;  // of another group
  reliability.add(pass);
  const Plot plot = reliability.plot();
  EXPECT_TRUE(plot.series[1].points.empty());
  EXPECT_EQ(plot.series[2].label, "3 guessed groups");
  ASSERT_EQ(plot.series[2].points.size(), 1u);
  EXPECT_DOUBLE_EQ(plot.series[2].points[0].x, 0.25);
  EXPECT_DOUBLE_EQ(plot.series[2].points[0].y, 1.0 / 3);
}

}  // namespace
}  // namespace tidar
