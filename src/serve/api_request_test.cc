#include "serve/api_request.h"

#include <gtest/gtest.h>

#include <limits>

namespace tidar {
namespace {

/// What is wrong with a body.
std::optional<Refusal> refusal_of(const std::string& text, bool chat = false) {
  const Body body = parse_body(text);
  if (body.refusal) return body.refusal;
  BodyReader reader(body.json);
  chat ? static_cast<void>(read_chat_request(reader))
       : static_cast<void>(read_completion_request(reader));
  return reader.refusal();
}

CompletionRequest completion_request(const std::string& text) {
  const Body body = parse_body(text);
  EXPECT_FALSE(body.refusal) << body.refusal->message;
  BodyReader reader(body.json);
  CompletionRequest request = read_completion_request(reader);
  EXPECT_TRUE(reader.ok()) << reader.refusal()->message;
  return request;
}

ChatRequest chat(const std::string& text) {
  const Body body = parse_body(text);
  EXPECT_FALSE(body.refusal) << body.refusal->message;
  BodyReader reader(body.json);
  ChatRequest request = read_chat_request(reader);
  EXPECT_TRUE(reader.ok()) << reader.refusal()->message;
  return request;
}

using Ids = std::vector<int32_t>;

TEST(ApiRequest, WhatIsLeftOutIsAsTheFieldHasIt) {
  const CompletionRequest request =
      completion_request(R"({"prompt": "a", "n": null, "best": {"x": []}})");
  ASSERT_EQ(request.prompts.size(), 1u);
  EXPECT_EQ(std::get<std::string>(request.prompts[0]), "a");
  const OutputWish& output = request.output;
  EXPECT_EQ(output.n, 1);
  EXPECT_FALSE(output.max_tokens);
  EXPECT_EQ(output.sampling, (Sampling{.temperature = 1}));
  EXPECT_FALSE(output.penalties.count());
  EXPECT_FALSE(output.seed);
  EXPECT_FALSE(output.listed);
  EXPECT_FALSE(output.include_passes || output.include_rows);
  EXPECT_FALSE(output.stream || output.include_usage || output.ignore_eos || request.echo);
  EXPECT_TRUE(output.method.empty());
  EXPECT_EQ(output.form, OutputForm());
}

// Each field in which clients say it, as they send it.
TEST(ApiRequest, TheFormOfTheOutputArrives) {
  using Kind = OutputForm::Kind;
  const auto form = [](const std::string& field) {
    return completion_request(R"({"prompt": "a", )" + field + "}").output.form;
  };
  const OutputForm schema = {Kind::json_schema, R"({"type":"object","b":1,"a":2})"};
  const OutputForm digits = {Kind::expression, "\\d+"};
  EXPECT_EQ(form(R"("response_format": null)"), OutputForm());
  EXPECT_EQ(form(R"("response_format": {"type": "text"})"), OutputForm());
  EXPECT_EQ(form(R"("response_format": {"type": "json_object"})"), OutputForm{Kind::json_object});
  EXPECT_EQ(form(R"("response_format": {"type": "json_schema", "json_schema": {"name": "x",
                 "strict": true, "schema": {"type": "object", "b": 1, "a": 2}}})"),
            schema);
  EXPECT_EQ(form(R"("regex": "\\d+")"), digits);
  EXPECT_EQ(form(R"("guided_regex": "\\d+", "response_format": {"type": "text"})"), digits);
  EXPECT_EQ(form(R"("structured_outputs": {"regex": "\\d+"})"), digits);
  EXPECT_EQ(form(R"("structured_outputs": {"json_object": true})"), OutputForm{Kind::json_object});
  EXPECT_EQ(form(R"("structured_outputs": {"json": {"type": "object", "b": 1, "a": 2}})"), schema);
  EXPECT_EQ(form(R"("structured_outputs": {"json": "{}"})").text, "{}");
}

