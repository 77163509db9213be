#include "serve/api_response.h"

#include <gtest/gtest.h>

#include "serve/refusal.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

const Envelope kEnvelope = {.id = "cmpl-1", .created = 12, .model = "m"};

/// Ids below 256 are bytes.
Tokenizer bytes_tokenizer() { return Tokenizer::parse(small_tokenizer().dump(), "small").value(); }

ToldToken told(int32_t token, float logprob, std::vector<ListedToken> top = {}) {
  return {.token = token, .logprob = logprob, .top = std::move(top)};
}

OrderedJson completion_logprobs(const ChoicePart& part, const Tokenizer& tokenizer) {
  return response_json(ApiKind::completion, kEnvelope, {&part, 1}, {},
                       tokenizer)["choices"][0]["logprobs"];
}

TEST(ApiResponse, ACompletionHasItsChoicesAndItsUsage) {
  const Tokenizer tokenizer = bytes_tokenizer();
  const ChoicePart parts[] = {{.index = 0, .text = "a", .finish = FinishReason::stop},
                              {.index = 1, .text = "b", .finish = FinishReason::context}};
  const Usage usage = {.prompt_tokens = 3,
                       .completion_tokens = 4,
                       .accepted = 5,
                       .rejected = 6,
                       .passes = 7,
                       .method = "x",
                       .equals_ar = true,
                       .timed_out = true};
  EXPECT_EQ(to_text(response_json(ApiKind::completion, kEnvelope, parts, usage, tokenizer)),
            R"({"id":"cmpl-1","object":"text_completion","created":12,"model":"m","choices":[)"
            R"({"index":0,"text":"a","logprobs":null,"finish_reason":"stop"},)"
            R"({"index":1,"text":"b","logprobs":null,"finish_reason":"length"}],)"
            R"("usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,)"
            R"("prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":)"
            R"({"accepted_prediction_tokens":5,"rejected_prediction_tokens":6},)"
            R"("tidar":{"method":"x","equals_ar":true,"passes":7,"timed_out":true}}})");
}

TEST(ApiResponse, ClientsKnowFewReasonsForAnEnd) {
  const Tokenizer tokenizer = bytes_tokenizer();
  const auto told = [&](FinishReason reason) {
    const ChoicePart part = {.finish = reason};
    return response_json(ApiKind::completion, kEnvelope, {&part, 1}, {},
                         tokenizer)["choices"][0]["finish_reason"];
  };
  EXPECT_EQ(told(FinishReason::stop), "stop");
  for (const auto limit : {FinishReason::length, FinishReason::context, FinishReason::deadline}) {
    EXPECT_EQ(told(limit), "length");
  }
  EXPECT_TRUE(told(FinishReason::none).is_null());
}

TEST(ApiResponse, AChatHasAMessage) {
  const Tokenizer tokenizer = bytes_tokenizer();
  const ChoicePart part = {.text = "hi", .finish = FinishReason::length};
  const OrderedJson json = response_json(ApiKind::chat, kEnvelope, {&part, 1}, {}, tokenizer);
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["choices"][0].dump(),
            R"({"index":0,"message":{"role":"assistant","content":"hi"},"logprobs":null,)"
            R"("finish_reason":"length"})");
}

// The contract of a harness that measures likelihoods.
TEST(ApiResponse, TheFirstTokenHasNoLogprobAndTheGreedyOneEqualsTheLargest) {
  const Tokenizer tokenizer = bytes_tokenizer();
  const float likely = -0.1f, unlikely = -2.3f;
  const ChoicePart part = {.text = "abc",
                           .told = true,
                           .tokens = {{.token = 'a'},
                                      told('b', likely, {{'b', likely}}),
                                      told('c', unlikely, {{'d', likely}})}};
  const OrderedJson logprobs = completion_logprobs(part, tokenizer);
  EXPECT_EQ(logprobs["tokens"].dump(), R"(["a","b","c"])");
  EXPECT_EQ(logprobs["text_offset"].dump(), "[0,1,2]");
  const OrderedJson again = OrderedJson::parse(to_text(logprobs));  // as a client has it
  EXPECT_TRUE(again["token_logprobs"][0].is_null());
  EXPECT_TRUE(again["top_logprobs"][0].is_null());
  EXPECT_EQ(again["token_logprobs"][1].get<double>(), double{likely});
  EXPECT_EQ(again["top_logprobs"][1], (OrderedJson{{"b", double{likely}}}));
  EXPECT_EQ(again["top_logprobs"][2],
            (OrderedJson{{"d", double{likely}}, {"c", double{unlikely}}}));
}

