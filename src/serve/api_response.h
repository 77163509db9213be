#pragma once
// What clients are answered: results of the engine as the JSON of completions and of chat
// completions, whole or in the chunks of a stream.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/sampling.h"
#include "engine/request.h"
#include "format/json.h"
#include "text/tokenizer.h"

namespace tidar {

enum class ApiKind : uint8_t { completion, chat };

/// A token of a prompt or an output, as "logprobs" tells it.
struct ToldToken {
  int32_t token = -1;
  std::optional<float> logprob{};  ///< none of the first token of a text, which follows nothing
  std::vector<ListedToken> top{};  ///< most probable first
};

/// New of one output: a part of it in a stream, else all.
struct ChoicePart {
  int index = 0;
  std::string text{};
  bool told = false;  ///< log-probabilities are wanted
  std::vector<ToldToken> tokens{};
  size_t offset = 0;  ///< characters of the text before these tokens
  FinishReason finish = FinishReason::none;
};

/// Sums over all outputs of a request; its prompts count once.
struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  ///< of these, those whose keys earlier requests had left
  int64_t completion_tokens = 0;
  int64_t accepted = 0;  ///< guesses of drafts that turned out right
  int64_t rejected = 0;
  int64_t passes = 0;  ///< that decoded
  std::string method{};
  bool equals_ar = false;  ///< the method gives the tokens of AR
  bool timed_out = false;  ///< an output was ended by the request's timeout
  /// Adds what a step brought.
  void add(const Update& update);
};

/// What stands in every answer to one request.
struct Envelope {
  std::string id;
  int64_t created = 0;  ///< seconds since 1970
  std::string model;
};

/// The whole answer.
OrderedJson response_json(ApiKind kind, const Envelope& envelope, std::span<const ChoicePart> parts,
                          const Usage& usage, const Tokenizer& tokenizer);

/// One chunk of a stream. `first`: of this output, where a chat names its role.
OrderedJson chunk_json(ApiKind kind, const Envelope& envelope, const ChoicePart& part, bool first,
                       const Tokenizer& tokenizer);
/// The chunk that ends a stream whose client wants its usage.
OrderedJson usage_chunk_json(ApiKind kind, const Envelope& envelope, const Usage& usage);

/// A chunk without choices, to which other fields are added.
OrderedJson frame_json(ApiKind kind, const Envelope& envelope);

/// An event of a stream, as server-sent events are written, and the one that ends it.
std::string event_of(const OrderedJson& json);
inline constexpr std::string_view kLastEvent = "data: [DONE]\n\n";

/// The text of one token; of bytes that are no text "bytes:\xe2\x82".
std::string token_text(const Tokenizer& tokenizer, int32_t token);

/// Characters that tokens add to a text. A special token has none; one that ends within a character
/// counts it where it began.
size_t characters(const Tokenizer& tokenizer, std::span<const ToldToken> tokens);

}  // namespace tidar
