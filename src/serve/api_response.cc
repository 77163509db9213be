#include "serve/api_response.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "serve/refusal.h"
#include "text/utf8.h"

namespace tidar {
namespace {

size_t characters_of(const Tokenizer& tokenizer, int32_t token) {
  if (tokenizer.is_special(token)) return 0;
  const std::string_view bytes = tokenizer.bytes(token);
  const auto begins = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; };
  return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), begins));
}

/// Text -> log-probability. Two tokens may have one text; each has its entry.
class Listed {
 public:
  explicit Listed(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(int32_t token, float logprob) {
    if (std::find(tokens_.begin(), tokens_.end(), token) != tokens_.end()) return;
    tokens_.push_back(token);
    std::string text = token_text(tokenizer_, token);
    if (json_.contains(text)) text = fmt::format("token_id:{}", token);
    json_[text] = logprob;
  }
  OrderedJson take() { return std::move(json_); }

 private:
  const Tokenizer& tokenizer_;
  std::vector<int32_t> tokens_;
  OrderedJson json_ = OrderedJson::object();
};

// Clients take a token for the greedy choice when its number equals the largest that is listed, so
// it is listed itself, and both are the same float.
OrderedJson completion_logprobs(const ChoicePart& part, const Tokenizer& tokenizer) {
  OrderedJson tokens = OrderedJson::array(), logprobs = tokens, top = tokens, offsets = tokens;
  size_t offset = part.offset;
  for (const ToldToken& told : part.tokens) {
    tokens.push_back(token_text(tokenizer, told.token));
    offsets.push_back(offset);
    offset += characters_of(tokenizer, told.token);
    if (!told.logprob) {
      logprobs.push_back(nullptr);
      top.push_back(nullptr);
      continue;
    }
    logprobs.push_back(*told.logprob);
    Listed listed(tokenizer);
    for (const ListedToken& other : told.top) listed.add(other.token, other.logprob);
    listed.add(told.token, *told.logprob);
    top.push_back(listed.take());
  }
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

OrderedJson chat_token(const Tokenizer& tokenizer, int32_t token, float logprob) {
  OrderedJson bytes = OrderedJson::array();
  for (const char byte : tokenizer.bytes(token)) bytes.push_back(static_cast<unsigned char>(byte));
  return {
      {"token", token_text(tokenizer, token)}, {"logprob", logprob}, {"bytes", std::move(bytes)}};
}

OrderedJson chat_logprobs(const ChoicePart& part, const Tokenizer& tokenizer) {
  OrderedJson content = OrderedJson::array();
  for (const ToldToken& told : part.tokens) {
    OrderedJson entry = chat_token(tokenizer, told.token, told.logprob.value_or(0));
    entry["top_logprobs"] = OrderedJson::array();
    for (const ListedToken& other : told.top) {
      entry["top_logprobs"].push_back(chat_token(tokenizer, other.token, other.logprob));
    }
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}};
}

OrderedJson logprobs_json(ApiKind kind, const ChoicePart& part, const Tokenizer& tokenizer) {
  if (!part.told) return nullptr;
  return kind == ApiKind::chat ? chat_logprobs(part, tokenizer)
                               : completion_logprobs(part, tokenizer);
}

// Clients know few words: "length" is theirs for what a limit cut off.
OrderedJson finish_json(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
    case FinishReason::context:
    case FinishReason::deadline:
      return "length";
    default:
      return nullptr;
  }
}

OrderedJson usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details",
           {{"accepted_prediction_tokens", usage.accepted},
            {"rejected_prediction_tokens", usage.rejected}}},
          {"tidar",
           {{"method", usage.method},
            {"equals_ar", usage.equals_ar},
            {"passes", usage.passes},
            {"timed_out", usage.timed_out}}}};
}

OrderedJson frame(ApiKind kind, const Envelope& envelope, bool chunk) {
  const std::string_view object = kind == ApiKind::completion ? "text_completion"
                                  : chunk                     ? "chat.completion.chunk"
                                                              : "chat.completion";
  return {{"id", envelope.id},
          {"object", object},
          {"created", envelope.created},
          {"model", envelope.model},
          {"choices", OrderedJson::array()}};
}

/// A choice whose text is `content`, under the name that it has there.
OrderedJson choice_json(ApiKind kind, const ChoicePart& part, const char* key, OrderedJson content,
                        const Tokenizer& tokenizer) {
  OrderedJson choice;
  choice["index"] = part.index;
  choice[key] = std::move(content);
  choice["logprobs"] = logprobs_json(kind, part, tokenizer);
  choice["finish_reason"] = finish_json(part.finish);
  return choice;
}

}  // namespace

void Usage::add(const Update& update) {
  completion_tokens += static_cast<int64_t>(update.tokens.size());
  accepted += update.stats.accepted;
  rejected += update.stats.drafted - update.stats.accepted;
  passes += update.stats.decoding ? 1 : 0;
  timed_out = timed_out || update.finish == FinishReason::deadline;
}

OrderedJson response_json(ApiKind kind, const Envelope& envelope, std::span<const ChoicePart> parts,
                          const Usage& usage, const Tokenizer& tokenizer) {
  OrderedJson json = frame(kind, envelope, false);
  for (const ChoicePart& part : parts) {
    json["choices"].push_back(kind == ApiKind::completion
                                  ? choice_json(kind, part, "text", part.text, tokenizer)
                                  : choice_json(kind, part, "message",
                                                {{"role", "assistant"}, {"content", part.text}},
                                                tokenizer));
  }
  json["usage"] = usage_json(usage);
  return json;
}

OrderedJson chunk_json(ApiKind kind, const Envelope& envelope, const ChoicePart& part, bool first,
                       const Tokenizer& tokenizer) {
  OrderedJson json = frame(kind, envelope, true);
  if (kind == ApiKind::completion) {
    json["choices"].push_back(choice_json(kind, part, "text", part.text, tokenizer));
    return json;
  }
  OrderedJson delta = OrderedJson::object();
  if (first) delta["role"] = "assistant";
  if (first || !part.text.empty()) delta["content"] = part.text;
  json["choices"].push_back(choice_json(kind, part, "delta", std::move(delta), tokenizer));
  return json;
}

OrderedJson frame_json(ApiKind kind, const Envelope& envelope) {
  return frame(kind, envelope, true);
}

OrderedJson usage_chunk_json(ApiKind kind, const Envelope& envelope, const Usage& usage) {
  OrderedJson json = frame_json(kind, envelope);
  json["usage"] = usage_json(usage);
  return json;
}

std::string event_of(const OrderedJson& json) { return "data: " + to_text(json) + "\n\n"; }

std::string token_text(const Tokenizer& tokenizer, int32_t token) {
  const std::string_view bytes = tokenizer.bytes(token);
  if (is_utf8(bytes)) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return text;
}

size_t characters(const Tokenizer& tokenizer, std::span<const ToldToken> tokens) {
  size_t sum = 0;
  for (const ToldToken& told : tokens) sum += characters_of(tokenizer, told.token);
  return sum;
}

}  // namespace tidar
