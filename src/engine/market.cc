#include "engine/market.h"

#include <cstddef>

namespace tidar {

namespace {

double worth_a_row(const Bundle& bundle) { return bundle.worth / bundle.rows; }

}  // namespace

Grants grant_rows(const Prices& prices, const PassSize& others, double others_worth,
                  std::span<const Offer> offers, int most_rows) {
  PassSize size = others;
  double worth = others_worth;
  Grants best;
  for (const Offer& offer : offers) {
    best.rows.push_back(offer.base.rows);
    size.rows += offer.base.rows;
    size.asked += offer.base.asked;
    worth += offer.base.worth;
  }
  std::vector<int> rows = best.rows;
  std::vector<size_t> next(offers.size());  // bundle of each offer
  PassSize best_size = size;
  double best_rate = worth / prices.seconds(size);
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
    const double rate = worth / prices.seconds(size);
    if (rate <= best_rate) continue;
    best_rate = rate;
    best_size = size;
    best.rows = rows;
  }

  constexpr int kFurther = 8;  // rows: prices of single ones are too rough
  PassSize larger = best_size;
  larger.rows += kFurther;
  best.price.row = best_rate * (prices.seconds(larger) - prices.seconds(best_size)) / kFurther;
  best.price.asked = best_rate * prices.ask_s();
  return best;
}

}  // namespace tidar
