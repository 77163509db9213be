#include "serve/answering.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <sstream>

#include "decode/mock_evaluator_testing.h"
#include "serve/page_files.h"
#include "serve/routes.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

constexpr EvaluatorLimits kLimits = {
    .max_rows = 24, .pages = 40, .max_position = 200, .vocabulary = 268};

/// What a client heard.
struct Heard final : Client {
  void add_field(std::string_view name, std::string_view value) override {
    fields[std::string(name)] = value;
  }
  void refuse(const Refusal& what) override { refusal = what; }
  void answer(const OrderedJson& what) override { json = what; }
  void answer_content(int status, std::string_view, std::string_view body) override {
    content = {status, std::string(body)};
  }
  void begin_stream() override { EXPECT_FALSE(std::exchange(began, true)); }
  void send_event(std::string event) override {
    EXPECT_TRUE(began);
    constexpr std::string_view kPass = "event: draft\n";
    const bool pass = event.starts_with(kPass);
    if (pass) event.erase(0, kPass.size());
    EXPECT_TRUE(event.starts_with("data: ") && event.ends_with("\n\n"));
    (pass ? passes : events).push_back(event.substr(6, event.size() - 8));
  }
  void end_stream() override { ended = true; }
  bool lags() const override { return lagging; }

  bool done() const { return refusal || !json.is_null() || content || ended; }

  std::optional<Refusal> refusal;
  OrderedJson json;
  std::optional<std::pair<int, std::string>> content;  ///< status, body
  bool began = false, ended = false, lagging = false;
  std::map<std::string, std::string> fields;
  std::vector<std::string> events, passes;
};

/// Another evaluator, whose passes can be counted off.
class PacedEvaluator final : public Evaluator {
 public:
  explicit PacedEvaluator(Evaluator& other) : other_(other) {}

  /// No more than `passes` are carried out until this is said again.
  void allow(int passes) {
    const std::scoped_lock lock(mutex_);
    allowed_ = passes;
    changed_.notify_all();
  }
  void allow_all() { allow(std::numeric_limits<int>::max()); }
  /// Until a pass is held up.
  void await_pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_up_; });
  }

  const EvaluatorLimits& limits() const override { return other_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    {
      std::unique_lock lock(mutex_);
      held_up_ = true;
      changed_.notify_all();
      changed_.wait(lock, [&] { return allowed_ > 0; });
      held_up_ = false;
      --allowed_;
    }
    other_.evaluate(pass, answers);
  }
  void answer(const Asks& asks, std::span<Answer> answers) override {
    other_.answer(asks, answers);
  }

 private:
  Evaluator& other_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int allowed_ = std::numeric_limits<int>::max();
  bool held_up_ = false;
};

/// A server without sockets.
class AnsweringTest : public testing::Test {
 protected:
  AnsweringTest()
      : tokenizer_(Tokenizer::parse(small_tokenizer().dump(), "small").value()),
        template_(ChatTemplate::parse(
                      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", {})
                      .value()),
        evaluator_(MockModel{.vocabulary = kLimits.vocabulary, .mask_token = 267}, kLimits),
        paced_(evaluator_),
        engine_(paced_, &tokenizer_),
        thread_(clocked(), 8, [this](std::function<void()> call) { calls_.push(std::move(call)); }),
        worker_(100, [this](std::function<void()> call) { calls_.push(std::move(call)); }),
        routes_({model_, thread_, worker_, metrics_}, {}) {
    model_.name = "mock";
    model_.tokenizer = &tokenizer_;
    model_.chat_template = &template_;
    model_.context = kLimits.max_position;
    model_.mask_token = 267;
    model_.eos = model_.chat_eos = {266};
    model_.make_constraint = [this](const OutputForm& form, const std::vector<int32_t>& eos) {
      return forms_.constraint_of(form, eos);
    };
    model_.make_method = [](const MethodWish& wish, int) -> Result<Method> {
      return wish.name.empty() ? Method(ArOptions{}) : method_named(wish.name);
    };
  }

  Heard ask(std::string_view method, std::string_view target, const std::string& body) {
    Heard heard;
    const auto answering = routes_.handle(
        {.method = method, .target = target, .authorization = {}, .body = body}, heard);
    while (answering && !heard.done()) (*calls_.pop())();
    EXPECT_TRUE(heard.done());
    return heard;
  }
  /// Draws are those of seed 1 where `body` names none.
  Heard complete(OrderedJson body) {
    if (!body.contains("seed")) body["seed"] = 1;
    return ask("POST", "/v1/completions", body.dump());
  }

  /// The engine, by a clock that tests can set forward.
  Engine& clocked() {
    engine_.use_clock(
        [this] { return std::chrono::steady_clock::now() + std::chrono::seconds(ahead_s_); });
    return engine_;
  }

  std::atomic<int> ahead_s_ = 0;
  Tokenizer tokenizer_;
  OutputForms forms_{tokenizer_};
  ChatTemplate template_;
  ServedModel model_;
  MockEvaluator evaluator_;
  PacedEvaluator paced_;
  Engine engine_;
  BoundedQueue<std::function<void()>> calls_{1000};
  EngineThread thread_;
  Metrics metrics_;
  Worker worker_;
  Routes routes_;
};

/// The samples of Prometheus's text, by what stands before their values.
std::map<std::string, double> samples_of(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#")) continue;
    const size_t space = line.rfind(' ');
    EXPECT_TRUE(samples.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second)
        << line;
  }
  return samples;
}

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
  heard = complete({{"prompt", "a"}, {"regex", "("}});
  ASSERT_TRUE(heard.refusal);
  EXPECT_EQ(heard.refusal->param, "regex");
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