TEST(ApiRequest, AFormThatIsWrongIsRefused) {
  const auto refused = [](const std::string& fields, const char* param, const char* part) {
    const auto refusal = refusal_of(R"({"prompt": "a", )" + fields + "}");
    ASSERT_TRUE(refusal) << fields;
    EXPECT_EQ(refusal->param, param);
    EXPECT_NE(refusal->message.find(part), std::string::npos) << refusal->message;
  };
  refused(R"("response_format": "json")", "response_format", "an object whose type is");
  refused(R"("response_format": {"type": "xml"})", "response_format", "an object whose type is");
  refused(R"("response_format": {"type": "json_schema"})", "response_format", "\"schema\"");
  refused(R"("response_format": {"type": "json_schema", "json_schema": {"schema": 3}})",
          "response_format", "a JSON schema");
  refused(R"("regex": 3)", "regex", "a regular expression");
  refused(R"("structured_outputs": {"choice": ["a"]})", "structured_outputs", "one of regex");
  refused(R"("structured_outputs": {"json_object": false})", "structured_outputs", "one of regex");
  refused(R"("structured_outputs": {"json_object": true, "regex": "a"})", "structured_outputs",
          "one of regex");
  refused(R"("structured_outputs": {})", "structured_outputs", "one of regex");
  refused(R"("regex": "a", "guided_regex": "b")", "guided_regex", "left out where 'regex'");
  refused(R"("regex": "a", "ignore_eos": true)", "ignore_eos", "false where the form");
}

TEST(ApiRequest, EveryFieldArrives) {
  const CompletionRequest request = completion_request(R"({
      "model": "m", "prompt": [[1, 2], "x", []], "echo": true, "n": 3, "logprobs": 2,
      "max_tokens": 0, "stop": ["a", "b"], "seed": 18446744073709551615, "temperature": 0.5,
      "top_p": 0.25, "min_p": 0.125, "top_k": -1, "repetition_penalty": 1.5,
      "presence_penalty": -1, "frequency_penalty": 2, "logit_bias": {"7": -100, "8": 1.5},
      "ignore_eos": true, "priority": -3, "timeout": 1.5, "stream_options": {"include_usage": true, "include_drafts": true, "include_rows": true},
      "method": "tidar", "draft_length": 4, "groups": "1,3", "trust": 0.5})");
  ASSERT_EQ(request.prompts.size(), 3u);
  EXPECT_EQ(std::get<Ids>(request.prompts[0]), (Ids{1, 2}));
  EXPECT_EQ(std::get<std::string>(request.prompts[1]), "x");
  EXPECT_EQ(std::get<Ids>(request.prompts[2]), Ids{});
  EXPECT_TRUE(request.echo);
  const OutputWish& output = request.output;
  EXPECT_EQ(output.n, 3);
  EXPECT_EQ(output.listed, 2);
  EXPECT_EQ(output.max_tokens, 0);
  EXPECT_EQ(output.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(output.seed, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(output.sampling, (Sampling{.temperature = 0.5f, .top_p = 0.25f, .min_p = 0.125f}));
  EXPECT_EQ(output.penalties.repetition, 1.5f);
  EXPECT_EQ(output.penalties.presence, -1);
  EXPECT_EQ(output.penalties.frequency, 2);
  ASSERT_EQ(output.penalties.bias.size(), 2u);
  EXPECT_EQ(output.penalties.bias[0].token, 7);
  EXPECT_EQ(output.penalties.bias[0].add, -100);
  EXPECT_EQ(output.penalties.bias[1].token, 8);
  EXPECT_TRUE(output.ignore_eos && output.include_usage);
  EXPECT_EQ(output.priority, -3);
  EXPECT_EQ(output.timeout_s, 1.5f);
  EXPECT_TRUE(output.include_passes && output.include_rows);
  EXPECT_EQ(output.method.name, "tidar");
  EXPECT_EQ(output.method.draft_length, 4);
  EXPECT_EQ(output.method.groups, "1,3");
  EXPECT_EQ(output.method.trust, 0.5f);
}

TEST(ApiRequest, APromptMayBeATextIdsOrAListOfThem) {
  const auto prompts = [](const std::string& json) {
    return completion_request(R"({"prompt": )" + json + "}").prompts;
  };
  EXPECT_EQ(prompts("[1, 2, 3]"), (std::vector<PromptText>{Ids{1, 2, 3}}));
  EXPECT_EQ(prompts("[[1], [2, 3]]"), (std::vector<PromptText>{Ids{1}, Ids{2, 3}}));
  EXPECT_EQ(prompts(R"(["a", "b"])"), (std::vector<PromptText>{"a", "b"}));
  for (const char* wrong : {"[]", "1", "true", "{}", "[1, \"a\"]", "[1.5]", "[-1]", "[[-1]]",
                            "[[[1]]]", "[2147483648]", "[null]"}) {
    const auto refusal = refusal_of(std::string(R"({"prompt": )") + wrong + "}");
    ASSERT_TRUE(refusal) << wrong;
    EXPECT_EQ(refusal->param, "prompt");
  }
  EXPECT_EQ(refusal_of("{}")->param, "prompt");
}

TEST(ApiRequest, AListHasSoManyPromptsAtMost) {
  const auto body = [](size_t prompts) {
    return OrderedJson{{"prompt", std::vector<std::string>(prompts, "a")}}.dump();
  };
  EXPECT_EQ(completion_request(body(1024)).prompts.size(), 1024u);
  const auto refusal = refusal_of(body(1025));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->param, "prompt");
}

