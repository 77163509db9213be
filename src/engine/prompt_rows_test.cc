// Passes that hold few rows of prompts while texts grow.

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/rng.h"
#include "decode/mock_evaluator_testing.h"
#include "engine/engine.h"

namespace tidar {
namespace {

constexpr EvaluatorLimits kLimits = {
    .max_rows = 100, .pages = 60, .max_position = 600, .vocabulary = 11};

Request request_of(int prompt, int max_new, Method method) {
  Request request;
  request.sequence.prompt.assign(static_cast<size_t>(prompt), 1);
  request.sequence.mask_token = 10;
  request.method = std::move(method);
  request.max_new = max_new;
  return request;
}

/// An evaluator that remembers how many rows its last pass had.
class CountedEvaluator final : public Evaluator {
 public:
  const EvaluatorLimits& limits() const override { return inner_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    rows = pass.rows();
    inner_.evaluate(pass, answers);
  }
  void answer(const Asks& asks, std::span<Answer> answers) override {
    inner_.answer(asks, answers);
  }

  int rows = 0;

 private:
  MockEvaluator inner_{MockModel{.seed = 3}, kLimits};
};

TEST(PromptRows, FewBesideTextsThatGrowAndAllWhereThereIsNone) {
  CountedEvaluator evaluator;
  Engine engine(evaluator);
  engine.limit_prompt_rows(16);
  ASSERT_TRUE(engine.submit(request_of(200, 30, ArOptions{})).ok());
  engine.step();
  EXPECT_EQ(evaluator.rows, 100) << "alone";
  while (engine.step().empty()) {
  }
  ASSERT_TRUE(engine.submit(request_of(160, 2, ArOptions{})).ok());
  ASSERT_TRUE(engine.submit(request_of(160, 2, ArOptions{})).ok());
  for (int step = 0; step < 10; ++step) {
    engine.step();
    EXPECT_EQ(evaluator.rows, 1 + 16) << "the text's row, and those of both prompts";
  }
}

TEST(PromptRows, AMethodThatNeedsMoreGetsThem) {
  CountedEvaluator evaluator;
  Engine engine(evaluator);
  engine.limit_prompt_rows(1);
  ASSERT_TRUE(engine.submit(request_of(3, 200, ArOptions{})).ok());
  engine.step();
  for (const int block : {8, 32}) {
    BlockDiffusionOptions options;
    options.block_size = block;
    const auto id = engine.submit(request_of(50, 9, options));
    ASSERT_TRUE(id.ok());
    bool ended = false;
    for (int step = 0; step < 150 && !ended; ++step) {
      for (const Update& update : engine.step()) {
        ended = ended || (update.id == *id && update.finish != FinishReason::none);
      }
    }
    EXPECT_TRUE(ended) << block;
  }
}

// What the others do decides about passes, not about tokens.
TEST(PromptRows, TokensStayTheSame) {
  Rng rng(5);
  for (int round = 0; round < 20; ++round) {
    std::vector<Request> requests;
    for (int i = 0; i < 6; ++i) {
      const Method methods[] = {ArOptions{}, TidarOptions{.draft_length = 3}};
      requests.push_back(request_of(1 + rng.below(90), 1 + rng.below(40), methods[rng.below(2)]));
    }
    const auto tokens_of = [&](int most) {
      CountedEvaluator evaluator;
      Engine engine(evaluator);
      engine.limit_prompt_rows(most);
      std::map<RequestId, std::vector<int32_t>> tokens;
      size_t submitted = 0;
      while (submitted < requests.size() || !engine.idle()) {
        if (submitted < requests.size()) {
          EXPECT_TRUE(engine.submit(requests[submitted++]).ok());
        }
        for (const Update& update : engine.step()) {
          for (const TokenLogprob& token : update.tokens) {
            tokens[update.id].push_back(token.token);
          }
        }
      }
      return tokens;
    };
    EXPECT_EQ(tokens_of(1 + rng.below(30)), tokens_of(1000));
  }
}

}  // namespace
}  // namespace tidar
