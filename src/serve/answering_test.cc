#include "serve/answering.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "serve/answering_testing.h"

namespace tidar {
namespace {

TEST_F(AnsweringTest, OutputsComePromptByPrompt) {
  const OrderedJson one = {{"prompt", "he"}, {"max_tokens", 5}, {"temperature", 0}};
  const std::string alone = complete(one).json["choices"][0]["text"];
  const Heard heard =
      complete({{"prompt", {"a", "he"}}, {"n", 2}, {"max_tokens", 5}, {"temperature", 0}});
  const OrderedJson& choices = heard.json["choices"];
  ASSERT_EQ(choices.size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(choices[i]["index"], i);
  EXPECT_EQ(choices[0]["text"], choices[1]["text"]);
  EXPECT_EQ(choices[2]["text"], alone);
  EXPECT_EQ(choices[3]["text"], alone);
  EXPECT_EQ(choices[0]["finish_reason"], "length");
  EXPECT_EQ(heard.json["usage"]["prompt_tokens"], 2);  // "a", "he"
  EXPECT_EQ(heard.json["usage"]["completion_tokens"], 20);
}

// Whatever the model would rather say; and every method that equals AR gives the same, greedy and
// drawn. Those that cannot keep to a form say so.
TEST_F(AnsweringTest, OutputsHaveTheFormThatWasAskedFor) {
  const OrderedJson schema = OrderedJson::parse(
      R"({"type": "object", "properties": {"b": {"enum": ["he", 1]}, "a": {"type": "boolean"}},
          "required": ["b", "a"], "additionalProperties": false})");
  const OrderedJson format = {{"type", "json_schema"},
                              {"json_schema", {{"name", "x"}, {"schema", schema}}}};
  for (const double temperature : {0.0, 1.0}) {
    std::vector<OrderedJson> texts;
    for (const char* const method : {"ar", "tidar", "self-speculative", "lookup"}) {
      OrderedJson body = {
          {"prompt", "a"}, {"method", method},  {"temperature", temperature}, {"seed", 3},
          {"n", 3},        {"max_tokens", 150}, {"response_format", format}};
      Heard heard = complete(body);
      ASSERT_FALSE(heard.refusal) << heard.refusal->message;
      texts.emplace_back();
      for (const OrderedJson& choice : heard.json["choices"]) {
        texts.back().push_back(choice["text"]);
        EXPECT_EQ(choice["finish_reason"], "stop");
        const auto value = OrderedJson::parse(choice["text"].get<std::string>());
        EXPECT_EQ(value.size(), 2u);
        EXPECT_TRUE(value["b"] == "he" || value["b"] == 1);
        EXPECT_TRUE(value["a"].is_boolean());
      }
      EXPECT_EQ(texts.back(), texts.front()) << method;

      body.erase("response_format");
      body["regex"] = "(?:aa|the){3}é";
      heard = complete(body);
      for (const OrderedJson& choice : heard.json["choices"]) {
        const std::string text = choice["text"];
        EXPECT_TRUE(text.ends_with("é")) << text;
        EXPECT_EQ(choice["finish_reason"], "stop");
      }
    }
  }
  OrderedJson body = {{"prompt", "a"}, {"response_format", {{"type", "json_object"}}}};
  body["method"] = "block-diffusion";
  Heard heard = complete(body);
  ASSERT_TRUE(heard.refusal);
  EXPECT_EQ(heard.refusal->status, 400);
  EXPECT_NE(heard.refusal->message.find("cannot keep to a given form"), std::string::npos);
  for (const auto& [field, value] : {std::pair<std::string, OrderedJson>("regex", "("),
                                     {"guided_regex", "("},
                                     {"structured_outputs", {{"regex", "("}}},
                                     {"structured_outputs", {{"json", {{"type", 3}}}}}}) {
    heard = complete({{"prompt", "a"}, {field, value}});
    ASSERT_TRUE(heard.refusal);
    EXPECT_EQ(heard.refusal->param, field);
  }
  heard = ask("POST", "/v1/chat/completions",
              R"({"messages": [{"role": "user", "content": "x"}], "max_tokens": 60, "seed": 1,
                  "response_format": {"type": "json_schema",
                                      "json_schema": {"schema": {"type": "integer"}}}})");
  ASSERT_FALSE(heard.refusal) << heard.refusal->message;
  EXPECT_TRUE(OrderedJson::parse(heard.json["choices"][0]["message"]["content"].get<std::string>())
                  .is_number_integer());
}

TEST_F(AnsweringTest, OutputsOfOnePromptDrawFromSeedsThatFollow) {
  const auto texts = [&](int seed, int n) {
    std::vector<OrderedJson> found;
    const Heard heard = complete({{"prompt", "a"}, {"n", n}, {"max_tokens", 8}, {"seed", seed}});
    for (const OrderedJson& choice : heard.json["choices"]) found.push_back(choice["text"]);
    return found;
  };
  const auto three = texts(5, 3);
  EXPECT_EQ(texts(6, 1)[0], three[1]);
  EXPECT_EQ(texts(7, 1)[0], three[2]);
  EXPECT_NE(three[0], three[1]);
  const auto unseeded = [&] {
    return ask("POST", "/v1/completions", R"({"prompt": "a", "max_tokens": 20})").json["choices"];
  };
  EXPECT_NE(unseeded(), unseeded());
}

TEST_F(AnsweringTest, AnAnswerTellsWhetherItIsThatOfAr) {
  for (const auto& [method, equal] :
       {std::pair("ar", true), std::pair("tidar", true), std::pair("lookup", true),
        std::pair("block-diffusion", false)}) {
    for (const bool stream : {false, true}) {
      Heard heard = complete({{"prompt", "a"},
                              {"method", method},
                              {"max_tokens", 9},
                              {"stream", stream},
                              {"stream_options", {{"include_usage", true}}}});
      EXPECT_EQ(heard.fields["Tidar-Method"], method);
      EXPECT_EQ(heard.fields["Tidar-Equals-AR"], equal ? "true" : "false");
      const OrderedJson last =
          stream ? OrderedJson::parse(heard.events[heard.events.size() - 2]) : heard.json;
      const OrderedJson& told = last["usage"]["tidar"];
      EXPECT_EQ(told["method"], method);
      EXPECT_EQ(told["equals_ar"], equal);
      EXPECT_GT(told["passes"], 0);
    }
  }
}

TEST_F(AnsweringTest, AnEchoWithoutNewTokensHasOneEntryAToken) {
  const auto logprobs = [&](int max_tokens) {
    const Heard heard = complete({{"prompt", OrderedJson::array({7, 8, 9, 10})},
                                  {"echo", true},
                                  {"logprobs", 1},
                                  {"max_tokens", max_tokens}});
    EXPECT_EQ(heard.json["choices"][0]["finish_reason"], "length");
    EXPECT_EQ(heard.json["usage"]["completion_tokens"], max_tokens);
    return heard.json["choices"][0]["logprobs"];
  };
  const OrderedJson none = logprobs(0), one = logprobs(1);
  for (const char* key : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    EXPECT_EQ(none[key].size(), 4u) << key;
    EXPECT_EQ(one[key].size(), 5u) << key;
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(one[key][i], none[key][i]) << key;
  }
  EXPECT_TRUE(none["token_logprobs"][0].is_null());
}

TEST_F(AnsweringTest, AChatIsTheCompletionOfItsPrompt) {
  const OrderedJson messages = {{{"role", "user"}, {"content", "in <bos>"}}};
  const Heard prompt = ask("POST", "/tokenize", OrderedJson{{"messages", messages}}.dump());
  const Heard chat = ask(
      "POST", "/v1/chat/completions",
      OrderedJson{{"messages", messages}, {"max_completion_tokens", 9}, {"temperature", 0}}.dump());
  const Heard completion =
      complete({{"prompt", prompt.json["tokens"]}, {"max_tokens", 9}, {"temperature", 0}});
  EXPECT_EQ(chat.json["choices"][0]["message"]["content"], completion.json["choices"][0]["text"]);
  EXPECT_EQ(chat.json["usage"], completion.json["usage"]);
}

TEST_F(AnsweringTest, APromptThatWasReadCountsOnceForAllItsOutputs) {
  engine_.share_prefixes();  // before it is asked for anything
  OrderedJson body = {{"prompt", std::string(130, 'x')}, {"max_tokens", 3}, {"ignore_eos", true}};
  const auto cached = [&] {
    return complete(body).json["usage"]["prompt_tokens_details"]["cached_tokens"];
  };
  EXPECT_EQ(cached(), 0);
  body["n"] = 3;
  EXPECT_EQ(cached(), 128);
  const auto found = samples_of(ask("GET", "/metrics", "").content->second);
  EXPECT_EQ(found.at("tidar:pages{state=\"held\"}"), 0);
  EXPECT_GE(found.at("tidar:pages{state=\"kept\"}"), 2);
  EXPECT_EQ(found.at("tidar:pages{state=\"kept\"}") + found.at("tidar:pages{state=\"free\"}"),
            kMockLimits.pages);
}

TEST_F(AnsweringTest, SaysWhatDoesNotFit) {
  const auto refused = [&](const OrderedJson& body) { return complete(body).refusal.value(); };
  const Refusal too_long = refused({{"prompt", std::string(200, 'x')}});
  EXPECT_EQ(too_long.status, 400);
  EXPECT_EQ(too_long.code, "context_length_exceeded");
  EXPECT_EQ(refused({{"prompt", ""}}).param, "prompt");
  EXPECT_EQ(refused({{"prompt", OrderedJson::array({100000})}}).status, 400);
  EXPECT_EQ(refused({{"prompt", "a"}, {"method", "magic"}}).param, "method");
  EXPECT_EQ(refused({{"prompt", "a"}, {"n", 9}}).status, 400) << "never fits";
  EXPECT_EQ(refused({{"prompt", "a"}, {"logit_bias", {{"100000", 1}}}}).status, 400);
}

TEST_F(AnsweringTest, WhoComesToAFullHouseIsToldToComeAgain) {
  Heard first, second;
  const HttpRequest request = {.method = "POST",
                               .target = "/v1/completions",
                               .authorization = {},
                               .body = R"({"prompt": "a", "n": 5, "max_tokens": 100})"};
  auto answering = routes_.handle(request, first);
  ASSERT_TRUE(answering);
  const auto other = routes_.handle(request, second);
  while (!second.done()) (*calls_.pop())();
  ASSERT_TRUE(second.refusal);
  EXPECT_EQ(second.refusal->status, 429);
  while (!first.done()) (*calls_.pop())();
  EXPECT_FALSE(first.refusal);
  // Whoever goes leaves room.
  answering.reset();
  while (thread_.under_way() > 0) (*calls_.pop())();
}

TEST_F(AnsweringTest, WhoGoesInTheMiddleIsForgotten) {
  Heard heard;
  paced_.allow(50);
  auto answering = routes_.handle({.method = "POST",
                                   .target = "/v1/completions",
                                   .authorization = {},
                                   .body = R"({"prompt": "a", "max_tokens": 190, "temperature": 0,
                                               "stream": true})"},
                                  heard);
  while (heard.events.empty()) (*calls_.pop())();
  answering.reset();
  paced_.allow_all();
  while (thread_.under_way() > 0) (*calls_.pop())();
  EXPECT_FALSE(heard.done());
}

