#pragma once
// The market for the rows of a pass: which of the rows that sequences offer bring more tokens than
// they cost. A pure function of the prices and the offers.

#include <span>
#include <vector>

#include "decode/offer.h"

namespace tidar {

/// The rows that each offer is granted: those of its base and of some of its first bundles.
///
/// Takes bundles one after another, of all offers the one that is worth most a row, less what its
/// rows cost for the keys that they see, and stops where the worth of the pass less its seconds
/// times `rate` is largest: rate is what seconds bring elsewhere, in tokens, so that rows are
/// carried as long as they keep up with it. `others` are in the pass in any case. Ties go to the
/// earlier offer. Never more than `most_rows` rows in all, but for bases, which are never refused.
std::vector<int> grant_rows(const Prices& prices, double rate, const PassSize& others,
                            std::span<const Offer> offers, int most_rows);

}  // namespace tidar