TEST(ApiRequest, WholeNumbersMayBeWrittenAsFractions) {
  EXPECT_EQ(
      completion_request(R"({"prompt": "a", "max_tokens": 16.0, "n": 2e0})").output.max_tokens, 16);
}

TEST(ApiRequest, SeedsOfAllKindsArrive) {
  EXPECT_EQ(completion_request(R"({"prompt": "a", "seed": 0})").output.seed, 0u);
  EXPECT_EQ(completion_request(R"({"prompt": "a", "seed": -1})").output.seed,
            std::numeric_limits<uint64_t>::max());
}

TEST(ApiRequest, TopP0LeavesTheMostProbable) {
  EXPECT_GT(completion_request(R"({"prompt": "a", "top_p": 0})").output.sampling.top_p, 0);
}

TEST(ApiRequest, SaysWhichFieldIsWrongAndWhatItMustBe) {
  const std::pair<const char*, const char*> cases[] = {
      {"n", "0"},
      {"n", "1000"},
      {"n", "\"1\""},
      {"n", "1.5"},
      {"priority", "1.5"},
      {"priority", "1001"},
      {"timeout", "0"},
      {"timeout", "\"5\""},
      {"timeout", "86401"},
      {"max_tokens", "-1"},
      {"max_tokens", "0"},  // without echo
      {"max_tokens", "99999999999999999999"},
      {"max_tokens", "1e300"},
      {"echo", "1"},
      {"logprobs", "21"},
      {"logprobs", "true"},
      {"stop", "[\"\"]"},
      {"stop", "[1]"},
      {"stop", "{}"},
      {"seed", "1.5"},
      {"seed", "\"a\""},
      {"temperature", "-0.1"},
      {"temperature", "\"hot\""},
      {"top_p", "1.1"},
      {"min_p", "-1"},
      {"top_k", "-2"},
      {"repetition_penalty", "0"},
      {"presence_penalty", "101"},
      {"frequency_penalty", "[]"},
      {"logit_bias", "[]"},
      {"logit_bias", "{\"a\": 1}"},
      {"logit_bias", "{\"-1\": 1}"},
      {"logit_bias", "{\"1x\": 1}"},
      {"logit_bias", "{\"1\": 101}"},
      {"logit_bias", "{\"1\": null}"},
      {"stream", "\"yes\""},
      {"stream_options", "true"},
      {"stream_options", "{\"include_usage\": 1}"},
      {"stream_options", "{\"include_drafts\": \"yes\"}"},
      {"ignore_eos", "0"},
      {"method", "1"},
      {"draft_length", "0"},
      {"groups", "1"},
      {"trust", "2"},
  };
  for (const auto& [field, value] : cases) {
    const auto refusal = refusal_of(fmt::format(R"({{"prompt": "a", "{}": {}}})", field, value));
    ASSERT_TRUE(refusal) << field << ": " << value;
    EXPECT_EQ(refusal->status, 400);
    EXPECT_EQ(refusal->param, field) << value;
    EXPECT_TRUE(refusal->message.starts_with(fmt::format("'{}' must be ", field)))
        << refusal->message;
  }
  EXPECT_EQ(refusal_of(R"({"prompt": "a", "max_tokens": 0, "echo": true, "stream": true})")->param,
            "stream");
  EXPECT_EQ(refusal_of(R"({"prompt": "a", "seed": "x", "n": 0, "stop": 1})")->param, "n")
      << "the first that is read";
}

