#include "serve/engine_thread.h"

#include <gtest/gtest.h>

#include <map>
#include <new>

#include "base/rng.h"
#include "decode/mock_evaluator_testing.h"
#include "serve/answering_testing.h"

namespace tidar {
namespace {

constexpr EvaluatorLimits kLimits = {
    .max_rows = 24, .pages = 12, .max_position = 300, .vocabulary = 11};

Request request_of(std::vector<int32_t> prompt, int max_new) {
  Request request;
  request.sequence.prompt = std::move(prompt);
  request.sequence.mask_token = 10;
  request.max_new = max_new;
  return request;
}

Request random_request(Rng& rng) {
  std::vector<int32_t> prompt;
  for (int n = 1 + rng.below(60); n > 0; --n) prompt.push_back(rng.below(9));
  Request request = request_of(std::move(prompt), 1 + rng.below(40));
  if (rng.below(2) == 0) request.method = TidarOptions{.draft_length = 4};
  return request;
}

std::vector<int32_t> tokens_of(const Update& update) {
  std::vector<int32_t> tokens;
  for (const TokenLogprob& token : update.tokens) tokens.push_back(token.token);
  return tokens;
}

/// The owner's thread of these tests: what is posted waits until it is run.
class Owner {
 public:
  Post post() {
    return [this](std::function<void()> call) { calls_.push(std::move(call)); };
  }
  void run_one() { (*calls_.pop())(); }

 private:
  BoundedQueue<std::function<void()>> calls_{1000};
};

/// What one request brought.
struct Brought {
  std::vector<int32_t> tokens;
  bool ended = false;
  bool refused = false;

