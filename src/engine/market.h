#pragma once
// The market for the rows of a pass: which of the rows that sequences offer bring more tokens than
// they cost. A pure function of the prices and the offers.

#include <span>
#include <vector>

#include "decode/offer.h"
#include "engine/prices.h"

namespace tidar {

struct Grants {
  std::vector<int> rows;  ///< for each offer: those of its base and of some of its first bundles
  RowPrice price;         ///< what one row more would have to bring
};

/// Takes bundles one after another, of all offers the one that is worth most a row, and stops where
/// the pass brings the most tokens a second; `others` and their `others_worth` are in the pass in
/// any case. Ties go to the earlier offer. Never more than `most_rows` rows in all, but for bases,
/// which are never refused.
Grants grant_rows(const Prices& prices, const PassSize& others, double others_worth,
                  std::span<const Offer> offers, int most_rows);

}  // namespace tidar
