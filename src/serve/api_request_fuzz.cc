// The input is a body. Whatever it is, it is read or refused with a sentence and a status; what is
// read lies within the limits that the server relies on.
//
// Seeds: bodies of both kinds, from scripts/fuzz-seeds.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "serve/api_request.h"

namespace tidar {
namespace {

void check(const OutputWish& output) {
  TIDAR_CHECK(output.n >= 1 && output.max_tokens.value_or(0) >= 0);
  TIDAR_CHECK(output.sampling.temperature >= 0 && output.sampling.top_k >= 0);
  TIDAR_CHECK(output.sampling.top_p > 0 && output.sampling.top_p <= 1);
  TIDAR_CHECK(output.penalties.repetition > 0);
  TIDAR_CHECK(output.listed.value_or(0) <= kMostListed);
  for (const std::string& stop : output.stop) TIDAR_CHECK(!stop.empty());
  for (const LogitChange& bias : output.penalties.bias) TIDAR_CHECK_LE(0, bias.token);
}

void check(const Refusal& refusal) {
  TIDAR_CHECK_EQ(refusal.status, 400);
  TIDAR_CHECK(!refusal.message.empty());
  TIDAR_CHECK(OrderedJson::accept(to_text(to_json(refusal))));
}

}  // namespace
}  // namespace tidar

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace tidar;
  const Body body = parse_body({reinterpret_cast<const char*>(bytes), size});
  if (body.refusal) {
    check(*body.refusal);
    return 0;
  }
  BodyReader completion(body.json);
  const CompletionRequest completed = read_completion_request(completion);
  if (completion.ok()) {
    check(completed.output);
    TIDAR_CHECK(!completed.prompts.empty());
  } else {
    check(*completion.refusal());
  }
  BodyReader chat(body.json);
  const ChatRequest chatted = read_chat_request(chat);
  if (chat.ok()) {
    check(chatted.output);
    for (const OrderedJson& message : chatted.conversation.messages) {
      TIDAR_CHECK(message.at("role").is_string());
    }
  } else {
    check(*chat.refusal());
  }
  return 0;
}
