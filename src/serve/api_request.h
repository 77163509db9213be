#pragma once
// What clients ask for: the bodies of /v1/completions and /v1/chat/completions, read into plain
// data. Nothing here knows the model; what only it shows (ids, room) is refused later.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/sampling.h"
#include "constrain/output_form.h"
#include "decode/decoder.h"
#include "format/json.h"
#include "serve/body_reader.h"
#include "serve/refusal.h"

namespace tidar {

/// Most that are listed for a token: by "top_logprobs" of a chat, "logprobs" of a completion.
inline constexpr int kMostListed = 20;

/// What one request may say about its method; what it leaves out is as the server was started.
struct MethodWish {
  std::string name;  ///< "": the server's
  std::optional<int> draft_length;
  std::optional<std::string> groups;
  std::optional<float> trust;

  bool empty() const { return name.empty() && !draft_length && !groups && !trust; }
};

/// What both kinds of request say about their output.
struct OutputWish {
  int n = 1;                      ///< outputs of each prompt
  std::optional<int> max_tokens;  ///< none: as the kind of request says
  std::vector<std::string> stop;
  OutputForm form;         ///< what it must look like
  std::string form_field;  ///< that says so; "": none
  bool ignore_eos = false;
  int priority = 0;                     ///< Request::priority
  std::optional<float> timeout_s;       ///< for all of it, from when the request has come
  Sampling sampling{.temperature = 1};  ///< the field's default, unlike the command line's
  std::optional<uint64_t> seed;         ///< output i of a prompt draws from seed + i
  Penalties penalties;
  std::optional<int> listed;  ///< log-probabilities are wanted, with so many of the most probable
  bool stream = false;
  bool include_usage = false;   ///< the stream ends with a chunk of usage
  bool include_passes = false;  ///< the stream tells what its passes bring (serve/pass_event.h)
  bool include_rows = false;    ///< and which rows they held
  MethodWish method;
};

using PromptText = std::variant<std::string, std::vector<int32_t>>;

struct CompletionRequest {
  OutputWish output;
  std::vector<PromptText> prompts;  ///< at least one
  bool echo = false;                ///< the prompt stands before the output, scored like it

  /// Where the request names none; as OpenAI has it.
  static constexpr int kUsualTokens = 16;
};

/// A conversation, as text/chat_template.h takes it.
struct Conversation {
  OrderedJson messages;
  OrderedJson tools = nullptr;
  OrderedJson variables = OrderedJson::object();
  bool add_generation_prompt = true;
};

struct ChatRequest {
  OutputWish output;
  Conversation conversation;
};

/// "timeout" of a body, and the value of the header of this name: seconds.
inline constexpr NumberRange kTimeouts = {1e-3, 86400};
inline constexpr std::string_view kTimeoutHeader = "X-Request-Timeout";

/// Read the fields of a body that has been parsed. The reader says what is wrong.
CompletionRequest read_completion_request(BodyReader& body);
ChatRequest read_chat_request(BodyReader& body);
Conversation read_conversation(BodyReader& body);

}  // namespace tidar
