#pragma once
// Evaluations that ask how probable texts are: questions with choices, and the perplexity of a
// text. Each brings a line of results an item, and goes on where earlier lines end.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "eval/choices.h"
#include "eval/results_file.h"
#include "eval/run.h"
#include "eval/text_scorer.h"
#include "text/tokenizer.h"

namespace tidar {

struct ChoiceTask {
  std::vector<ChoiceItem> items;
  std::vector<ChoiceItem> shots;
  int shot_count = 0;
  int32_t start = -1;  ///< begins texts without a context
};

/// Scores: "acc", and "acc_norm", normalised by the length of the choice in characters. Texts that
/// are too long for the scorer lose their beginning; the number "truncated" counts their items, of
/// those that this call scored. Also the number "seconds".
Result<EvalSummary> run_choices(const ChoiceTask& task, const Tokenizer& tokenizer,
                                TextScorer& scorer, ResultsFile& results, const RunHooks& hooks);

/// A text that is read in windows of `window` tokens, each `stride` behind the last; a token is
/// scored in the first window that holds it, but for the very first one, which nothing predicts.
struct PerplexityTask {
  std::vector<int32_t> tokens;  ///< at least two
  int window = 0;               ///< at least 2
  int stride = 0;               ///< 1 … window - 1
};

/// Score: "nll", nats a token, its error from windows as samples. Numbers: "perplexity",
/// "bits_per_byte", "tokens" (scored), "bytes" (theirs), "seconds".
Result<EvalSummary> run_perplexity(const PerplexityTask& task, const Tokenizer& tokenizer,
                                   TextScorer& scorer, ResultsFile& results, const RunHooks& hooks);

}  // namespace tidar
