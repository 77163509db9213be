#include "eval/causal_scorer.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <utility>

#include "decode/drive_testing.h"
#include "decode/mock_evaluator_testing.h"
#include "decode/text_testing.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

constexpr MockModel kCausalModel{.seed = 5};

EvaluatorLimits limits(int rows, int pages) {
  return {.max_rows = rows, .pages = pages, .max_position = 300, .vocabulary = 11};
}

/// The score of a text, token by token, each from a reading of all that stands before it.
double plain_score(const ScoredText& text) {
  double sum = 0;
  for (size_t i = static_cast<size_t>(text.from); i < text.tokens.size(); ++i) {
    const std::vector<int32_t> before(text.tokens.begin(),
                                      text.tokens.begin() + static_cast<std::ptrdiff_t>(i));
    Ask ask;
    ask.kind = AskKind::score;
    ask.token = text.tokens[i];
    sum += double{mock_answer(ask, causal_logits(kCausalModel, before), nullptr).logprob};
  }
  return sum;
}

ScoredText text_of(std::vector<int32_t> context, const std::vector<int32_t>& end) {
  const auto from = static_cast<int32_t>(context.size());
  context.insert(context.end(), end.begin(), end.end());
  return {std::move(context), from};
}

/// Questions behind the same shots, with two to four choices each.
std::vector<TextGroup> random_groups(Rng& rng, int count) {
  const std::vector<int32_t> shots = random_text(rng, 60);
  std::vector<TextGroup> groups;
  for (int64_t id = 0; id < count; ++id) {
    std::vector<int32_t> context = shots;
    const auto question = random_text(rng, rng.below(15));
    context.insert(context.end(), question.begin(), question.end());
    TextGroup group{id, {}};
    for (int choice = 2 + rng.below(3); choice > 0; --choice) {
      group.texts.push_back(text_of(context, random_text(rng, 1 + rng.below(6))));
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

NextGroup each_of(const std::vector<TextGroup>& groups) {
  return [&groups, next = size_t{0}]() mutable -> std::optional<TextGroup> {
    if (next == groups.size()) return std::nullopt;
    return groups[next++];
  };
}

std::map<int64_t, std::vector<TextScore>> score_all(TextScorer& scorer,
                                                    const std::vector<TextGroup>& groups) {
  std::map<int64_t, std::vector<TextScore>> found;
  const auto done = scorer.score(each_of(groups), [&](int64_t id, const auto& scores) {
    EXPECT_FALSE(found.contains(id));
    found[id] = scores;
    return Result<bool>(true);
  });
  EXPECT_TRUE(done.ok());
  return found;
}

TEST(CausalScorer, ScoresAreThoseOfPlainReading) {
  Rng rng(1);
  for (int round = 0; round < 12; ++round) {
    const std::vector<TextGroup> groups = random_groups(rng, 7);
    const int lanes = 1 + rng.below(4);
    MockEvaluator evaluator(kCausalModel, limits(1 + rng.below(60), 2 * lanes));
    const auto scorer = make_causal_scorer(evaluator, lanes);
    const auto found = score_all(*scorer, groups);
    ASSERT_EQ(found.size(), groups.size());
    for (const TextGroup& group : groups) {
      const auto& scores = found.at(group.id);
      ASSERT_EQ(scores.size(), group.texts.size());
      for (size_t i = 0; i < scores.size(); ++i) {
        EXPECT_EQ(scores[i].logprob, plain_score(group.texts[i]));
        EXPECT_EQ(scores[i].standard_error, 0);
      }
    }
  }
}

TEST(CausalScorer, SharedBeginningsAreReadOnce) {
  const std::vector<int32_t> shots(40, 1), context_a(10, 2), context_b(10, 3);
  std::vector<int32_t> a = shots, b = shots;
  a.insert(a.end(), context_a.begin(), context_a.end());
  b.insert(b.end(), context_b.begin(), context_b.end());
  const std::vector<TextGroup> groups = {{0, {text_of(a, {4, 5, 6}), text_of(a, {7, 8})}},
                                         {1, {text_of(b, {4, 5}), text_of(b, {4, 9, 9})}}};
  MockEvaluator evaluator(kCausalModel, limits(64, 4));
  const auto scorer = make_causal_scorer(evaluator, 1);
  score_all(*scorer, groups);
  // The last token of a text is never read; the last one of a context is, for its answer.
  EXPECT_EQ(scorer->cost().rows, (50 + 2) + (1 + 1) + (10 + 1) + (1 + 2));
  EXPECT_EQ(scorer->cost().reused, 0 + 49 + 40 + 49);
  EXPECT_EQ(scorer->cost().passes, 4);
}

TEST(CausalScorer, LanesShareThePasses) {
  Rng rng(2);
  const std::vector<TextGroup> groups = random_groups(rng, 8);
  MockEvaluator evaluator(kCausalModel, limits(256, 8));
  const auto one = make_causal_scorer(evaluator, 1), four = make_causal_scorer(evaluator, 4);
  score_all(*one, groups);
  score_all(*four, groups);
  EXPECT_LT(2 * four->cost().passes, one->cost().passes);
}

TEST(CausalScorer, TidarWeightsScoreAsTheyDecode) {
  // What TiDAR emits at trust 1, with the log-probabilities that it tells, scored causally.
  Rng rng(3);
  for (int round = 0; round < 8; ++round) {
    MockEvaluator evaluator(kCausalModel, limits(100, 4));
    PagePool pool(4);
    SequenceSpec spec{.prompt = random_text(rng, 1 + rng.below(70)), .mask_token = 10};
    spec.sampling.temperature = static_cast<float>(round % 2);
    spec.sampling.seed = static_cast<uint64_t>(round);
    const std::vector<int32_t> prompt = spec.prompt;
    auto decoder = make_decoder(TidarOptions{.draft_length = 4}, std::move(spec),
                                SequenceCache(pool), evaluator.limits());
    ASSERT_TRUE(decoder.ok());
    Driven driven{std::move(*decoder), 20};
    drive(evaluator, driven);
    double told = 0;
    for (const TokenLogprob& token : driven.output) told += double{token.logprob};

    const auto scorer = make_causal_scorer(evaluator, 1);
    const std::vector<TextGroup> groups = {{0, {text_of(prompt, driven.tokens())}}};
    EXPECT_EQ(score_all(*scorer, groups).at(0)[0].logprob, told);
  }
}

TEST(CausalScorer, EndsWhenToldAndBeginsAnew) {
  Rng rng(4);
  const std::vector<TextGroup> groups = random_groups(rng, 6);
  MockEvaluator evaluator(kCausalModel, limits(64, 4));
  const auto scorer = make_causal_scorer(evaluator, 2);
  int taken = 0;
  ASSERT_TRUE(
      scorer
          ->score(each_of(groups), [&](int64_t, const auto&) { return Result<bool>(++taken < 2); })
          .ok());
  EXPECT_EQ(taken, 2);
  EXPECT_EQ(score_all(*scorer, groups).size(), groups.size());
}

/// Whose first pass that is asked for something has no numbers.
class BrokenEvaluator final : public Evaluator {
 public:
  explicit BrokenEvaluator(Evaluator& other) : other_(other) {}
  const EvaluatorLimits& limits() const override { return other_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    other_.evaluate(pass, answers);
    if (answers.empty() || std::exchange(broken_, true)) return;
    for (Answer& answer : answers) answer.logprob = std::numeric_limits<float>::quiet_NaN();
  }
  void answer(const Asks& asks, std::span<Answer> answers) override {
    other_.answer(asks, answers);
  }

 private:
  Evaluator& other_;
  bool broken_ = false;
};

TEST(CausalScorer, GoesOnAfterWhatIsNotFinite) {
  Rng rng(5);
  std::vector<TextGroup> groups;  // two that are read in one pass
  for (int64_t id = 0; id < 2; ++id) groups.push_back({id, {{random_text(rng, 20), 15}}});
  MockEvaluator evaluator(kCausalModel, limits(64, 4));
  BrokenEvaluator broken(evaluator);
  const auto scorer = make_causal_scorer(broken, 2);
  const auto failed =
      scorer->score(each_of(groups), [](int64_t, const auto&) { return Result<bool>(true); });
  ASSERT_FALSE(failed.ok());
  EXPECT_TRUE(says(failed.error().message, "not finite"));
  for (const auto& [id, scores] : score_all(*scorer, groups)) {
    const auto& texts = groups[static_cast<size_t>(id)].texts;
    for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(scores[i].logprob, plain_score(texts[i]));
  }
}

TEST(CausalScorer, WhatDoesNotFitIsSaid) {
  MockEvaluator evaluator(kCausalModel, limits(64, 4));
  const auto scorer = make_causal_scorer(evaluator, 2);
  EXPECT_EQ(scorer->longest_text(), 129);  // two pages a lane, and a token that is not read
  const auto failure = [&](const ScoredText& text) {
    const std::vector<TextGroup> groups = {{0, {text}}};
    const auto done =
        scorer->score(each_of(groups), [](int64_t, const auto&) { return Result<bool>(true); });
    return done.ok() ? "none" : done.error().message;
  };
  EXPECT_EQ(failure({std::vector<int32_t>(129, 1), 128}), "none");
  EXPECT_TRUE(says(failure({std::vector<int32_t>(130, 1), 128}), "130|does not fit|129"));
  EXPECT_TRUE(says(failure({{1, 2}, 2}), "none to score"));
  EXPECT_TRUE(says(failure({{1, 2}, 0}), "none to score"));
}

}  // namespace
}  // namespace tidar
