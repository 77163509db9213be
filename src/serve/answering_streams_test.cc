// Streams: their events, their passes, and how they end.

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serve/answering_testing.h"

namespace tidar {
namespace {

using AnsweringStreamsTest = AnsweringTest;

TEST_F(AnsweringStreamsTest, WhatIsStreamedIsWhatIsAnsweredAtOnce) {
  for (const bool echo : {false, true}) {
    OrderedJson body = {{"prompt", {"he is", OrderedJson::array({1, 2, 3})}},
                        {"echo", echo},
                        {"n", 2},
                        {"max_tokens", 30},
                        {"seed", 3},
                        {"logprobs", 2},
                        {"method", "lookup"}};
    const Heard whole = complete(body);
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    const Heard streamed = complete(body);
    ASSERT_GE(streamed.events.size(), 6u);
    EXPECT_EQ(streamed.events.back(), "[DONE]");
    const OrderedJson last = OrderedJson::parse(streamed.events[streamed.events.size() - 2]);
    EXPECT_EQ(last["choices"].size(), 0u);
    EXPECT_EQ(last["usage"], whole.json["usage"]);

    OrderedJson joined = OrderedJson::array();
    for (int i = 0; i < 4; ++i) joined.push_back({{"index", i}, {"text", ""}});
    for (size_t i = 0; i + 2 < streamed.events.size(); ++i) {
      const OrderedJson event = OrderedJson::parse(streamed.events[i]);
      const OrderedJson& part = event["choices"].at(0);
      OrderedJson& choice = joined[part["index"].get<size_t>()];
      choice["text"] = choice["text"].get<std::string>() + part["text"].get<std::string>();
      for (const auto& [key, list] : part["logprobs"].items()) {
        for (const OrderedJson& item : list) choice["logprobs"][key].push_back(item);
      }
      choice["finish_reason"] = part["finish_reason"];
    }
    EXPECT_EQ(joined, whole.json["choices"]);
  }
}

/// Those of all passes of a stream's outputs, by their index.
std::vector<OrderedJson> passes_of(const Heard& heard, int index) {
  std::vector<OrderedJson> passes;
  for (const std::string& text : heard.passes) {
    OrderedJson event = OrderedJson::parse(text);
    EXPECT_EQ(event["choices"], OrderedJson::array());
    if (event["draft"]["index"] == index) passes.push_back(std::move(event["draft"]));
  }
  return passes;
}

TEST_F(AnsweringStreamsTest, AStreamTellsOfItsPassesWhereItIsAskedTo) {
  OrderedJson body = {
      {"prompt", {"he is", "a"}}, {"n", 2},       {"max_tokens", 30}, {"seed", 3}, {"stream", true},
      {"method", "tidar"},        {"logprobs", 0}};
  const Heard plain = complete(body);
  EXPECT_TRUE(plain.passes.empty());
  body["stream_options"] = {{"include_drafts", true}};
  const Heard told = complete(body);
  std::vector<OrderedJson> tokens(4, OrderedJson::array());
  for (size_t i = 0; i + 1 < told.events.size(); ++i) {
    const OrderedJson choice = OrderedJson::parse(told.events[i])["choices"][0];
    OrderedJson& own = tokens[choice["index"].get<size_t>()];
    for (const OrderedJson& token : choice["logprobs"]["tokens"]) own.push_back(token);
  }
  for (int index = 0; index < 4; ++index) {
    OrderedJson committed = OrderedJson::array();
    size_t rejected = 0;
    OrderedJson announced = OrderedJson::array();
    for (const OrderedJson& pass : passes_of(told, index)) {
      const OrderedJson& facts = pass["pass"];
      const auto right = facts["accepted"].get<size_t>();
      for (const OrderedJson& token : pass["committed"]) committed.push_back(token);
      for (size_t i = 0; i < std::min(right, pass["committed"].size()); ++i) {
        EXPECT_EQ(pass["committed"][i], announced.at(i));
      }
      for (size_t i = 0; i < pass["rejected"].size(); ++i) {
        EXPECT_EQ(pass["rejected"][i], announced.at(right + i));
      }
      EXPECT_EQ(right + pass["rejected"].size(), facts["drafted"]);
      EXPECT_TRUE(pass["seen"].is_null());
      rejected += pass["rejected"].size();
      announced = pass["provisional"];
    }
    EXPECT_EQ(committed, tokens[static_cast<size_t>(index)]);
    EXPECT_GT(rejected, 0u);
  }
}

TEST_F(AnsweringStreamsTest, AStreamTellsOfTheRowsOfItsPasses) {
  for (const auto& [method, kinds] :
       std::map<std::string, std::set<std::string>>{{"ar", {"text"}},
                                                    {"tidar", {"text", "draft", "mask"}},
                                                    {"lookup", {"text", "draft"}},
                                                    {"block-diffusion", {"text", "canvas"}}}) {
    const Heard heard =
        complete({{"prompt", "he is he is"},
                  {"max_tokens", 60},
                  {"stream", true},
                  {"temperature", 0},
                  {"logit_bias", {{"65", 100}}},  // so that lookup finds what it looks for
                  {"stream_options", {{"include_drafts", true}, {"include_rows", true}}},
                  {"method", method}});
    std::set<std::string> found;
    size_t rows = 0, told = 0;
    for (const OrderedJson& pass : passes_of(heard, 0)) {
      const OrderedJson& seen = pass["seen"];
      told += pass["pass"]["rows"].get<size_t>();
      rows += seen["rows"].size();
      const auto drafts = std::count_if(seen["rows"].begin(), seen["rows"].end(),
                                        [](const auto& row) { return row["kind"] == "draft"; });
      EXPECT_EQ(drafts, pass["pass"]["drafted"]);
      for (const OrderedJson& row : seen["rows"]) {
        found.insert(row["kind"]);
        EXPECT_EQ(row["kind"] == "mask", row.contains("group"));
        for (const OrderedJson& keys : row["sees"]) EXPECT_LT(keys[0], keys[1]);
      }
    }
    EXPECT_EQ(rows, told) << method;
    EXPECT_EQ(found, kinds) << method;
  }
}

TEST_F(AnsweringStreamsTest, WhoReadsSlowlyIsSparedThePasses) {
  Heard heard;
  heard.lagging = true;
  const auto answering = routes_.handle(
      {.method = "POST",
       .target = "/v1/completions",
       .authorization = {},
       .body = R"({"prompt": "a", "stream": true, "stream_options": {"include_drafts": true},
                   "temperature": 0, "max_tokens": 50})"},
      heard);
  while (!heard.done()) (*calls_.pop())();
  EXPECT_TRUE(heard.passes.empty());
  std::string text;
  for (size_t i = 0; i + 1 < heard.events.size(); ++i)
    text += OrderedJson::parse(heard.events[i])["choices"][0]["text"];
  EXPECT_EQ(text, complete({{"prompt", "a"}, {"temperature", 0}, {"max_tokens", 50}})
                      .json["choices"][0]["text"]);
}

TEST_F(AnsweringStreamsTest, AStreamedChatNamesItsRoleOnce) {
  const Heard heard = ask("POST", "/v1/chat/completions",
                          R"({"messages": [{"role": "user", "content": "a"}], "n": 2, "seed": 4,
                              "stream": true, "max_tokens": 9, "ignore_eos": true})");
  std::map<int, int> roles, parts;
  for (size_t i = 0; i + 1 < heard.events.size(); ++i) {
    const OrderedJson choice = OrderedJson::parse(heard.events[i])["choices"][0];
    roles[choice["index"]] += choice["delta"].contains("role") ? 1 : 0;
    parts[choice["index"]] += 1;
  }
  EXPECT_EQ(roles, (std::map<int, int>{{0, 1}, {1, 1}}));
  for (const auto& [index, count] : parts) EXPECT_GT(count, 2) << index;
}

