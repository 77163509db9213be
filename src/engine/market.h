#pragma once
// The market for the rows of a pass: which of the rows that sequences offer bring more tokens than
// they cost. A pure function of the prices and the offers.

#include <span>
#include <vector>

#include "decode/offer.h"
#include "engine/prices.h"

namespace tidar {

/// What one row more has to bring in a pass of this size, where seconds bring `rate` tokens.
RowPrice price_of_row(const Prices& prices, double rate, const PassSize& size);

struct Grants {
  std::vector<int> rows;  ///< for each offer: those of its base and of some of its first bundles
  RowPrice price;         ///< of one row more
};

/// Takes bundles one after another, of all offers the one that is worth most a row, and stops where
/// the worth of the pass less its seconds times `rate` is largest: rate is what seconds bring
/// elsewhere, in tokens, so that rows are carried as long as they keep up with it. `others` are in
/// the pass in any case. Ties go to the earlier offer. Never more than `most_rows` rows in all, but
/// for bases, which are never refused.
Grants grant_rows(const Prices& prices, double rate, const PassSize& others,
                  std::span<const Offer> offers, int most_rows);

/// How many tokens a second passes have brought of late.
class Rate {
 public:
  void add(double tokens, double seconds);
  bool known() const { return seconds_ > 0; }
  double value() const { return tokens_ / seconds_; }

 private:
  double tokens_ = 0, seconds_ = 0;  // of some twenty passes; older ones fade
};

}  // namespace tidar
