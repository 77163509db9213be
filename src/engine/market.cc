#include "engine/market.h"

#include <cstddef>

namespace tidar {

namespace {

// Less what the keys of its sequence cost a row: of rows alone, each costs the same.
double worth_a_row(const Bundle& bundle, const Offer& offer, double worth_of_key) {
  return bundle.worth / bundle.size.rows - worth_of_key * offer.keys;
}

}  // namespace

std::vector<int> grant_rows(const Prices& prices, double rate, const PassSize& others,
                            std::span<const Offer> offers, int most_rows) {
  PassSize size = others;
  double worth = 0;  // of bundles
  std::vector<int> best;
  for (const Offer& offer : offers) {
    best.push_back(offer.base.size.rows);
    size += offer.base.size.behind(offer.keys);
  }
  const double worth_of_key = rate * prices.key().seconds;
  std::vector<int> rows = best;
  std::vector<size_t> next(offers.size());  // bundle of each offer
  double best_gain = -rate * prices.seconds(size);
  for (;;) {
    const Bundle* taken = nullptr;
    double most = 0;  // worth a row
    size_t from = 0;
    for (size_t i = 0; i < offers.size(); ++i) {
      if (next[i] == offers[i].bundles.size()) continue;
      const Bundle& bundle = offers[i].bundles[next[i]];
      if (size.rows + bundle.size.rows > most_rows) continue;
      const double worth_of_row = worth_a_row(bundle, offers[i], worth_of_key);
      if (taken != nullptr && worth_of_row <= most) continue;
      taken = &bundle;
      most = worth_of_row;
      from = i;
    }
    if (taken == nullptr) return best;
    ++next[from];
    rows[from] += taken->size.rows;
    size += taken->size.behind(offers[from].keys);
    worth += taken->worth;
    // A step in the prices may have to be passed before more rows pay again.
    const double gain = worth - rate * prices.seconds(size);
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = rows;
  }
}

}  // namespace tidar
