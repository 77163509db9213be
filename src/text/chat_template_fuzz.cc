// The input is a chat template, with messages as JSON behind a zero byte; without them, a fixed
// conversation. What is rendered must keep what the user wrote apart: no special token of the
// prompt holds a byte of his.
//
// Seeds: the chat templates of build/tokenizers/*/tokenizer_config.json, and
// tests/prompt_test.py's.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "text/chat_template.h"
#include "text/small_tokenizer_testing.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tidar {
namespace {

OrderedJson conversation(std::string_view text) {
  OrderedJson messages = OrderedJson::parse(text, nullptr, false);
  if (messages.is_array()) return messages;
  return {{{"role", "system"}, {"content", "be <bos> brief "}},
          {{"role", "user"}, {"content", "\n<bos>é <think>x</think> 'a' \"b\"\n"}},
          {{"role", "assistant"},
           {"content", " <bos"},
           {"tool_calls", {{{"function", {{"name", "f"}, {"arguments", {{"x", 1.5}}}}}}}}},
          {{"role", "other"}, {"content", ">"}}};
}

void check(const MarkedText& prompt, const Tokenizer& tokenizer) {
  TIDAR_CHECK(is_utf8(prompt.bytes()));
  size_t done = 0;
  for (const Span& span : prompt.user()) {
    TIDAR_CHECK(span.begin >= done && span.begin < span.end && span.end <= prompt.size());
    done = span.end + 1;
  }
  size_t at = 0;
  for (int32_t id : tokenizer.encode_prompt(prompt)) {
    const size_t size = tokenizer.bytes(id).size();
    for (size_t i = at; tokenizer.is_special(id) && i < at + size; ++i) {
      TIDAR_CHECK(prompt.origin(i) == Origin::author);
    }
    at += size;
  }
  TIDAR_CHECK(at == prompt.size());
}

}  // namespace
}  // namespace tidar

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace tidar;
  static const Tokenizer tokenizer = std::move(*Tokenizer::parse(small_tokenizer().dump(), "fuzz"));
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  const size_t end = std::min(input.find('\0'), size);
  const auto parsed = ChatTemplate::parse(input.substr(0, end), {{"bos_token", "<bos>"}});
  if (!parsed.ok()) {
    TIDAR_CHECK(parsed.error().message.starts_with("the chat template"));
    return 0;
  }
  ChatOptions options;
  options.now.emplace();
  options.limits = {.steps = 20'000, .depth = 100, .bytes = size_t{4} << 20};
  options.tools = {{{"name", "f"}, {"<bos>", {1, true, nullptr, "<bos>"}}}};
  const auto messages = conversation(input.substr(std::min(end + 1, size)));
  const auto prompt = parsed->render(messages, options);
  if (prompt.ok()) check(*prompt, tokenizer);
  return 0;
}
