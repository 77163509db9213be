#pragma once
// What further rows would bring a sequence in its next pass, in tokens: a decoder's side of the
// market for rows (engine/market.h).

#include <vector>

namespace tidar {

/// Rows that are carried together or not at all.
struct Bundle {
  int rows = 0;
  double asked = 0;  ///< rows whose logits will be computed, of these; expected
  double worth = 0;  ///< tokens that they bring, in this pass or in later ones; expected
  int group = 0;     ///< whose masks they are; 0: a guess
  /// Of a guess: that it is right where all guesses before it are. Of a group: that its case
  /// happens.
  double chance = 0;
};

struct Offer {
  Bundle base;                  ///< what the pass holds in any case
  std::vector<Bundle> bundles;  ///< further ones; each needs those before it
};

/// What a row costs, in the tokens that the same time brings elsewhere.
struct RowPrice {
  double pass = 1;  ///< a pass that carries nothing but one row of each sequence, a share each
  double row = 0;
  double asked = 0;  ///< more, where its logits are computed
};

}  // namespace tidar
