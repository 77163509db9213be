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

#include "decode/sequence.h"
#include "plan/layouts.h"

namespace tidar {

/// What a pass verifies.
struct Chain {
  std::span<const int32_t> drafts;          ///< d_0 …
  int32_t first_row = 0;                    ///< of d_0; the others follow it
  std::span<const GuessedGroup> guessed{};  ///< other tokens in the places of drafts
};

/// Adds one question a draft, for the token after it; then one a guessed group, for the token after
/// its own. `sequence` ends with d_0. All guesses and groups' tokens must be allowed where they
/// stand. Returns the index of the first.
size_t ask_drafts(const Sequence& sequence, const Chain& chain, Asks& asks);

/// How a chain fared.
struct Accepted {
  int drafts = 1;                         ///< that are right, d_0 included
  const GuessedGroup* guessed = nullptr;  ///< whose token is the one behind them; nullptr: none
};

/// Takes the answers to those asks: keeps the keys of `reading` rows before the drafts and of what
/// is accepted, adds to the text what was chosen after each of these, and reports how the guesses
/// fared. A guessed group is accepted where its token is what was chosen behind the accepted
/// drafts.
Accepted accept_drafts(Sequence& sequence, int reading, const Chain& chain,
                       std::span<const Answer> answers);

}  // namespace tidar
