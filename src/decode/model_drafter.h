#pragma once
// Drafts by another, smaller model that decodes autoregressively with its own evaluator.

#include "cache/pages.h"
#include "decode/drafter.h"
#include "plan/evaluator.h"

namespace tidar {

/// Drafters of many sequences, all on `evaluator` with pages of `pool`, which must be that
/// evaluator's, and which nobody else may be using during a call of draft(); both must outlive the
/// drafters. They draw with the spec's sampling, seed and penalties, so that a guess shares its
/// noise with the choice that verifies it.
///
/// The vocabularies must agree in the tokens that they share, but may differ in size. Where the
/// model cannot follow (no page is free, the text is longer than its context or holds a token that
/// it lacks), there are no guesses.
DrafterFactory model_drafters(Evaluator& evaluator, PagePool& pool);

}  // namespace tidar
