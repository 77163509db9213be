#pragma once
// Questions with a choice of answers: which continuation of a text is the most probable?

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "eval/text_scorer.h"
#include "text/tokenizer.h"

namespace tidar {

/// One line of a task file:
///
///     {"context": "The sky is", "choices": ["green", "blue"], "answer": 1}
///
/// "delimiter" (" ") stands between context and choice.
struct ChoiceItem {
  std::string id;  ///< the field "id", or the number of the line
  std::string context;
  std::vector<std::string> choices;  ///< at least two, none empty
  int answer = 0;                    ///< of choices, counted from 0
  std::string delimiter;
};

Result<std::vector<ChoiceItem>> read_choices(const std::filesystem::path& path);

/// The context behind the first `count` of `shots` that have another context, each with its right
/// answer and an empty line after it. An Error when there are fewer.
Result<std::string> context_with_shots(const ChoiceItem& item, std::span<const ChoiceItem> shots,
                                       int count);

/// Context and continuation as tokens, split as lm-evaluation-harness does: blanks at the end of
/// the context belong to the continuation, and the whole is encoded at once. Without a context the
/// text begins with `start`, which stands for the beginning of a text (an end-of-text token, as
/// usual). An Error when nothing is left to be scored, or a start is needed and is -1.
Result<ScoredText> split_text(const Tokenizer& tokenizer, std::string context,
                              std::string continuation, int32_t start);

/// Which choice the scores chose, and whether it was right.
struct ChoiceVerdict {
  int chosen = 0;             ///< of the highest log-probability
  int chosen_normalised = 0;  ///< of the highest log-probability a character of the choice
  bool right = false;
  bool right_normalised = false;
};

/// `logprobs[i]` is that of the continuation with choice i. The first of equals is chosen.
ChoiceVerdict judge_choices(const ChoiceItem& item, std::span<const double> logprobs);

}  // namespace tidar