TEST_F(AnsweringStreamsTest, WhatIsGivenUpEndsWithTheReasonOnce) {
  const Refusal over = {.status = 504, .message = "too long"};
  for (const bool stream : {false, true}) {
    for (const int events : {0, 1}) {
      if (events > 0 && !stream) continue;
      paced_.allow(50);
      Heard heard;
      const OrderedJson body = {
          {"prompt", "a"}, {"max_tokens", 190}, {"temperature", 0}, {"stream", stream}};
      const auto answering = routes_.handle(
          {.method = "POST", .target = "/v1/completions", .authorization = {}, .body = body.dump()},
          heard);
      while (static_cast<int>(heard.events.size()) < events) (*calls_.pop())();
      answering->give_up(over);
      answering->give_up(over);
      if (events == 0) (*calls_.pop())();  // what its body came to is of no use any more
      paced_.allow_all();
      while (thread_.under_way() > 0) (*calls_.pop())();
      if (events == 0) {
        ASSERT_TRUE(heard.refusal);
        EXPECT_EQ(heard.refusal->status, 504);
        EXPECT_FALSE(heard.began);
      } else {
        EXPECT_TRUE(heard.ended);
        EXPECT_EQ(OrderedJson::parse(heard.events.back())["error"]["message"], "too long");
      }
    }
  }
  const auto& finished = thread_.totals().finished;
  EXPECT_EQ(finished[static_cast<size_t>(FinishReason::cancelled)], 1);
  EXPECT_EQ(std::accumulate(finished.begin(), finished.end(), int64_t{0}), 1);
  // What has ended stays as it is.
  Heard heard;
  const auto answering = routes_.handle(
      {.method = "POST", .target = "/tokenize", .authorization = {}, .body = R"({"prompt": "a"})"},
      heard);
  while (!heard.done()) (*calls_.pop())();
  answering->give_up(over);
  EXPECT_FALSE(heard.refusal);
}