TEST(ApiResponse, TokensThatAreNoTextOrHaveTheSameTextHaveKeysOfTheirOwn) {
  nlohmann::json json = small_tokenizer();
  json["added_tokens"].push_back(added_token(300, " t", false));
  const Tokenizer tokenizer = Tokenizer::parse(json.dump(), "small").value();
  const int32_t merged = 256;
  ASSERT_EQ(tokenizer.bytes(merged), tokenizer.bytes(300));
  const ChoicePart part = {.told = true, .tokens = {told(0xC3, -1, {{300, -0.5f}, {merged, -2}})}};
  const OrderedJson logprobs = completion_logprobs(part, tokenizer);
  EXPECT_EQ(logprobs["tokens"][0], "bytes:\\xc3");
  EXPECT_EQ(logprobs["top_logprobs"][0].dump(),
            R"({" t":-0.5,"token_id:256":-2.0,"bytes:\\xc3":-1.0})");
}

TEST(ApiResponse, OffsetsCountCharacters) {
  const Tokenizer tokenizer = bytes_tokenizer();
  const int32_t bos = tokenizer.id_of("<bos>");
  const ChoicePart part = {
      .told = true,
      .tokens = {told(bos, 0), told(0xC3, 0), told(0xA9, 0), told('a', 0), told('b', 0)},
      .offset = 10};
  EXPECT_EQ(completion_logprobs(part, tokenizer)["text_offset"].dump(), "[10,10,11,11,12]");
  EXPECT_EQ(characters(tokenizer, part.tokens), 3u);
}

TEST(ApiResponse, TheLogprobsOfAChatNameTheirBytes) {
  const Tokenizer tokenizer = bytes_tokenizer();
  const ChoicePart part = {.told = true, .tokens = {told(0xC3, -1, {{'a', -0.5f}})}};
  const OrderedJson json = response_json(ApiKind::chat, kEnvelope, {&part, 1}, {}, tokenizer);
  EXPECT_EQ(json["choices"][0]["logprobs"].dump(),
            R"({"content":[{"token":"bytes:\\xc3","logprob":-1.0,"bytes":[195],)"
            R"("top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]}]})");
}

TEST(ApiResponse, ChunksOfAChatBeginWithTheRole) {
  const Tokenizer tokenizer = bytes_tokenizer();
  const auto delta = [&](const ChoicePart& part, bool first) {
    const OrderedJson json = chunk_json(ApiKind::chat, kEnvelope, part, first, tokenizer);
    EXPECT_EQ(json["object"], "chat.completion.chunk");
    return json["choices"][0]["delta"].dump();
  };
  EXPECT_EQ(delta({.text = "a"}, true), R"({"role":"assistant","content":"a"})");
  EXPECT_EQ(delta({.text = "b"}, false), R"({"content":"b"})");
  EXPECT_EQ(delta({.finish = FinishReason::stop}, false), "{}");
}

TEST(ApiResponse, AChunkOfUsageHasNoChoices) {
  const OrderedJson json = usage_chunk_json(ApiKind::completion, kEnvelope, {.prompt_tokens = 2});
  EXPECT_EQ(json["choices"].dump(), "[]");
  EXPECT_EQ(json["usage"]["total_tokens"], 2);
  EXPECT_EQ(event_of({{"a", "\n"}}), "data: {\"a\":\"\\n\"}\n\n");
}

TEST(ApiResponse, TextThatIsNoUtf8IsSentAsSuch) {
  EXPECT_EQ(to_text({{"a", "\xff"}}), "{\"a\":\"\xEF\xBF\xBD\"}");
}

TEST(ApiResponse, ARefusalSaysWhatItsStatusMeans) {
  EXPECT_EQ(to_text(to_json(refuse_field("n", "wrong"))),
            R"({"error":{"message":"wrong","type":"invalid_request_error","param":"n",)"
            R"("code":null}})");
  for (const auto& [status, type] :
       {std::pair(400, "invalid_request_error"), std::pair(401, "authentication_error"),
        std::pair(404, "not_found_error"), std::pair(405, "not_found_error"),
        std::pair(413, "invalid_request_error"), std::pair(429, "rate_limit_error"),
        std::pair(500, "server_error"), std::pair(503, "server_error")}) {
    const OrderedJson error = to_json({.status = status, .message = "x", .code = "y"})["error"];
    EXPECT_EQ(error["type"], type) << status;
    EXPECT_EQ(error["code"], "y");
    EXPECT_TRUE(error["param"].is_null());
  }
}

TEST(ApiResponse, UsageCountsGuesses) {
  Usage usage;
  Update update;
  update.tokens.resize(3);
  update.stats.drafted = 7;
  update.stats.accepted = 2;
  update.stats.decoding = true;
  usage.add(update);
  EXPECT_FALSE(usage.timed_out);
  update.finish = FinishReason::deadline;
  usage.add(update);
  usage.add(Update());  // of a pass that read the prompt
  EXPECT_EQ(usage.completion_tokens, 6);
  EXPECT_EQ(usage.accepted, 4);
  EXPECT_EQ(usage.rejected, 10);
  EXPECT_EQ(usage.passes, 2);
  EXPECT_TRUE(usage.timed_out) << "as long as one of them was";
}

}  // namespace
}  // namespace tidar