TEST(ApiRequest, WhatIsNoObjectIsRefused) {
  for (const char* wrong :
       {"", "[]", "1", "{", R"({"prompt": "a", "prompt": "b"})", "\xff", "{}x"}) {
    const auto refusal = refusal_of(wrong);
    ASSERT_TRUE(refusal) << wrong;
    EXPECT_EQ(refusal->status, 400);
    EXPECT_NE(refusal->message.find("the body"), std::string::npos) << refusal->message;
  }
}

TEST(ApiRequest, AConversationKeepsTheOrderOfItsKeys) {
  const ChatRequest request = chat(R"({
      "messages": [{"role": "user", "content": "a"}], "tools": [{"z": 1, "a": 2}],
      "chat_template_kwargs": {"enable_thinking": false}, "max_completion_tokens": 7,
      "logprobs": true, "top_logprobs": 3, "add_generation_prompt": false})");
  EXPECT_EQ(request.conversation.messages.dump(), R"([{"role":"user","content":"a"}])");
  EXPECT_EQ(request.conversation.tools.dump(), R"([{"z":1,"a":2}])");
  EXPECT_EQ(request.conversation.variables.dump(), R"({"enable_thinking":false})");
  EXPECT_FALSE(request.conversation.add_generation_prompt);
  EXPECT_EQ(request.output.max_tokens, 7);
  EXPECT_EQ(request.output.listed, 3);
}

TEST(ApiRequest, AChatSaysHowLongItMayBeAndWhatIsListed) {
  const auto output = [](const std::string& fields) {
    return chat(R"({"messages": [{"role": "user", "content": "a"}])" + fields + "}").output;
  };
  EXPECT_FALSE(output("").max_tokens);
  EXPECT_EQ(output(R"(, "max_tokens": 5)").max_tokens, 5);
  EXPECT_EQ(output(R"(, "max_completion_tokens": 7, "max_tokens": 5)").max_tokens, 7);
  EXPECT_EQ(output(R"(, "logprobs": true)").listed, 0);
  EXPECT_FALSE(output(R"(, "logprobs": false, "top_logprobs": 3)").listed);
  EXPECT_FALSE(output(R"(, "top_logprobs": 3)").listed);
}

TEST(ApiRequest, PartsOfAContentAreJoinedWhereTheyAreTexts) {
  const ChatRequest request = chat(R"({"messages": [
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": null}]})");
  EXPECT_EQ(request.conversation.messages[0]["content"], "ab");
  EXPECT_TRUE(request.conversation.messages[1]["content"].is_null());
  EXPECT_FALSE(request.output.listed);
}

TEST(ApiRequest, SaysWhatIsWrongWithAConversation) {
  for (const char* wrong :
       {R"({})", R"({"messages": []})", R"({"messages": "a"})", R"({"messages": ["a"]})",
        R"({"messages": [{"content": "a"}]})", R"({"messages": [{"role": 1, "content": "a"}]})",
        R"({"messages": [{"role": "user", "content": 1}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "image_url", "text": "a"}]}]})",
        R"({"messages": [{"role": "user", "content": ["a"]}]})"}) {
    const auto refusal = refusal_of(wrong, true);
    ASSERT_TRUE(refusal) << wrong;
    EXPECT_EQ(refusal->param, "messages");
  }
  const auto with = [](const std::string& field) {
    const auto refusal =
        refusal_of(R"({"messages": [{"role": "user", "content": "a"}], )" + field + "}", true);
    return refusal ? refusal->param : "";
  };
  EXPECT_EQ(with(R"("tools": {})"), "tools");
  EXPECT_EQ(with(R"("chat_template_kwargs": 1)"), "chat_template_kwargs");
  EXPECT_EQ(with(R"("max_tokens": 0)"), "max_tokens");
  EXPECT_EQ(with(R"("max_completion_tokens": 0)"), "max_completion_tokens");
  EXPECT_EQ(with(R"("logprobs": 5)"), "logprobs");
  EXPECT_EQ(with(R"("top_logprobs": 21)"), "top_logprobs");
  EXPECT_EQ(with(R"("unknown": 5)"), "");
}

}  // namespace
}  // namespace tidar
