#pragma once
// For tests of answers: a server without sockets over a mock model, and what its clients hear.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "decode/mock_evaluator_testing.h"
#include "serve/answering.h"
#include "serve/routes.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {

inline constexpr EvaluatorLimits kMockLimits = {
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

/// Another evaluator, whose passes can be counted off, and whose answers can be spoilt.
class PacedEvaluator final : public Evaluator {
 public:
  enum class Spoilt : uint8_t { nothing, choices, scores };

  explicit PacedEvaluator(Evaluator& other) : other_(other) {}

  /// No more than `passes` are carried out until this is said again.
  void allow(int passes) {
    const std::scoped_lock lock(mutex_);
    allowed_ = passes;
    changed_.notify_all();
  }
  void allow_all() { allow(std::numeric_limits<int>::max()); }
  /// From now on answers of this kind are those of logits that are not finite.
  void spoil(Spoilt what) { spoilt_ = what; }
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
    for (Answer& answer : answers) {
      if (spoilt_ != Spoilt::nothing) answer.logprob = std::numeric_limits<float>::quiet_NaN();
      if (spoilt_ == Spoilt::choices) answer.token = -1;
    }
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
  std::atomic<Spoilt> spoilt_ = Spoilt::nothing;
};

/// A mock model, and what a server knows of it.
class MockModelTest : public testing::Test {
 protected:
  explicit MockModelTest(const EvaluatorLimits& limits = kMockLimits)
      : tokenizer_(Tokenizer::parse(small_tokenizer().dump(), "small").value()),
        template_(ChatTemplate::parse(
                      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", {})
                      .value()),
        evaluator_(MockModel{.vocabulary = limits.vocabulary, .mask_token = 267}, limits),
        paced_(evaluator_),
        engine_(paced_, &tokenizer_) {
    model_.name = "mock";
    model_.tokenizer = &tokenizer_;
    model_.chat_template = &template_;
    model_.context = limits.max_position;
    model_.mask_token = 267;
    model_.eos = model_.chat_eos = {266};
    model_.make_constraint = [this](const OutputForm& form, const std::vector<int32_t>& eos) {
      return forms_.constraint_of(form, eos);
    };
    model_.make_method = [](const MethodWish& wish, int) -> Result<Method> {
      return wish.name.empty() ? Method(ArOptions{}) : method_named(wish.name);
    };
  }

  Tokenizer tokenizer_;
  OutputForms forms_{tokenizer_};
  ChatTemplate template_;
  ServedModel model_;
  MockEvaluator evaluator_;
  PacedEvaluator paced_;
  Engine engine_;
};

/// A server without sockets.
class AnsweringTest : public MockModelTest {
 protected:
  AnsweringTest()
      : thread_(clocked(), 8, [this](std::function<void()> call) { calls_.push(std::move(call)); }),
        worker_(100, [this](std::function<void()> call) { calls_.push(std::move(call)); }),
        routes_({model_, thread_, worker_, metrics_}, {}) {}

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
  BoundedQueue<std::function<void()>> calls_{1000};
  EngineThread thread_;
  Metrics metrics_;
  Worker worker_;
  Routes routes_;
};

/// The samples of Prometheus's text, by what stands before their values.
inline std::map<std::string, double> samples_of(const std::string& text) {
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

}  // namespace tidar
