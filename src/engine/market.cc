#include "engine/market.h"

#include <cstddef>

namespace tidar {

namespace {

double worth_a_row(const Bundle& bundle) { return bundle.worth / bundle.rows; }

}  // namespace

RowPrice price_of_row(const Prices& prices, double rate, const PassSize& size) {
  constexpr int kFurther = 8;  // rows: prices of single ones are too rough
  PassSize larger = size, more_asked = size;
  larger.rows += kFurther;
  more_asked.asked += kFurther;
  const double seconds = prices.seconds(size);
  return {.row = rate * (prices.seconds(larger) - seconds) / kFurther,
          .asked = rate * (prices.seconds(more_asked) - seconds) / kFurther};
}

Grants grant_rows(const Prices& prices, double rate, const PassSize& others,
                  std::span<const Offer> offers, int most_rows) {
  PassSize size = others;
  double worth = 0;  // of bundles
  Grants best;
  for (const Offer& offer : offers) {
    best.rows.push_back(offer.base.rows);
    size.rows += offer.base.rows;
    size.asked += offer.base.asked;
  }
  std::vector<int> rows = best.rows;
  std::vector<size_t> next(offers.size());  // bundle of each offer
  PassSize best_size = size;
  double best_gain = -rate * prices.seconds(size);
  for (;;) {
    const Bundle* taken = nullptr;
    size_t from = 0;
    for (size_t i = 0; i < offers.size(); ++i) {
      if (next[i] == offers[i].bundles.size()) continue;
      const Bundle& bundle = offers[i].bundles[next[i]];
      if (size.rows + bundle.rows > most_rows) continue;
      if (taken != nullptr && worth_a_row(bundle) <= worth_a_row(*taken)) continue;
      taken = &bundle;
      from = i;
    }
    if (taken == nullptr) break;
    ++next[from];
    rows[from] += taken->rows;
    size.rows += taken->rows;
    size.asked += taken->asked;
    worth += taken->worth;
    // A step in the prices may have to be passed before more rows pay again.
    const double gain = worth - rate * prices.seconds(size);
    if (gain <= best_gain) continue;
    best_gain = gain;
    best_size = size;
    best.rows = rows;
  }

  best.price = price_of_row(prices, rate, best_size);
  return best;
}

void Rate::add(double tokens, double seconds) {
  constexpr double kKept = 0.95;
  tokens_ = kKept * tokens_ + tokens;
  seconds_ = kKept * seconds_ + seconds;
}

}  // namespace tidar
