#pragma once
// Scores of the causal reading, exact: each text is read once, and what it has in common with the
// text before it is not read again.

#include <memory>

#include "eval/text_scorer.h"
#include "plan/evaluator.h"

namespace tidar {

/// `lanes` texts share each pass. A lane keeps the keys of its last text: the choices of a question
/// are scored one after the other in one lane and find its context there, and the shots before it
/// are read once a lane. Rows stand where decoding puts them, so with a row-invariant evaluator the
/// scores are, to the bit, the log-probabilities that AR decoding tells of the same tokens.
///
/// The evaluator must outlive it; its pages are shared evenly. 1 <= lanes <= pages.
std::unique_ptr<TextScorer> make_causal_scorer(Evaluator& evaluator, int lanes);

}  // namespace tidar
