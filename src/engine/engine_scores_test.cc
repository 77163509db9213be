// Log-probabilities of prompts and lists of candidates, beside a reading of the whole text at once.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/engine_testing.h"

namespace tidar {
namespace {

/// The answers that a text's own rows give about its tokens from the second on, and about what
/// comes behind it: one pass of all rows, without a cache.
std::vector<Answer> read_at_once(const MockModel& model, const std::vector<int32_t>& text,
                                 int top) {
  std::vector<int32_t> positions;
  std::vector<std::string> allowed;
  for (size_t i = 0; i < text.size(); ++i) {
    positions.push_back(static_cast<int32_t>(i));
    allowed.push_back(std::string(i + 1, '1') + std::string(text.size() - i - 1, '0'));
  }
  const auto logits = dense_logits(model, text, positions, allowed);
  std::vector<Answer> answers;
  for (size_t i = 1; i < text.size(); ++i) {
    answers.push_back(mock_answer({.kind = AskKind::score, .token = text[i], .top = top},
                                  logits[i - 1], nullptr));
  }
  return answers;
}

void expect_listed(const std::vector<ListedToken>& found, const std::vector<ListedToken>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].token, wanted[i].token);
    EXPECT_EQ(found[i].logprob, wanted[i].logprob);
  }
}

// Whatever the method, and however a prompt is cut by the passes that it shares.
TEST(EngineScores, ScoresOfThePromptAndListsAreThoseOfTheWholeText) {
  const Tokenizer tokenizer = letters();
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rng rng(seed);
    const MockModel model{.seed = seed};
    MockEvaluator evaluator(model, limits(8 + rng.below(40), 5));
    Engine engine(evaluator, &tokenizer);
    if (rng.below(2) == 0) engine.share_prefixes();
    std::map<RequestId, Request> requests;
    for (int i = 0; i < 6; ++i) {
      Request request = random_request(rng, Methods::that_equal_ar);
      request.sequence.top = rng.below(4);
      request.sequence.score_prompt = rng.below(4) > 0;
      auto id = engine.submit(request);
      if (id.ok()) requests.emplace(*id, std::move(request));
    }
    std::map<RequestId, Update> sums;
    while (!engine.idle()) {
      for (const Update& update : engine.step()) {
        Update& sum = sums[update.id];
        sum.tokens.insert(sum.tokens.end(), update.tokens.begin(), update.tokens.end());
        sum.listed.insert(sum.listed.end(), update.listed.begin(), update.listed.end());
        sum.scores.insert(sum.scores.end(), update.scores.begin(), update.scores.end());
      }
    }
    for (const auto& [id, request] : requests) {
      const SequenceSpec& spec = request.sequence;
      const Update& sum = sums[id];
      std::vector<int32_t> text = spec.prompt;
      for (const TokenLogprob& token : sum.tokens) text.push_back(token.token);
      const auto expected = read_at_once(model, text, spec.top);
      const size_t behind = spec.prompt.size() - 1;
      ASSERT_EQ(sum.scores.size(), spec.score_prompt ? behind : 0);
      for (size_t i = 0; i < sum.scores.size(); ++i) {
        EXPECT_EQ(sum.scores[i].token, expected[i].token);
        EXPECT_EQ(sum.scores[i].logprob, expected[i].logprob);
        expect_listed(sum.scores[i].top, expected[i].top);
      }
      ASSERT_EQ(sum.listed.size(), spec.top > 0 ? sum.tokens.size() : 0);
      for (size_t i = 0; i < sum.listed.size(); ++i) {
        EXPECT_EQ(sum.tokens[i].logprob, expected[behind + i].logprob);
        expect_listed(sum.listed[i], expected[behind + i].top);
      }
    }
  }
}

// Its rows need not be read causally.
TEST(EngineScores, BlockDiffusionScoresNoPrompt) {
  MockEvaluator evaluator(MockModel{}, limits(16, 8));
  Engine engine(evaluator);
  Request request = request_of({1, 2, 3}, 4, BlockDiffusionOptions{.block_size = 4});
  request.sequence.score_prompt = true;
  const auto refused = engine.submit(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("use ar"), std::string::npos);
  request.sequence.score_prompt = false;
  request.sequence.top = 2;
  ASSERT_TRUE(engine.submit(request).ok());
  size_t listed = 0, tokens = 0;
  while (!engine.idle()) {
    for (const Update& update : engine.step()) {
      tokens += update.tokens.size();
      listed += update.listed.size();
      for (const auto& list : update.listed) EXPECT_EQ(list.size(), 2u);
    }
  }
  EXPECT_EQ(listed, tokens);
}

}  // namespace
}  // namespace tidar
