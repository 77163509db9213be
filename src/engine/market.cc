#include "engine/market.h"

#include <cstddef>

namespace tidar {

namespace {

double worth_a_row(const Bundle& bundle) { return bundle.worth / bundle.size.rows; }

}  // namespace

std::vector<int> grant_rows(const Prices& prices, double rate, const PassSize& others,
                            std::span<const Offer> offers, int most_rows) {
  PassSize size = others;
  double worth = 0;  // of bundles
  std::vector<int> best;
  for (const Offer& offer : offers) {
    best.push_back(offer.base.size.rows);
    size += offer.base.size;
  }
  std::vector<int> rows = best;
  std::vector<size_t> next(offers.size());  // bundle of each offer
  double best_gain = -rate * prices.seconds(size);
  for (;;) {
    const Bundle* taken = nullptr;
    size_t from = 0;
    for (size_t i = 0; i < offers.size(); ++i) {
      if (next[i] == offers[i].bundles.size()) continue;
      const Bundle& bundle = offers[i].bundles[next[i]];
      if (size.rows + bundle.size.rows > most_rows) continue;
      if (taken != nullptr && worth_a_row(bundle) <= worth_a_row(*taken)) continue;
      taken = &bundle;
      from = i;
    }
    if (taken == nullptr) return best;
    ++next[from];
    rows[from] += taken->size.rows;
    size += taken->size;
    worth += taken->worth;
    // A step in the prices may have to be passed before more rows pay again.
    const double gain = worth - rate * prices.seconds(size);
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = rows;
  }
}

}  // namespace tidar
