#pragma once
// What further rows would bring a sequence in its next pass, in tokens: a decoder's side of the
// market for rows (engine/market.h).

#include <cstdint>
#include <vector>

#include "plan/prices.h"

namespace tidar {

/// Rows that are carried together or not at all.
struct Bundle {
  PassSize size;
  double worth = 0;  ///< tokens that they bring, in this pass or in later ones; expected
  int group = 0;     ///< whose masks they are; 0: a guess
  /// A second candidate and the masks behind it, for the case that the guess in its place is the
  /// first one that is wrong (guessed_groups.h).
  bool guessed = false;
  /// Of a guess: that it is right where all guesses before it are. Of a group: that its case
  /// happens; of a guessed one, that its token is right, too.
  double chance = 0;

  /// Of a group; a guessed one's token is not among them.
  int masks() const { return size.rows - (guessed ? 1 : 0); }
};

struct Offer {
  Bundle base;                  ///< what the pass holds in any case
  std::vector<Bundle> bundles;  ///< further ones; each needs those before it
  double rate = 0;  ///< tokens of all sequences a second, if they go on as this decoder plans to
  int keys = 0;     ///< cached ones, which all of its rows see
};

/// The next pass as one of its sequences sees it.
struct PassOutlook {
  const Prices* prices = nullptr;
  PassSize others;           ///< rows of other sequences; expected
  double others_tokens = 0;  ///< that these bring
  int64_t number = 0;        ///< of the pass, from 1 on; 0: passes are not counted
  int keys = 0;              ///< cached ones of the sequence

  double seconds(const PassSize& own) const { return prices->seconds(others + own.behind(keys)); }
};

}  // namespace tidar
