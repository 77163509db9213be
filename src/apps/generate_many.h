#pragma once
// tidar generate --prompts: texts that continue the prompts of a file, some at a time.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "apps/generate_flags.h"
#include "base/result.h"
#include "engine/stats.h"

namespace tidar {

/// What a run wrote, so far or in all.
struct WrittenTexts {
  int64_t all = 0;             ///< that the prompts ask for: samples of each
  int64_t there = 0;           ///< of these, those that the file held before
  int64_t texts = 0;           ///< of these, those that this run wrote
  RequestStats sum{};          ///< of the latter
  int64_t tokens = 0;          ///< new ones, those of texts under way included
  double seconds = 0;          ///< of the run
  int64_t without_choice = 0;  ///< texts that ended by FinishReason::no_choice

  /// The same texts by AR, with --compare.
  struct ByAr {
    bool must = false;            ///< the method equals AR, and so must all texts
    int64_t texts = 0, same = 0;  ///< same: token for token
    double seconds = 0;
  };
  std::optional<ByAr> ar{};
};

/// How the writing is watched; empty functions are not called.
struct WritingHooks {
  std::function<void(const WrittenTexts&)> progress{};  ///< after each pass
  std::function<void(const std::string&)> note{};       ///< something that users should know
  std::function<bool()> stopped{};                      ///< whether to end before the next pass
};

/// Writes a JSON object a line for each sample of each prompt, in the order in which they end:
/// {"line", "sample", "seed", "prompt", "text", "tokens", "logprobs", "policy_logprobs",
/// "prompt_tokens", "n", "finish_reason", "passes", "decoded", "tokens_per_pass"} and what
/// put_rows() adds (apps/row_summary.h), with flags.explain also "explained", a pass each as
/// to_json() tells it (engine/explanation_json.h); "line" is that of the file of prompts, the first
/// is 1, and samples count from 0.
///
/// They go to the file flags.out (apps/documents_file.h), which keeps what it has, or to stdout. An
/// empty prompt becomes what the tokenizer puts before a text, else an end-of-text token. Lines
/// without a prompt are named on stderr, those whose prompt the model cannot take by hooks.note,
/// and are passed over. An Error when there is no other.
Result<WrittenTexts> write_texts(const GenerateFlags& flags, const WritingHooks& hooks);

/// The same as a command: with progress on stderr, until Ctrl-C. The value is the program's exit
/// code.
Result<int> generate_many(const GenerateFlags& flags);

}  // namespace tidar
