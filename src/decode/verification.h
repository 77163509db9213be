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

namespace tidar {

/// Adds one question a draft: row first_row + i, which holds drafts[i], is asked for the token
/// after it. `sequence` ends with drafts[0]. Returns the index of the first.
size_t ask_drafts(const Sequence& sequence, std::span<const int32_t> drafts, int32_t first_row,
                  Asks& asks);

/// Takes the answers to those asks: keeps the keys of `reading` rows before the drafts and of the
/// accepted drafts, adds to the text what was chosen after each of these, and reports how the
/// guesses fared. Returns the number of accepted drafts, d_0 included.
int accept_drafts(Sequence& sequence, int reading, std::span<const int32_t> drafts,
                  std::span<const Answer> answers);

}  // namespace tidar