TEST_F(AnsweringTest, WhatIsStreamedIsWhatIsAnsweredAtOnce) {
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

TEST_F(AnsweringTest, AStreamTellsOfItsPassesWhereItIsAskedTo) {
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

TEST_F(AnsweringTest, AStreamTellsOfTheRowsOfItsPasses) {
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

TEST_F(AnsweringTest, WhoReadsSlowlyIsSparedThePasses) {
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

TEST_F(AnsweringTest, AStreamedChatNamesItsRoleOnce) {
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
            kLimits.pages);
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

TEST_F(AnsweringTest, AllOutputsOfARequestHaveItsPriority) {
  CompletionRequest request;
  request.prompts = {"a", "he"};
  request.output.n = 2;
  request.output.priority = -7;
  const PlannedOutputs planned = plan_completion(model_, request, 1);
  ASSERT_EQ(planned.outputs.size(), 4u);
  for (const PlannedOutput& output : planned.outputs) EXPECT_EQ(output.request.priority, -7);
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

TEST_F(AnsweringTest, RoutesAreFoundByPathAndMethod) {
  EXPECT_EQ(ask("GET", "/health?x=1", "").json["status"], "ok");
  EXPECT_EQ(ask("GET", "/v1/models", "").json["data"][0]["id"], "mock");
  EXPECT_EQ(ask("GET", "/nothing", "").refusal->status, 404);
  const Heard wrong = ask("GET", "/v1/completions", "");
  EXPECT_EQ(wrong.refusal->status, 405);
  EXPECT_EQ(wrong.refusal->allow, "POST");
  EXPECT_EQ(ask("POST", "/tokenize", "{").refusal->status, 400);
}

TEST_F(AnsweringTest, ThePageIsAtTheRoot) {
  const Heard page = ask("GET", "/?x", "");
  ASSERT_TRUE(page.content);
  EXPECT_EQ(page.content->first, 200);
  EXPECT_EQ(ask("POST", "/", "").refusal->allow, "GET");
  if (page_files().empty()) {
    EXPECT_NE(page.content->second.find("without its page"), std::string::npos);
    return;
  }
  for (const PageFile& file : page_files()) {
    const auto get = [&](std::string_view encodings, std::string_view tag) {
      Heard heard;
      routes_.handle({.method = "GET",
                      .target = file.path,
                      .authorization = {},
                      .body = {},
                      .encodings = encodings,
                      .known_tag = tag},
                     heard);
      return heard;
    };
    Heard plain = get("br", "\"another\"");
    EXPECT_EQ(plain.content->second, file.body);
    EXPECT_EQ(plain.fields["ETag"], file.tag);
    EXPECT_EQ(plain.fields.count("Content-Encoding"), 0u);
    EXPECT_NE(plain.fields["Content-Security-Policy"].find("default-src 'none'"),
              std::string::npos);
    Heard zipped = get("gzip, deflate", "");
    EXPECT_EQ(zipped.content->second, file.zipped);
    EXPECT_EQ(zipped.fields["Content-Encoding"], "gzip");
    EXPECT_EQ(get("gzip", file.tag).content->first, 304);
    if (file.path == "/") {
      EXPECT_EQ(plain.fields["Cache-Control"], "no-cache");
      for (const PageFile& other : page_files()) {
        if (other.path == "/") continue;
        EXPECT_NE(file.body.find(other.path), std::string::npos) << other.path;
      }
    }
  }
}

TEST_F(AnsweringTest, PropsNameTheMethodsThatARequestMayName) {
  const auto methods = [&] { return ask("GET", "/props", "").json["methods"].dump(); };
  EXPECT_NE(methods().find("\"tidar\""), std::string::npos);
  model_.mask_token = -1;
  EXPECT_EQ(methods().find("\"tidar\""), std::string::npos);
  EXPECT_NE(methods().find("\"ar\""), std::string::npos);
}

TEST_F(AnsweringTest, TokensAndTexts) {
  const auto post = [&](const char* path, const OrderedJson& body) {
    return ask("POST", path, body.dump());
  };
  EXPECT_EQ(post("/tokenize", {{"prompt", "he<bos>"}, {"add_special_tokens", false}})
                .json["tokens"]
                .size(),
            2u);
  EXPECT_EQ(post("/tokenize", {{"add_special_tokens", false}}).refusal->param, "prompt");
  EXPECT_EQ(post("/detokenize", {{"tokens", {'h', 'i'}}}).json["prompt"], "hi");
  EXPECT_EQ(post("/detokenize", {{"tokens", {"a"}}}).refusal->param, "tokens");
  EXPECT_EQ(post("/apply-template", {{"messages", {{{"role", "user"}, {"content", "x"}}}}})
                .json["prompt"],
            "user: x\n");
}

TEST_F(AnsweringTest, AKeyIsAskedForWhereThereIsOne) {
  Routes guarded({model_, thread_, worker_, metrics_}, {.api_keys = {"secret", "other"}});
  const auto status = [&](std::string_view target, std::string_view authorization) {
    Heard heard;
    guarded.handle({.method = "GET", .target = target, .authorization = authorization, .body = {}},
                   heard);
    return heard.refusal ? heard.refusal->status : 200;
  };
  EXPECT_EQ(status("/v1/models", "Bearer secret"), 200);
  EXPECT_EQ(status("/v1/models", "Bearer other"), 200);
  EXPECT_EQ(status("/health", ""), 200);
  for (const char* wrong : {"", "Bearer ", "secret", "Bearer secre", "Bearer secretx"}) {
    EXPECT_EQ(status("/v1/models", wrong), 401) << wrong;
  }
}

TEST_F(AnsweringTest, AModelIsFoundByItsName) {
  model_.name = "a b/c";
  EXPECT_EQ(ask("GET", "/v1/models/a%20b%2fc", "").json["id"], "a b/c");
  EXPECT_EQ(ask("GET", "/v1/models/a%20b/c?x", "").json["id"], "a b/c");
  for (const char* wrong : {"", "a", "a%20b%2fcc", "a%2", "%", "%zz", "a%20b/c%00"}) {
    const Heard heard = ask("GET", fmt::format("/v1/models/{}", wrong), "");
    EXPECT_EQ(heard.refusal->status, 404) << wrong;
    EXPECT_EQ(heard.refusal->code, "model_not_found");
  }
}

TEST_F(AnsweringTest, HeadIsAnsweredLikeGet) {
  EXPECT_EQ(ask("HEAD", "/health", "").json["status"], "ok");
  EXPECT_EQ(ask("HEAD", "/", "").content->first, 200);
  EXPECT_EQ(ask("HEAD", "/v1/completions", "").refusal->status, 405);
}

TEST_F(AnsweringTest, PagesOfOneOriginMayAsk) {
  Routes open({model_, thread_, worker_, metrics_},
              {.api_keys = {"secret"}, .origin = "https://example.org"});
  const auto hear = [](Routes& routes, std::string_view method) {
    Heard heard;
    routes.handle({.method = method, .target = "/v1/models", .authorization = {}, .body = {}},
                  heard);
    return heard;
  };
  // A browser brings no key when it asks whether it may ask.
  Heard first = hear(open, "OPTIONS");
  EXPECT_EQ(first.content->first, 204);
  EXPECT_EQ(first.fields["Access-Control-Allow-Origin"], "https://example.org");
  EXPECT_NE(first.fields["Access-Control-Allow-Headers"].find("Authorization"), std::string::npos);
  Heard refused = hear(open, "GET");
  EXPECT_EQ(refused.refusal->status, 401);
  EXPECT_EQ(refused.fields["Access-Control-Allow-Origin"], "https://example.org")
      << "so that the page can read why";
  EXPECT_EQ(refused.fields["Vary"], "Origin");
  Heard closed = hear(routes_, "OPTIONS");
  EXPECT_EQ(closed.refusal->status, 405);
  EXPECT_EQ(closed.fields.count("Access-Control-Allow-Origin"), 0u);
}

TEST_F(AnsweringTest, WhatIsGivenUpEndsWithTheReasonOnce) {
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

TEST_F(AnsweringTest, AStreamWhoseTimeIsOverEndsWithWhatItHas) {
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

TEST_F(AnsweringTest, AnOutputThatHasNotBegunEndsWithTheStreamThatHas) {
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

TEST_F(AnsweringTest, WhoseTimeIsOverBeforeAnythingCameIsToldSoWhileOthersGoOn) {
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

TEST_F(AnsweringTest, ATimeoutInTheHeadIsANumberOfSeconds) {
  for (const char* wrong : {"a", "1s", "0", "-1", "1e9", "nan", "1 "}) {
    Heard heard;
    EXPECT_FALSE(routes_.handle(completion_of({{"prompt", "a"}}, wrong), heard));
    ASSERT_TRUE(heard.refusal) << wrong;
    EXPECT_EQ(heard.refusal->status, 400);
    EXPECT_NE(heard.refusal->message.find("X-Request-Timeout"), std::string::npos);
  }
}

TEST_F(AnsweringTest, MetricsAreSumsOfUsage) {
  std::map<std::string, double> wanted;
  int answers = 0;
  for (const char* method : {"ar", "tidar", "lookup", "tidar"}) {
    const Heard heard = complete({{"prompt", {"he", "abab"}},
                                  {"n", 2},
                                  {"max_tokens", 20},
                                  {"seed", ++answers},
                                  {"method", method}});
    const OrderedJson& usage = heard.json["usage"];
    const OrderedJson& details = usage["completion_tokens_details"];
    wanted["tidar:prompt_tokens_total"] += 2 * usage["prompt_tokens"].get<double>();
    wanted["tidar:generation_tokens_total"] += usage["completion_tokens"].get<double>();
    wanted["tidar:spec_decode_num_accepted_tokens_total"] +=
        details["accepted_prediction_tokens"].get<double>();
    wanted["tidar:spec_decode_num_draft_tokens_total"] +=
        details["accepted_prediction_tokens"].get<double>() +
        details["rejected_prediction_tokens"].get<double>();
    wanted["tidar:tokens_per_pass_count"] += usage["tidar"]["passes"].get<double>();
  }
  wanted["tidar:time_to_first_token_seconds_count"] = 4 * answers;
  wanted["tidar:e2e_request_latency_seconds_count"] = answers;
  wanted["tidar:num_requests_running"] = 0;
  wanted["tidar:kv_cache_usage_perc"] = 0;
  wanted["tidar:pages{state=\"free\"}"] = kLimits.pages;
  const auto found = samples_of(ask("GET", "/metrics", "").content->second);
  for (const auto& [name, value] : wanted) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name), value) << name;
  }
  EXPECT_GT(found.at("tidar:spec_decode_num_accepted_tokens_total"), 0);
  EXPECT_GT(found.at("tidar:request_queue_time_seconds_sum"), 0);
  const double firsts = found.at("tidar:time_to_first_token_seconds_count");
  EXPECT_EQ(found.at("tidar:inter_token_latency_seconds_count") + firsts,
            found.at("tidar:generation_tokens_total"));
}

TEST_F(AnsweringTest, RoutesAreCountedByFewNames) {
  for (const auto& [path, route] :
       std::map<std::string, std::string>{{"/health", "/health"},
                                          {"/v1/completions", "/v1/completions"},
                                          {"/", "page"},
                                          {"/../etc/passwd", "other"},
                                          {"", "other"}}) {
    EXPECT_EQ(Routes::route_of(path), route);
  }
}

}  // namespace
}  // namespace tidar
