#pragma once
// Drafts, and how one causal reading of them finds those that are right. Shared by all methods that
// promise the tokens of AR.
//
// A chain of drafts is d_0, the newest token of the text, which is certain, and guesses behind it.
// The row of each draft is asked what follows it, given that the drafts before it are right; the
// guesses are accepted as long as they are what was chosen. Since the noise of a choice belongs to
// its position (plan/ask.h), what is chosen is what AR would choose there, greedy or sampled:
// exactness costs no second draw, and a guess that was drawn at the same position from nearly the
// same distribution is nearly always right.

#include <cstdint>
#include <span>
#include <vector>

#include "decode/sequence.h"

namespace tidar {

class Verification {
 public:
  /// One question a draft: row first_row + i, which holds drafts[i], is asked for the token after
  /// it. `sequence` ends with drafts[0]. The asks, which the caller may change, and what they refer
  /// to are valid until the next call or the sequence's next append().
  std::span<Ask> asks(const Sequence& sequence, std::span<const int32_t> drafts, int32_t first_row);

 private:
  std::vector<Ask> asks_;
  std::vector<LogitChange> own_changes_;  // of all asks, one after another
};

/// Takes the answers to those asks: keeps the keys of `reading` rows before the drafts and of the
/// accepted drafts, adds to the text what was chosen after each of these, and reports how the
/// guesses fared. Returns the number of accepted drafts, d_0 included.
int accept_drafts(Sequence& sequence, int reading, std::span<const int32_t> drafts,
                  std::span<const Answer> answers);

}  // namespace tidar