/// A completion of this body, perhaps with a timeout in its head.
HttpRequest completion_of(const OrderedJson& body, std::string_view timeout = "") {
  return {.method = "POST",
          .target = "/v1/completions",
          .authorization = {},
          .body = body.dump(),
          .timeout = timeout};
}

TEST_F(AnsweringStreamsTest, AStreamWhoseTimeIsOverEndsWithWhatItHas) {
  const OrderedJson plain = {
      {"prompt", {"a", "he"}}, {"max_tokens", 190}, {"temperature", 0},
      {"ignore_eos", true},    {"stream", true},    {"stream_options", {{"include_usage", true}}}};
  OrderedJson long_one = plain, short_one = plain;
  long_one["timeout"] = 5000;
  short_one["timeout"] = 1000.5;
  for (const auto& [body, header] : {std::pair(plain, "1000.5"), std::pair(short_one, ""),
                                     std::pair(long_one, "1000"), std::pair(short_one, "9000")}) {
    ahead_s_ = 0;
    paced_.allow(40);
    Heard heard;
    const auto answering = routes_.handle(completion_of(body, header), heard);
    while (heard.events.empty()) (*calls_.pop())();
    ahead_s_ = 2000;
    paced_.allow_all();
    while (!heard.done()) (*calls_.pop())();
    ASSERT_TRUE(heard.ended);
    ASSERT_GE(heard.events.size(), 4u);
    EXPECT_EQ(heard.events.back(), "[DONE]");
    const OrderedJson usage = OrderedJson::parse(heard.events.end()[-2])["usage"];
    EXPECT_LT(usage["completion_tokens"], 100);
    EXPECT_EQ(usage["tidar"]["timed_out"], true);
    for (int last = 3; last <= 4; ++last) {
      const OrderedJson event = OrderedJson::parse(heard.events.end()[-last]);
      EXPECT_EQ(event["choices"][0]["finish_reason"], "length");
    }
  }
}

TEST_F(AnsweringStreamsTest, AnOutputThatHasNotBegunEndsWithTheStreamThatHas) {
  paced_.allow(1);
  Heard heard;
  const auto answering = routes_.handle(completion_of({{"prompt", {"a", std::string(100, 'x')}},
                                                       {"timeout", 1000},
                                                       {"ignore_eos", true},
                                                       {"logprobs", 0},
                                                       {"stream", true}}),
                                        heard);
  while (heard.events.empty()) (*calls_.pop())();
  ahead_s_ = 2000;
  paced_.allow_all();
  while (!heard.done()) (*calls_.pop())();
  std::set<int> ended;
  for (size_t i = 0; i + 1 < heard.events.size(); ++i) {
    const OrderedJson choice = OrderedJson::parse(heard.events[i]).at("choices").at(0);
    if (choice["finish_reason"] == "length") ended.insert(choice["index"].get<int>());
  }
  EXPECT_EQ(ended, (std::set<int>{0, 1}));
  EXPECT_EQ(heard.events.back(), "[DONE]");
}

