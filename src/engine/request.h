#pragma once
// What goes into the engine and what comes out of it.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sampling.h"
#include "cache/pages.h"
#include "decode/methods.h"
#include "engine/explanation.h"
#include "engine/stats.h"
#include "plan/evaluator.h"

namespace tidar {

using RequestId = int64_t;

/// One text to be continued.
struct Request {
  SequenceSpec sequence;  ///< its `experience` is the engine's, whatever it says
  Method method;
  int max_new = 256;              ///< tokens at most, at least 1
  std::vector<int32_t> eos;       ///< any of these ends the text; empty: nothing does
  std::vector<std::string> stop;  ///< any of these in the text ends it, and is cut from it
  /// The lower, the earlier it is let in, and the later it gives its memory back where that is
  /// short; those of one priority in the order in which they come.
  int priority = 0;
  /// The first step that begins then or later ends it, at work or waiting. It says nothing about
  /// who is let in first: a short one would be a priority that everybody can give himself, whoever
  /// has none would wait for as long as such ones come, and where there is more to do than can be
  /// done those would be served that are about to be late anyway. Whoever is to be earlier has a
  /// priority.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  /// Its updates explain their passes, and there is one for each pass that held rows of it, those
  /// that read the prompt included.
  bool explain = false;
};

enum class FinishReason : uint8_t {
  none,       ///< not finished
  stop,       ///< an end-of-text token or a stop string
  length,     ///< max_new tokens
  context,    ///< no position is left for another token
  no_choice,  ///< Phase::failed: logits that are not finite, or every token forbidden, by a bias or
              ///< by the constraint
  cancelled,  ///< Engine::cancel()
  deadline,   ///< Request::deadline
};

/// "stop", "length", "context", "no_choice", "cancelled", "deadline"; "" for none.
std::string_view name_of(FinishReason reason);

/// FinishReason::no_choice for users.
inline constexpr std::string_view kNoChoice =
    "nothing can be chosen: the model's logits are not finite here, or every token is forbidden, "
    "by a bias or by the form that the output is to have";

/// What one step brought one request. The pieces of all its updates together are its output.
struct Update {
  RequestId id = 0;
  /// New tokens, the end-of-text token or the last token of a stop string included.
  std::vector<TokenLogprob> tokens;
  /// What the request's sequence.top and .score_prompt want (StepReport): a list a token; scores.
  std::vector<std::vector<ListedToken>> listed;
  std::vector<Answer> scores;
  /// New text: whole characters, without special tokens. Text that could be the beginning of a stop
  /// string comes later, or not at all. Empty when the engine has no tokenizer.
  std::string text;
  StepStats stats;  ///< of the steps since the request's last update, with their one decoding pass
  FinishReason finish = FinishReason::none;
  std::optional<RequestStats> totals;      ///< of all its steps; with the finish alone
  std::optional<Explanation> explanation;  ///< of the step's pass, where the request wants it
};

/// The decoder of a request, whose pages come from `pool`. An Error says which field of the request
/// is wrong. `limits.max_position` is the context limit.
Result<std::unique_ptr<Decoder>> make_decoder(const Request& request, PagePool& pool,
                                              const EvaluatorLimits& limits);

/// Rows that a decoding pass of the request can use.
int useful_rows(const Request& request);

/// Keys that the request can come to keep at most; none where the method keeps none.
int most_keys(const Request& request, const EvaluatorLimits& limits);

/// Keys that a pass can keep at most of a text of so many tokens, and so many beyond it.
int keys_of_pass(size_t text_tokens, int keys_beyond, const EvaluatorLimits& limits);

}  // namespace tidar