TEST_F(AnsweringTest, WhoGoesBeforeItsBodyWasReadIsForgotten) {
  Heard heard;
  auto answering = routes_.handle(
      {.method = "POST", .target = "/tokenize", .authorization = {}, .body = R"({"prompt": "a"})"},
      heard);
  const auto reply = calls_.pop();
  answering.reset();
  (*reply)();
  EXPECT_FALSE(heard.done());
}

// From a broken checkpoint, say.
TEST_F(AnsweringTest, NumbersThatAreNotFiniteAreAnError) {
  using Spoilt = PacedEvaluator::Spoilt;
  const OrderedJson body = {{"prompt", "abc"}, {"echo", true}, {"logprobs", 1}};
  EXPECT_FALSE(complete(body).refusal);
  for (const Spoilt what : {Spoilt::choices, Spoilt::scores}) {
    paced_.spoil(what);
    const Heard heard = complete(body);
    ASSERT_TRUE(heard.refusal);
    EXPECT_EQ(heard.refusal->status, 500);
    EXPECT_NE(heard.refusal->message.find("not finite"), std::string::npos);
  }
  paced_.spoil(Spoilt::choices);
  const Heard heard = complete({{"prompt", "abc"}});
  ASSERT_TRUE(heard.refusal);
  EXPECT_EQ(heard.refusal->status, 500);
}

