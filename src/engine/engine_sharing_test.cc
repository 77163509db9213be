// What requests share: rows of passes, pages, and the keys of texts that begin alike.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "engine/engine_testing.h"

namespace tidar {
namespace {

TEST(EngineSharing, RowsAreSharedSoThatNobodyStarves) {
  // Mixing requests take 20 rows or none, so of four only one fits into each pass.
  const MockModel model{.seed = 4, .agreement = 0.3};
  MockEvaluator evaluator(model, limits(20, 20));
  Engine engine(evaluator);
  std::map<RequestId, int> last_news;
  for (int i = 0; i < 4; ++i) {
    const RequestId id = engine.submit(request_of({1, 2, i}, 40, tidar_of(4, 0.5f))).value();
    last_news[id] = 0;
  }
  for (int step = 1; !engine.idle(); ++step) {
    for (const Update& update : engine.step()) {
      EXPECT_LE(step - last_news[update.id], 4);
      last_news[update.id] = step;
    }
  }
}

// Whoever found no room is first in the next pass, so that of n requests none waits for n passes,
// whatever rows cost and whoever is in its company.
TEST(EngineSharing, NobodyWaitsUntilAllOthersHadTwoTurns) {
  int longest = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    MockEvaluator evaluator({.seed = seed, .agreement = rng.uniform()},
                            limits(4 + rng.below(20), 4000));
    Engine engine(evaluator);
    if (rng.below(4) > 0) engine.set_prices(random_prices(rng), PriceUse::fixed);
    std::map<RequestId, int> last_rows;
    for (int wanted = 2 + rng.below(30); wanted > 0; --wanted) {
      Request request = random_request(rng, Methods::all);
      request.stop.clear();
      request.explain = true;
      const auto id = engine.submit(std::move(request));
      if (id) last_rows[*id] = 0;  // some need larger passes
    }
    const auto requests = static_cast<int>(last_rows.size());
    for (int step = 1; !engine.idle(); ++step) {
      for (const Update& update : engine.step()) {
        const int waited = step - last_rows[update.id] - 1;
        EXPECT_LT(waited, requests);
        longest = std::max(longest, waited);
        last_rows[update.id] = step;
      }
    }
  }
  EXPECT_GT(longest, 3);
}

TEST(EngineSharing, DecodingGoesOnWhileALongPromptIsRead) {
  const MockModel model{.seed = 5};
  MockEvaluator evaluator(model, limits(16, 40));
  Engine engine(evaluator);
  const RequestId quick = engine.submit(request_of({1}, 30)).value();
  Outputs outputs;
  for (const Update& update : engine.step()) outputs[update.id].add(update);
  const RequestId slow = engine.submit(request_of(std::vector<int32_t>(600, 3), 2)).value();
  int steps_of_slow = 0;
  while (outputs[slow].tokens.empty()) {
    const size_t before = outputs[quick].tokens.size();
    for (const Update& update : engine.step()) outputs[update.id].add(update);
    const bool decoded = outputs[quick].tokens.size() > before;
    EXPECT_TRUE(decoded || outputs[quick].finish == FinishReason::length);
    ++steps_of_slow;
  }
  // 15 rows a pass beside the other's one, then all 16.
  EXPECT_LE(steps_of_slow, 41);
}

TEST(EngineSharing, PagesForDraftsArePromised) {
  // 64 keys of text are a page; drafts that are written behind them need another.
  const MockModel model{.seed = 4, .agreement = 1};
  for (const Method& method : {Method(tidar_of(8)), Method(LookupMethodOptions{}),
                               Method(SelfSpeculativeOptions{.draft_length = 8})}) {
    MockEvaluator evaluator(model, limits(200, 3));
    Engine engine(evaluator);
    for (int i = 0; i < 3; ++i) {
      // A text of one token, so that lookup drafts as well.
      Request request = request_of(std::vector<int32_t>(30, 5), 34, method);
      request.sequence.penalties.bias = {{.token = 5, .add = 100}};
      ASSERT_TRUE(engine.submit(request).ok());
    }
    Outputs outputs;
    collect(engine, outputs);
    for (const auto& [id, output] : outputs) EXPECT_EQ(output.tokens.size(), 34u);
  }
}

// While drafts do not pay, a text has the pages that AR's has: more of them would lie apart.
TEST(EngineSharing, NoPagesAreTakenForDraftsThatThereAreNot) {
  const auto most_held = [](const Method& method, double row_cost) {
    MockEvaluator evaluator({.seed = 4, .agreement = 1}, limits(200, 10));
    Engine engine(evaluator);
    engine.set_prices(Prices({{1, 1}, {101, 1 + 100 * row_cost}}, 0), PriceUse::fixed);
    EXPECT_TRUE(engine.submit(request_of(std::vector<int32_t>(50, 5), 13, method)).ok());
    int most = 0;
    while (!engine.idle()) {
      engine.step();
      most = std::max(most, engine.pages().capacity() - engine.pages().available());
    }
    return most;
  };
  TidarOptions paying = tidar_of(8);
  paying.groups = {.kind = GroupPolicy::Kind::paying};
  EXPECT_EQ(most_held(ArOptions{}, 1), 1);
  EXPECT_EQ(most_held(paying, 1e3), 1);
  EXPECT_EQ(most_held(paying, 1e-4), 2);
}

// Whose texts begin alike reads the beginning once, whatever the methods that read causally.
TEST(EngineSharing, APromptThatWasReadIsNotReadAgain) {
  const MockModel model{.seed = 4};
  Request request = request_of(std::vector<int32_t>(200, 3), 10);
  for (const Method& method :
       {Method(ArOptions{}), Method(tidar_of(3)), Method(tidar_of(3, 0.5f)),
        Method(BlockDiffusionOptions{.block_size = 4}),
        Method(BlockDiffusionOptions{.block_size = 4, .keys = BlockKeys::block})}) {
    MockEvaluator evaluator(model, limits(300, 20));
    Engine engine(evaluator);
    engine.share_prefixes();
    Outputs outputs;
    const auto run = [&](Method how) {
      request.method = std::move(how);
      const RequestId id = engine.submit(request).value();
      collect(engine, outputs);
      return outputs[id].stats.cached_tokens;
    };
    EXPECT_EQ(run(ArOptions{}), 0);
    const bool causal = facts_of(method).causal_keys;
    EXPECT_EQ(run(method), causal ? 192 : 0);
    EXPECT_EQ(run(method), causal ? 192 : 0) << "its own keys are no other's";
    request.sequence.score_prompt = true;
    if (facts_of(method).equals_ar) {
      EXPECT_EQ(run(method), 0) << "every row is asked";
    }
    request.sequence.score_prompt = false;
    EXPECT_EQ(engine.pages().available(), 20);
  }
}

// The one that came first goes on, whatever comes behind it; whoever waits goes on where it was.
TEST(EngineSharing, TheFirstNeverGivesItsPagesBack) {
  const MockModel model{.seed = 4};
  const EvaluatorLimits frame = limits(64, 6);
  MockEvaluator evaluator(model, frame);
  Engine engine(evaluator);
  Outputs outputs;
  std::vector<RequestId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(engine.submit(request_of({1, i}, 370)).value());
  for (const RequestId first : ids) {
    while (outputs[first].finish == FinishReason::none) {
      const size_t before = outputs[first].tokens.size();
      for (const Update& update : engine.step()) outputs[update.id].add(update);
      const bool reads_again = before == outputs[first].tokens.size();
      ASSERT_TRUE(!reads_again || first != ids.front());
    }
  }
  EXPECT_GT(engine.stats().preemptions, 3);
  for (int i = 0; i < 5; ++i) {
    MockEvaluator other(model, frame);
    Engine alone(other);
    const RequestId id = alone.submit(request_of({1, i}, 370)).value();
    Outputs wanted;
    collect(alone, wanted);
    EXPECT_EQ(outputs[ids[static_cast<size_t>(i)]].tokens, wanted[id].tokens);
  }
}

TEST(EngineSharing, NoMoreAreActiveThanItIsTold) {
  MockEvaluator evaluator({.seed = 1}, limits(64, 20));
  Engine engine(evaluator);
  engine.limit_active(2);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(engine.submit(request_of({1, 2, i}, 3 + i)).ok());
  std::vector<int> active;
  while (!engine.idle()) {
    engine.step();
    active.push_back(engine.active());
  }
  EXPECT_EQ(*std::max_element(active.begin(), active.end()), 2);
}

TEST(EngineSharing, WhoKeepsNoKeysNeedsNoPages) {
  MockEvaluator evaluator({.seed = 1}, limits(400, 1));
  Engine engine(evaluator);
  const MaskedDiffusionOptions masked{.length = 80, .steps = 4};
  ASSERT_TRUE(engine.submit(request_of({1, 2, 3}, 60)).ok());
  ASSERT_TRUE(engine.submit(request_of({1, 2}, 80, masked)).ok());
  ASSERT_TRUE(engine.submit(request_of({3}, 80, masked)).ok());
  Outputs outputs;
  for (const Update& update : engine.step()) outputs[update.id].add(update);
  EXPECT_EQ(engine.waiting(), 0);
  collect(engine, outputs);
  EXPECT_EQ(outputs[2].stats.new_tokens, 80);
}

}  // namespace
}  // namespace tidar
