#pragma once
// What goes into the engine and what comes out of it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sampling.h"
#include "cache/pages.h"
#include "decode/methods.h"
#include "plan/evaluator.h"

namespace tidar {

using RequestId = int64_t;

/// One text to be continued.
struct Request {
  SequenceSpec sequence;
  Method method;
  int max_new = 256;              ///< tokens at most, at least 1
  std::vector<int32_t> eos;       ///< any of these ends the text; empty: nothing does
  std::vector<std::string> stop;  ///< any of these in the text ends it, and is cut from it
};

enum class FinishReason : uint8_t {
  none,       ///< not finished
  stop,       ///< an end-of-text token or a stop string
  length,     ///< max_new tokens
  context,    ///< no position is left for another token
  no_choice,  ///< Decoder::failed(): logits that are not finite, or every token forbidden
  cancelled,  ///< Engine::cancel()
};

/// "stop", "length", "context", "no_choice", "cancelled"; "" for none.
std::string_view name_of(FinishReason reason);

/// FinishReason::no_choice for users.
inline constexpr std::string_view kNoChoice =
    "nothing can be chosen: the model's logits are not finite here, or every token is forbidden";

/// What a request has cost and brought. Tokens that a pass committed but that were cut from the
/// output (behind an end-of-text token, a stop string or the length limit) are not counted.
struct RequestStats {
  int64_t prompt_tokens = 0;
  int64_t new_tokens = 0;
  int64_t passes = 0;             ///< decoding passes; those that read the prompt are not counted
  int64_t decoded = 0;            ///< new tokens that decoding passes brought
  std::vector<int64_t> accepted;  ///< accepted[a]: decoding passes that brought a tokens
  /// How guesses fared by their place in the draft, those behind the end of the output included.
  std::vector<DraftPlace> places;
  int64_t drafter_passes = 0;  ///< of a second model
  double waiting_s = 0;        ///< from submit() to the first step
  double prefill_s = 0;        ///< the steps until the prompt had been read
  double decode_s = 0;         ///< the steps after those

  double tokens_per_pass() const {
    return passes == 0 ? 0 : static_cast<double>(decoded) / static_cast<double>(passes);
  }
};

/// What one step brought one request. The pieces of all its updates together are its output.
struct Update {
  RequestId id = 0;
  /// New tokens, the end-of-text token or the last token of a stop string included.
  std::vector<TokenLogprob> tokens;
  /// New text: whole characters, without special tokens. Text that could be the beginning of a stop
  /// string comes later, or not at all. Empty when the engine has no tokenizer.
  std::string text;
  FinishReason finish = FinishReason::none;
  RequestStats stats;  ///< so far
};

/// The decoder of a request, whose pages come from `pool`. An Error says which field of the request
/// is wrong. `limits.max_position` is the context limit.
Result<std::unique_ptr<Decoder>> make_decoder(const Request& request, PagePool& pool,
                                              const EvaluatorLimits& limits);

/// Rows that a decoding pass of the request can use.
int useful_rows(const Request& request);

/// Keys that the request can come to keep at most; none where the method keeps none.
int most_keys(const Request& request, const EvaluatorLimits& limits);

}  // namespace tidar