TEST_F(AnsweringTest, ARequestThatThereIsNoMemoryForEndsNoOther) {
  const auto make_method = model_.make_method;
  model_.make_method = [](const MethodWish&, int) -> Result<Method> { throw std::bad_alloc(); };
  const Heard heard = complete({{"prompt", "abc"}});
  ASSERT_TRUE(heard.refusal);
  EXPECT_EQ(heard.refusal->status, 503);
  model_.make_method = make_method;
  EXPECT_FALSE(complete({{"prompt", "abc"}}).refusal);
}

TEST_F(AnsweringTest, WhatNeverFitsIsRefusedBeforeItIsPlanned) {
  int planned = 0;
  model_.make_method = [&](const MethodWish&, int) -> Result<Method> {
    ++planned;
    return Method(ArOptions{});
  };
  const std::vector<std::string> prompts(1000, "a");
  const Heard heard = complete({{"prompt", prompts}, {"n", 128}});
  ASSERT_TRUE(heard.refusal);
  EXPECT_EQ(heard.refusal->status, 400);
  EXPECT_NE(heard.refusal->message.find("128000 outputs are wanted"), std::string::npos);
  EXPECT_EQ(ask("POST", "/v1/chat/completions",
                R"({"messages": [{"role": "user", "content": "a"}], "n": 9})")
                .refusal->status,
            400);
  EXPECT_EQ(planned, 0);
}

}  // namespace
}  // namespace tidar
