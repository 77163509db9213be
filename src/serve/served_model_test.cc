// What becomes of what a request wishes for.

#include "serve/served_model.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "serve/answering_testing.h"
#include "text/utf8.h"

namespace tidar {
namespace {

using ServedModelTest = AnsweringTest;

constexpr int32_t kEos = 266;

std::string text_of(const Heard& heard) { return heard.json["choices"][0]["text"]; }

TEST_F(ServedModelTest, AllOutputsOfARequestHaveItsPriority) {
  CompletionRequest request;
  request.prompts = {"a", "he"};
  request.output.n = 2;
  request.output.priority = -7;
  const PlannedOutputs planned = plan_completion(model_, request, 1);
  ASSERT_EQ(planned.outputs.size(), 4u);
  for (const PlannedOutput& output : planned.outputs) EXPECT_EQ(output.request.priority, -7);
}

TEST_F(ServedModelTest, AnOutputEndsBeforeAStopStringWhereverTokensEnd) {
  const OrderedJson body = {
      {"prompt", "a"}, {"max_tokens", 60}, {"temperature", 0}, {"ignore_eos", true}};
  const std::string whole = text_of(complete(body));
  int found = 0;
  for (size_t from = 0; from + 4 < whole.size() && found < 12; ++from) {
    const std::string stop = whole.substr(from, 4);
    if (!is_utf8(stop)) continue;
    ++found;
    for (const bool stream : {false, true}) {
      OrderedJson stopped = body;
      stopped["stop"] = {"no such text", stop};
      stopped["stream"] = stream;
      const Heard heard = complete(stopped);
      std::string text, finish;
      if (!stream) {
        text = text_of(heard);
        finish = heard.json["choices"][0]["finish_reason"];
      }
      for (size_t i = 0; i + 1 < heard.events.size(); ++i) {
        const OrderedJson choice = OrderedJson::parse(heard.events[i])["choices"][0];
        text += choice["text"].get<std::string>();
        if (!choice["finish_reason"].is_null()) finish = choice["finish_reason"];
      }
      EXPECT_EQ(text, whole.substr(0, whole.find(stop)));
      EXPECT_EQ(finish, "stop");
    }
  }
  EXPECT_EQ(found, 12);
}

// Also where the request itself would rather have it.
TEST_F(ServedModelTest, TheEndOfTextIsForbiddenWhereItIsToBeIgnored) {
  OrderedJson body = {{"prompt", "a"}, {"max_tokens", 9}, {"logit_bias", {{"266", 100}}}};
  const OrderedJson ended = complete(body).json;
  EXPECT_EQ(ended["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(ended["usage"]["completion_tokens"], 1);
  body["ignore_eos"] = true;
  body["logprobs"] = 0;
  const OrderedJson whole = complete(body).json;
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(whole["usage"]["completion_tokens"], 9);
  for (const OrderedJson& token : whole["choices"][0]["logprobs"]["tokens"]) {
    EXPECT_NE(token, "<bos>");
  }
}

TEST_F(ServedModelTest, WhatComesEndsWithTheContext) {
  const OrderedJson json =
      complete({{"prompt", std::string(150, 'x')}, {"max_tokens", 1000}, {"ignore_eos", true}})
          .json;
  EXPECT_EQ(json["usage"]["total_tokens"], kMockLimits.max_position);
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
}

TEST_F(ServedModelTest, ACompletionHas16TokensAndAChatWhatTheContextHasRoomFor) {
  const OrderedJson text = complete({{"prompt", "a"}, {"ignore_eos", true}}).json;
  EXPECT_EQ(text["usage"]["completion_tokens"], 16);
  const OrderedJson chat =
      ask("POST", "/v1/chat/completions",
          R"({"messages": [{"role": "user", "content": "a"}], "ignore_eos": true})")
          .json;
  EXPECT_EQ(chat["usage"]["total_tokens"], kMockLimits.max_position);
}

TEST_F(ServedModelTest, AnEchoWithoutNewTokensEndsWithItsLength) {
  const OrderedJson choice = complete({{"prompt", "ab"},
                                       {"echo", true},
                                       {"max_tokens", 0},
                                       {"logit_bias", {{"266", 100}}}})  // the end is all there is
                                 .json["choices"][0];
  EXPECT_EQ(choice["text"], "ab");
  EXPECT_EQ(choice["finish_reason"], "length");
}

TEST_F(ServedModelTest, AnEchoOfIdsHasNoSpecialTokens) {
  const OrderedJson choice =
      complete({{"prompt", {kEos, 'h', 'i', kEos}}, {"echo", true}, {"max_tokens", 0}})
          .json["choices"][0];
  EXPECT_EQ(choice["text"], "hi");
}

TEST_F(ServedModelTest, AChatEndsWithTheTokensOfItsOwn) {
  model_.chat_eos = {'Q'};
  const auto finish = [&](const char* token) {
    const Heard heard = ask("POST", "/v1/chat/completions",
                            OrderedJson{{"messages", {{{"role", "user"}, {"content", "a"}}}},
                                        {"max_tokens", 3},
                                        {"logit_bias", {{token, 100}}}}
                                .dump());
    return heard.json["choices"][0]["finish_reason"];
  };
  EXPECT_EQ(finish("81"), "stop");
  EXPECT_EQ(finish("266"), "length");
}

TEST_F(ServedModelTest, ATemplateHearsAllThatAConversationSays) {
  template_ = ChatTemplate::parse(
                  "{{ tools | tojson }} {{ x }} {{ add_generation_prompt }} "
                  "{{ strftime_now('%Y') if strftime_now is defined }}",
                  {})
                  .value();
  const auto prompt = [&](const std::string& fields) {
    return ask("POST", "/apply-template",
               R"({"messages": [{"role": "user", "content": "a"}])" + fields + "}")
        .json["prompt"];
  };
  EXPECT_EQ(prompt(""), "null  True ");
  model_.now = [] {
    std::tm time{};
    time.tm_year = 126;
    return time;
  };
  EXPECT_EQ(prompt(R"(, "tools": [{"b": 1, "a": 2}], "chat_template_kwargs": {"x": "y"},
                       "add_generation_prompt": false)"),
            R"([{"b": 1, "a": 2}] y False 2026)");
}

TEST_F(ServedModelTest, AChatNeedsATemplate) {
  model_.chat_template = nullptr;
  for (const char* const path : {"/v1/chat/completions", "/apply-template", "/tokenize"}) {
    const Heard heard = ask("POST", path, R"({"messages": [{"role": "user", "content": "a"}]})");
    ASSERT_TRUE(heard.refusal) << path;
    EXPECT_EQ(heard.refusal->status, 400);
    EXPECT_EQ(heard.refusal->param, "messages");
  }
}

TEST_F(ServedModelTest, WhatIsWrongWithAFormIsSaidOfItsField) {
  const auto param = [&](const OrderedJson& more) {
    OrderedJson body = {{"prompt", "a"}};
    body.update(more);
    return complete(body).refusal.value().param;
  };
  EXPECT_EQ(param({{"regex", "("}}), "regex");
  EXPECT_EQ(param({{"response_format",
                    {{"type", "json_schema"}, {"json_schema", {{"schema", {{"type", 1}}}}}}}}),
            "response_format");
}

}  // namespace
}  // namespace tidar