  EngineThread::Take take() {
    return [this](const Delivery& delivery) {
      EXPECT_FALSE(ended) << "something after the last";
      for (const int32_t token : tokens_of(delivery.update)) tokens.push_back(token);
      ended = delivery.last();
      refused = delivery.refused.has_value();
    };
  }
};

std::vector<int32_t> tokens_alone(const Request& request) {
  MockEvaluator evaluator(MockModel{}, kLimits);
  Engine engine(evaluator);
  EXPECT_TRUE(engine.submit(request).ok());
  std::vector<int32_t> tokens;
  while (!engine.idle()) {
    for (const Update& update : engine.step()) {
      for (const int32_t token : tokens_of(update)) tokens.push_back(token);
    }
  }
  return tokens;
}

TEST(EngineThread, EveryRequestGetsWhatItGetsAlone) {
  MockEvaluator evaluator(MockModel{}, kLimits);
  Engine engine(evaluator);
  Owner owner;
  EngineThread thread(engine, 8, owner.post());
  Rng rng(1);
  for (int round = 0; round < 30; ++round) {
    std::vector<Request> requests;
    std::vector<Brought> brought(8);
    for (Brought& one : brought) {
      requests.push_back(random_request(rng));
      ASSERT_TRUE(thread.submit(requests.back(), one.take()));
    }
    EXPECT_FALSE(thread.submit(requests[0], [](const Delivery&) { FAIL(); })) << "8 at most";
    while (thread.under_way() > 0) owner.run_one();
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_TRUE(brought[i].ended);
      EXPECT_EQ(brought[i].tokens, tokens_alone(requests[i]));
    }
  }
}

TEST(EngineThread, NothingIsTakenOfWhatWasCancelled) {
  MockEvaluator evaluator(MockModel{}, kLimits);
  Engine engine(evaluator);
  Owner owner;
  EngineThread thread(engine, 4, owner.post());
  Rng rng(2);
  for (int round = 0; round < 100; ++round) {
    const Request kept = random_request(rng);
    Brought brought;
    ASSERT_TRUE(thread.submit(kept, brought.take()));
    bool cancelled = false;
    const auto ticket = thread.submit(request_of({1, 2, 3}, 200),
                                      [&](const Delivery&) { EXPECT_FALSE(cancelled); });
    ASSERT_TRUE(ticket);
    for (int calls = rng.below(4); calls > 0; --calls) owner.run_one();
    thread.cancel(*ticket);
    thread.cancel(*ticket);  // again is no matter
    cancelled = true;
    while (thread.under_way() > 0) owner.run_one();
    thread.cancel(*ticket);
    EXPECT_EQ(brought.tokens, tokens_alone(kept));
  }
}

// However many are handed in and cancelled while one pass goes on.
TEST(EngineThread, NoCancellationIsLost) {
  constexpr int kMost = 4;
  MockEvaluator evaluator(MockModel{}, kLimits);
  PacedEvaluator paced(evaluator);
  Engine engine(paced);
  Owner owner;
  EngineThread thread(engine, kMost, owner.post());
  paced.allow(0);
  std::vector<Ticket> tickets;
  for (int i = 0; i < kMost; ++i) {
    tickets.push_back(
        thread.submit(request_of({1, 2, 3}, 200), [](const Delivery&) { FAIL(); }).value());
    if (i == 0) paced.await_pass();
  }
  for (const Ticket ticket : tickets) thread.cancel(ticket);
  EXPECT_EQ(thread.under_way(), kMost) << "until the engine has let go of them";
  EXPECT_FALSE(thread.submit(request_of({1}, 1), [](const Delivery&) {}));
  paced.allow_all();
  while (thread.under_way() > 0) owner.run_one();
  EXPECT_EQ(thread.totals().finished[static_cast<size_t>(FinishReason::cancelled)], kMost);
  EXPECT_EQ(thread.totals().sum.prompt_tokens, 3 * kMost);
  const EngineState state = thread.state();
  EXPECT_EQ(state.active + state.waiting, 0);
  EXPECT_EQ(state.free_pages, kLimits.pages);
}

TEST(EngineThread, WhatTakesMayHandInAndCancel) {
  MockEvaluator evaluator(MockModel{}, kLimits);
  Engine engine(evaluator);
  Owner owner;
  EngineThread thread(engine, 40, owner.post());
  Brought last;
  std::optional<Ticket> first = thread.submit(request_of({1}, 250), [&](const Delivery&) {
    for (int i = 0; i < 30; ++i) {  // more than the table of what is under way had room for
      thread.submit(request_of({2, 3}, 2), [](const Delivery&) {});
    }
    thread.submit(request_of({2, 3}, 5), last.take());
    thread.cancel(*first);
  });
  while (thread.under_way() > 0) owner.run_one();
  EXPECT_EQ(last.tokens, tokens_alone(request_of({2, 3}, 5)));
}

TEST(EngineThread, WhatTheEngineRefusesIsTold) {
  MockEvaluator evaluator(MockModel{}, kLimits);
  Engine engine(evaluator);
  Owner owner;
  EngineThread thread(engine, 2, owner.post());
  Brought brought;
  ASSERT_TRUE(thread.submit(request_of({}, 3), brought.take()));
  while (thread.under_way() > 0) owner.run_one();
  EXPECT_TRUE(brought.refused);
}

/// Has no memory for a pass.
class PoorEvaluator final : public Evaluator {
 public:
  const EvaluatorLimits& limits() const override { return kLimits; }
  void evaluate(const Pass&, std::span<Answer>) override { throw std::bad_alloc(); }
  void answer(const Asks&, std::span<Answer>) override {}
};

TEST(EngineThread, WhatTheEngineThrowsIsThrownByWhatIsPosted) {
  PoorEvaluator evaluator;
  Engine engine(evaluator);
  Owner owner;
  EngineThread thread(engine, 4, owner.post());
  ASSERT_TRUE(thread.submit(request_of({1, 2, 3}, 5), [](const Delivery&) { FAIL(); }));
  EXPECT_THROW(owner.run_one(), std::bad_alloc);
}

TEST(EngineThread, StopsInTheMiddle) {
  for (int calls = 0; calls < 6; ++calls) {
    MockEvaluator evaluator(MockModel{}, kLimits);
    Engine engine(evaluator);
    Owner owner;
    EngineThread thread(engine, 2, owner.post());
    ASSERT_TRUE(thread.submit(request_of({1}, 250), [](const Delivery&) {}));
    for (int i = 0; i < calls; ++i) owner.run_one();
    thread.stop();
    EXPECT_FALSE(thread.submit(request_of({1}, 250), [](const Delivery&) {}));
  }
}

}  // namespace
}  // namespace tidar
