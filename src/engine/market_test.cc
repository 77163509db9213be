#include "engine/market.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace tidar {
namespace {

Prices random_market_prices(Rng& rng) {
  std::vector<PricePoint> points = {{1, 1}};
  while (points.size() < 8) {
    const double slope = rng.below(3) == 0 ? 0 : rng.uniform();
    const int rows = 1 + rng.below(5);
    points.push_back({points.back().rows + rows, points.back().seconds + slope * rows});
  }
  return Prices(points, {{1, 0.1 * rng.uniform()}}, {rng.below(3), 0.01 * rng.uniform()});
}

// Bundles of one row each, the best first.
Offer random_offer(Rng& rng) {
  Offer offer;
  offer.base = {.size = {1 + rng.below(3), 1}, .worth = 1};
  offer.keys = rng.below(4);
  std::vector<double> worths;
  for (int n = rng.below(6); n > 0; --n) worths.push_back(rng.uniform());
  std::sort(worths.rbegin(), worths.rend());
  for (const double worth : worths) offer.bundles.push_back({{1, 0}, worth});
  return offer;
}

double gain_of(const Prices& prices, double rate, const PassSize& others,
               std::span<const Offer> offers, std::span<const int> rows) {
  PassSize size = others;
  double worth = 0;
  for (size_t i = 0; i < offers.size(); ++i) {
    size.rows += rows[i];
    size.seen_keys += rows[i] * offers[i].keys;
    size.asked += offers[i].base.size.asked;
    for (int b = 0; b < rows[i] - offers[i].base.size.rows; ++b) {
      worth += offers[i].bundles[static_cast<size_t>(b)].worth;
    }
  }
  return worth - rate * prices.seconds(size);
}

// The largest gain of all ways to take first bundles of each offer.
double best_gain(const Prices& prices, double rate, const PassSize& others,
                 std::span<const Offer> offers, int most_rows, std::vector<int> rows = {}) {
  if (rows.size() == offers.size()) {
    int all = others.rows;
    for (const int some : rows) all += some;
    return all > most_rows ? -1e9 : gain_of(prices, rate, others, offers, rows);
  }
  const Offer& offer = offers[rows.size()];
  double best = -1e9;
  for (size_t taken = 0; taken <= offer.bundles.size(); ++taken) {
    auto with = rows;
    with.push_back(offer.base.size.rows + static_cast<int>(taken));
    best = std::max(best, best_gain(prices, rate, others, offers, most_rows, with));
  }
  return best;
}

TEST(Market, FindsTheBestOfAllWays) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Prices prices = random_market_prices(rng);
    std::vector<Offer> offers;
    for (int n = 1 + rng.below(4); n > 0; --n) offers.push_back(random_offer(rng));
    const PassSize others = {rng.below(4), 0};
    const double rate = 2 * rng.uniform();
    const int most_rows = 16 + rng.below(12);
    const std::vector<int> grants = grant_rows(prices, rate, others, offers, most_rows);
    ASSERT_EQ(grants.size(), offers.size());
    EXPECT_NEAR(gain_of(prices, rate, others, offers, grants),
                best_gain(prices, rate, others, offers, most_rows), 1e-12);
  }
}

TEST(Market, GrantsBasesWhateverTheyCostAndNoRowTooMany) {
  const Prices dear({{1, 1}, {2, 100}, {3, 10000}}, 0), free({{1, 1}, {100, 1}}, 0);
  const Offer offer = {.base = {.size = {2, 1}, .worth = 1},
                       .bundles = {{{3, 0}, 0.5}, {{3, 0}, 0.4}}};
  const std::vector<Offer> offers(3, offer);
  EXPECT_EQ(grant_rows(dear, 1, {}, offers, 100), (std::vector<int>{2, 2, 2}));
  EXPECT_EQ(grant_rows(free, 1, {}, offers, 100), (std::vector<int>{8, 8, 8}));
  // The first bundles of all, then the second ones of the first, as far as there is room.
  EXPECT_EQ(grant_rows(free, 1, {}, offers, 18), (std::vector<int>{8, 5, 5}));
  EXPECT_EQ(grant_rows(free, 1, {}, offers, 4), (std::vector<int>{2, 2, 2}));
  EXPECT_TRUE(grant_rows(free, 1, {4, 4}, {}, 4).empty());
}

TEST(Market, PassesAStepOfThePricesWhereWhatLiesBehindItPays) {
  // 8 rows cost as much as 2.
  const Prices steps({{1, 1}, {2, 3}, {8, 3}, {9, 100}}, 0);
  Offer offer = {.base = {.size = {1, 1}, .worth = 1}, .bundles = {}};
  for (int i = 0; i < 10; ++i) offer.bundles.push_back({{1, 0}, 0.9});
  EXPECT_EQ(grant_rows(steps, 1, {}, {&offer, 1}, 100), std::vector<int>{8});
  offer.bundles.resize(2);
  EXPECT_EQ(grant_rows(steps, 1, {}, {&offer, 1}, 100), std::vector<int>{1});
}

}  // namespace
}  // namespace tidar
