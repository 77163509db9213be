#include "serve/served_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace tidar {
namespace {

void forbid(const std::vector<int32_t>& tokens, std::vector<LogitChange>& bias) {
  for (const int32_t token : tokens) {
    std::erase_if(bias, [&](const LogitChange& other) { return other.token == token; });
    bias.push_back({.token = token, .add = -std::numeric_limits<float>::infinity()});
  }
}

/// Makes the requests of one API request, prompt by prompt.
class Planner {
 public:
  Planner(const ServedModel& model, const OutputWish& wish, const std::vector<int32_t>& eos,
          uint64_t seed)
      : model_(model), wish_(wish), eos_(eos), seed_(wish.seed.value_or(seed)) {
    planned_.timeout_s = wish.timeout_s;
  }

  void refuse(Refusal refusal) {
    if (!planned_.refusal) planned_.refusal = std::move(refusal);
  }

  /// `usual` tokens where the request names no number; `field` is where its prompt stands.
  void add(std::vector<int32_t> prompt, const std::string& field, int usual, bool echo,
           const std::string& echoed) {
    if (planned_.refusal) return;
    const int room = model_.context - static_cast<int>(prompt.size());
    if (prompt.empty()) {
      return refuse(refuse_field(field, fmt::format("'{}' must hold at least one token", field)));
    }
    if (room < 1) {
      return refuse({.message = fmt::format("the prompt has {} tokens, and the context is {}, of "
                                            "which one at least must be left; shorten the prompt",
                                            prompt.size(), model_.context),
                     .param = field,
                     .code = "context_length_exceeded"});
    }
    const int wanted = wish_.max_tokens.value_or(usual);
    Request request = request_of(std::clamp(wanted, 1, room));
    request.sequence.score_prompt = echo && wish_.listed.has_value();
    planned_.prompt_tokens += static_cast<int64_t>(prompt.size());
    request.sequence.prompt = std::move(prompt);
    for (int i = 0; i < wish_.n; ++i) {
      request.sequence.sampling.seed = seed_ + static_cast<uint64_t>(i);
      planned_.outputs.push_back({.request = request,
                                  .nothing_new = wanted == 0,
                                  .counts_prompt = i == 0,
                                  .echo = echoed});
    }
  }

  PlannedOutputs take() { return std::move(planned_); }

 private:
  Request request_of(int max_new) {
    Request request;
    request.max_new = max_new;
    request.priority = wish_.priority;
    SequenceSpec& sequence = request.sequence;
    sequence.sampling = wish_.sampling;
    sequence.penalties = wish_.penalties;
    sequence.mask_token = model_.mask_token;
    sequence.top = std::min(wish_.listed.value_or(0), model_.tokenizer->size());
    request.stop = wish_.stop;
    if (wish_.ignore_eos) {
      forbid(eos_, sequence.penalties.bias);
    } else {
      request.eos = eos_;
    }
    auto constraint = model_.make_constraint(wish_.form, eos_);
    if (constraint.ok()) {
      sequence.constraint = std::move(*constraint);
    } else {
      refuse(refuse_field(wish_.form_field, constraint.error().message));
    }
    auto method = model_.make_method(wish_.method, max_new);
    if (method.ok()) {
      planned_.method = name_of(*method);
      planned_.equals_ar = facts_of(*method).equals_ar;
      request.method = std::move(*method);
    } else {
      refuse(refuse_field("method", method.error().message));
    }
    return request;
  }

  const ServedModel& model_;
  const OutputWish& wish_;
  const std::vector<int32_t>& eos_;
  uint64_t seed_;
  PlannedOutputs planned_;
};

}  // namespace

PlannedOutputs plan_completion(const ServedModel& model, const CompletionRequest& request,
                               uint64_t seed) {
  Planner planner(model, request.output, model.eos, seed);
  for (const PromptText& prompt : request.prompts) {
    if (const auto* const text = std::get_if<std::string>(&prompt)) {
      planner.add(model.tokenizer->encode(*text), "prompt", CompletionRequest::kUsualTokens,
                  request.echo, request.echo ? *text : "");
    } else {
      const auto& ids = std::get<std::vector<int32_t>>(prompt);
      planner.add(ids, "prompt", CompletionRequest::kUsualTokens, request.echo,
                  request.echo ? model.tokenizer->decode(ids, SkipSpecial::yes) : "");
    }
  }
  return planner.take();
}

PlannedOutputs plan_chat(const ServedModel& model, const ChatRequest& request, uint64_t seed) {
  Planner planner(model, request.output, model.chat_eos, seed);
  const ConversationPrompt prompt = render(model, request.conversation);
  if (prompt.refusal) {
    planner.refuse(*prompt.refusal);
  } else {
    planner.add(model.tokenizer->encode_prompt(prompt.text), "messages", model.context, false, "");
  }
  return planner.take();
}

ConversationPrompt render(const ServedModel& model, const Conversation& conversation) {
  ConversationPrompt prompt;
  if (model.chat_template == nullptr) {
    prompt.refusal =
        refuse_field("messages", "the model has no chat template; use /v1/completions");
    return prompt;
  }
  ChatOptions options;
  options.add_generation_prompt = conversation.add_generation_prompt;
  options.tools = conversation.tools;
  options.variables = conversation.variables;
  if (model.now) options.now = model.now();
  auto text = model.chat_template->render(conversation.messages, options);
  if (text.ok()) {
    prompt.text = std::move(*text);
  } else {
    prompt.refusal = refuse_field("messages", text.error().message);
  }
  return prompt;
}

}  // namespace tidar