TEST_F(AnsweringStreamsTest, WhoseTimeIsOverBeforeAnythingCameIsToldSoWhileOthersGoOn) {
  paced_.allow(0);
  Heard other, waiting, scores;
  const auto first = routes_.handle(
      completion_of({{"prompt", "a"}, {"max_tokens", 190}, {"ignore_eos", true}}), other);
  while (thread_.under_way() < 1) (*calls_.pop())();
  paced_.await_pass();
  const auto second = routes_.handle(
      completion_of({{"prompt", "he"}, {"timeout", 1000}, {"stream", true}}), waiting);
  // A part of the scores would be taken for all of them.
  const auto third = routes_.handle(completion_of({{"prompt", std::string(60, 'x')},
                                                   {"timeout", 1000},
                                                   {"echo", true},
                                                   {"logprobs", 1},
                                                   {"max_tokens", 0}}),
                                    scores);
  while (thread_.under_way() < 3) (*calls_.pop())();
  ahead_s_ = 2000;
  paced_.allow(100);
  while (!waiting.done() || !scores.done()) (*calls_.pop())();
  EXPECT_FALSE(other.done());
  for (const Heard* const heard : {&waiting, &scores}) {
    ASSERT_TRUE(heard->refusal);
    EXPECT_EQ(heard->refusal->status, 504);
    EXPECT_NE(heard->refusal->message.find("1000 s"), std::string::npos);
    EXPECT_FALSE(heard->began);
  }
  paced_.allow_all();
  while (!other.done()) (*calls_.pop())();
  EXPECT_EQ(other.json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(other.json["usage"]["tidar"]["timed_out"], false);
  EXPECT_EQ(thread_.totals().finished[static_cast<size_t>(FinishReason::deadline)], 2);
}

// At once: where each of its outputs has begun.
TEST_F(AnsweringStreamsTest, AnAnswerWhoseTimeIsOverIsWhatItHas) {
  paced_.allow(0);
  Heard heard;
  const auto answering = routes_.handle(completion_of({{"prompt", {"a", "he"}},
                                                       {"max_tokens", 190},
                                                       {"temperature", 0},
                                                       {"ignore_eos", true},
                                                       {"timeout", 1000}}),
                                        heard);
  while (thread_.under_way() < 2) (*calls_.pop())();
  paced_.allow(20);
  while (thread_.totals().sum.new_tokens < 10) (*calls_.pop())();
  ahead_s_ = 2000;
  paced_.allow_all();
  while (!heard.done()) (*calls_.pop())();
  ASSERT_FALSE(heard.refusal) << heard.refusal->message;
  for (const OrderedJson& choice : heard.json["choices"]) {
    EXPECT_EQ(choice["finish_reason"], "length");
    EXPECT_FALSE(choice["text"].get<std::string>().empty());
  }
  EXPECT_EQ(heard.json["usage"]["tidar"]["timed_out"], true);
  EXPECT_LT(heard.json["usage"]["completion_tokens"], 2 * 190);
}

TEST_F(AnsweringStreamsTest, TheTimeRunsWhileABodyIsRead) {
  Heard heard;
  const auto answering = routes_.handle(completion_of({{"prompt", "a"}, {"timeout", 0.05}}), heard);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  while (!heard.done()) (*calls_.pop())();
  ASSERT_TRUE(heard.refusal);
  EXPECT_EQ(heard.refusal->status, 504);
}

TEST_F(AnsweringStreamsTest, ATimeoutInTheHeadIsANumberOfSeconds) {
  for (const char* wrong : {"a", "1s", "0", "-1", "1e9", "nan", "1 "}) {
    Heard heard;
    EXPECT_FALSE(routes_.handle(completion_of({{"prompt", "a"}}, wrong), heard));
    ASSERT_TRUE(heard.refusal) << wrong;
    EXPECT_EQ(heard.refusal->status, 400);
    EXPECT_NE(heard.refusal->message.find("X-Request-Timeout"), std::string::npos);
  }
}

}  // namespace
}  // namespace tidar
