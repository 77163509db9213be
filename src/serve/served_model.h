#pragma once
// What the server knows of its model, and how what a client wants becomes requests of the engine.

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/constraint.h"
#include "base/result.h"
#include "engine/request.h"
#include "format/json.h"
#include "serve/api_request.h"
#include "serve/refusal.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tidar {

/// Frozen when the server starts. Views must outlive it.
struct ServedModel {
  std::string name;
  int64_t created = 0;  ///< seconds since 1970
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;  ///< none: there is no chat
  int context = 0;                              ///< tokens of prompt and output at most
  int32_t mask_token = -1;
  std::vector<int32_t> eos;       ///< of completions
  std::vector<int32_t> chat_eos;  ///< of answers
  OrderedJson tokenizer_info;     ///< bos_token, eos_token … and chat_template
  std::string method;             ///< of requests that name none

  std::function<std::tm()> now;  ///< local time, which templates may ask for; none: they cannot
  /// The method of a request, with room for `max_new` tokens. Called from several threads at once.
  std::function<Result<Method>(const MethodWish& wish, int max_new)> make_method;
  /// What holds outputs, which end with one of `eos`, to a form; nullptr where it is free. Called
  /// on the thread that plans.
  std::function<Result<std::shared_ptr<const Constraint>>(const OutputForm& form,
                                                          const std::vector<int32_t>& eos)>
      make_constraint;
};

/// One output to come.
struct PlannedOutput {
  Request request;
  bool nothing_new = false;   ///< max_tokens is 0: the one token that the engine makes is dropped
  bool counts_prompt = true;  ///< the first of its prompt: the others' usage of it does not count
  std::string echo;           ///< text that stands before it
};

/// What one API request asks of the engine: n outputs of prompt 0, n of prompt 1 …; or what is
/// wrong with it.
struct PlannedOutputs {
  std::vector<PlannedOutput> outputs;
  int64_t prompt_tokens = 0;
  std::string method;      ///< of all of them
  bool equals_ar = false;  ///< it gives the tokens of AR
  std::optional<float> timeout_s{};
  std::optional<Refusal> refusal;
};

/// `seed` is used where the request names none.
PlannedOutputs plan_completion(const ServedModel& model, const CompletionRequest& request,
                               uint64_t seed);
PlannedOutputs plan_chat(const ServedModel& model, const ChatRequest& request, uint64_t seed);

/// The prompt of a conversation, or why there is none.
struct ConversationPrompt {
  MarkedText text;
  std::optional<Refusal> refusal;
};
ConversationPrompt render(const ServedModel& model, const Conversation& conversation);

}  // namespace tidar
