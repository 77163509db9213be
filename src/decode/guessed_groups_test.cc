#include "decode/guessed_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "decode/drive_testing.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

float log_of(double probability) { return static_cast<float>(std::log(probability)); }

TEST(GuessedGroup, TheLikeliestComeFirst) {
  // Draft 1 is nearly sure, draft 2 a toss between two, draft 3 hardly known.
  const std::vector<float> confidences = {0, log_of(0.9), log_of(0.5), log_of(0.2), log_of(0.9)};
  const std::vector<ListedToken> runners_up = {
      {}, {4, log_of(0.05)}, {7, log_of(0.4)}, {2, log_of(0.2)}, {}};
  const auto chances = guessed_chances(confidences, runners_up);
  ASSERT_EQ(chances.size(), 3u);
  EXPECT_EQ(chances[0].accepted, 2);
  EXPECT_EQ(chances[0].token, 7);
  EXPECT_NEAR(chances[0].chance, 0.9 * 0.4, 1e-6);
  EXPECT_EQ(chances[1].accepted, 3);
  EXPECT_NEAR(chances[1].chance, 0.9 * 0.5 * 0.2, 1e-6);
  EXPECT_EQ(chances[2].accepted, 1);
  EXPECT_NEAR(chances[2].chance, 0.05, 1e-6);
}

class GuessedSeeds : public testing::TestWithParam<uint64_t> {
 protected:
  Rng rng{GetParam()};
};
using GuessedGroups = GuessedSeeds;

// Whatever is asked for, a step stays in its rows, keys and positions, and no row is useless.
TEST_P(GuessedGroups, FitTheFrame) {
  for (int round = 0; round < 200; ++round) {
    const StepFrame frame{.draft_length = 1 + rng.below(8), .positions_left = 2 + rng.below(30)};
    const int drafts = 1 + rng.below(std::min(frame.draft_length, frame.positions_left - 1));
    std::vector<GuessedChance> wanted;
    for (int i = rng.below(6); i > 0; --i) {
      wanted.push_back(
          {.accepted = 1 + rng.below(8), .token = rng.below(9), .masks = rng.below(9)});
    }
    const int rows = rng.below(40);
    const auto groups = fit_guessed(drafts, wanted, rows, frame);
    int used = 0;
    auto next = wanted.begin();
    for (const GuessedGroup& group : groups) {
      next = std::find_if(next, wanted.end(), [&](const GuessedChance& guess) {
        return guess.accepted == group.accepted && guess.token == group.token;
      });
      ASSERT_NE(next++, wanted.end()) << "not in the order that was wanted";
      EXPECT_LT(group.accepted, drafts);
      used += group.rows();
      EXPECT_NE(group.masks, 1);
      EXPECT_LE(group.masks, std::prev(next)->masks);
      // Token and masks stand before the last position.
      EXPECT_LE(group.accepted + group.masks, frame.positions_left - 2);
    }
    EXPECT_LE(used, rows);
    EXPECT_LE(drafts + used, frame.positions_left);
    const auto possible = std::count_if(wanted.begin(), wanted.end(),
                                        [&](const auto& guess) { return guess.accepted < drafts; });
    const bool has_room = rows > 0 && frame.positions_left > drafts;
    EXPECT_EQ(groups.empty(), possible == 0 || !has_room);
  }
}

INSTANTIATE_TEST_SUITE_P(GuessedSeeds, GuessedGroups, testing::Range(uint64_t{0}, uint64_t{10}));

TEST(GuessedGroup, TheDraftBehindOneIsItsOwnMasksOrWhatOthersKnow) {
  const std::vector<MaskGroup> groups = {{1, 4, 20}, {2, 5, 24}, {3, 6, 29}};
  const MaskRun own = draft_behind({.accepted = 2, .masks = 4, .token_row = 10}, groups);
  EXPECT_EQ(own.first_row, 12);  // the second mask: the first gives way to the chosen token
  EXPECT_EQ(own.masks, 3);
  // Group 2 begins at the guess's place: its first two masks give way, and group 3 saw the draft
  // that was wrong.
  const MaskRun others = draft_behind({.accepted = 2, .masks = 0, .token_row = 10}, groups);
  EXPECT_EQ(others.first_row, 26);
  EXPECT_EQ(others.masks, 3);
  EXPECT_EQ(draft_behind({.accepted = 2, .token_row = 10}, {}).masks, 0);
}

/// A mock whose answers are those of a script: the text is 0, 1, 2, … modulo 10, and masks know it
/// but for one position, where they take the right token for the second best.
class Scripted final : public Evaluator {
 public:
  Scripted(Evaluator& inner, int wrong_at) : inner_(inner), wrong_at_(wrong_at) {}
  const EvaluatorLimits& limits() const override { return inner_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    inner_.evaluate(pass, answers);
    pass_ = &pass;
    play(pass.asks, answers);
  }
  void answer(const Asks& asks, std::span<Answer> answers) override {
    inner_.answer(asks, answers);
    play(asks, answers);
  }

 private:
  void play(const Asks& asks, std::span<Answer> answers) const {
    for (size_t i = 0; i < asks.size(); ++i) {
      const auto row = static_cast<size_t>(asks[i].row);
      const bool is_mask = pass_->tokens[row] == 10;
      const int position = pass_->positions[row] + (is_mask ? 0 : 1);
      answers[i] = {.token = position % 10, .logprob = log_of(0.9)};
      if (!is_mask) continue;
      const bool is_wrong = position == wrong_at_;
      if (is_wrong) answers[i] = {.token = (position + 5) % 10, .logprob = log_of(0.5)};
      answers[i].runner_up = {is_wrong ? position % 10 : (position + 3) % 10,
                              log_of(is_wrong ? 0.4 : 0.01)};
    }
  }

  Evaluator& inner_;
  int wrong_at_;
  const Pass* pass_ = nullptr;
};

// What the steps behind a prompt of three tokens bring, with masks that are wrong at position 5.
std::vector<StepReport> scripted_steps(int guessed) {
  const EvaluatorLimits limits{.max_rows = 99, .pages = 4, .max_position = 99, .vocabulary = 11};
  MockEvaluator mock({.seed = 1}, limits);
  Scripted evaluator(mock, 5);
  PagePool pool(limits.pages);
  const SequenceSpec spec{.prompt = {0, 1, 2}, .mask_token = 10};
  const TidarOptions options{.draft_length = 4, .guessed = guessed};
  Driven driven{.decoder = make_decoder(options, spec, SequenceCache(pool), limits).value(),
                .wanted = 16};
  Driven* all[] = {&driven};
  Pass pass;
  std::vector<StepReport> steps;
  while (drive_pass(evaluator, pass, all)) steps.push_back(driven.decoder->report());
  std::vector<int32_t> text(driven.output.size());
  std::iota(text.begin(), text.end(), 3);
  for (int32_t& token : text) token %= 10;
  EXPECT_EQ(driven.tokens(), text);
  return steps;
}

// The first pass chooses the token at 3 and drafts 4, a wrong one at 5, and 6.
TEST(GuessedGroup, ARightGuessBringsATokenMoreAndKeepsTheDraft) {
  const auto with = scripted_steps(1), without = scripted_steps(0);
  EXPECT_EQ(with[1].drafted, 3);
  EXPECT_EQ(with[1].guessed.size(), 1u);
  EXPECT_EQ(with[1].masks(), 4 * 4 + 4);
  EXPECT_EQ(with[1].accepted, 1);
  EXPECT_TRUE(with[1].guessed_right);
  EXPECT_EQ(with[1].committed.size(), 3u);  // 4, 5 and what follows the guess
  EXPECT_EQ(with[1].used.masks, 3);
  EXPECT_EQ(with[2].drafted, 3);
  EXPECT_EQ(with[2].accepted, 3);

  EXPECT_TRUE(without[1].guessed.empty());
  EXPECT_EQ(without[1].accepted, 1);
  EXPECT_FALSE(without[1].guessed_right);
  EXPECT_EQ(without[1].committed.size(), 2u);
  EXPECT_LT(with.size(), without.size());
}

// Where rows have no limit, guessed groups save passes. Not with every text: a draft behind a guess
// may be a worse one than that of the group in its place.
TEST(GuessedGroup, SavePasses) {
  int64_t with = 0, without = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rng rng(seed);
    const MockModel model{.seed = rng.bits(), .agreement = 0.6 + 0.3 * double{rng.uniform()}};
    const EvaluatorLimits limits{
        .max_rows = 512, .pages = 8, .max_position = 300, .vocabulary = 11};
    const SequenceSpec spec = random_spec(rng);
    const auto passes = [&](int guessed) {
      MockEvaluator evaluator(model, limits);
      PagePool pool(limits.pages);
      const TidarOptions options{.draft_length = 6, .guessed = guessed};
      Driven driven{.decoder = make_decoder(options, spec, SequenceCache(pool), limits).value(),
                    .wanted = 60};
      drive(evaluator, driven);
      return driven.totals.passes;
    };
    with += passes(5);
    without += passes(0);
  }
  EXPECT_LT(with + with / 10, without);
}

}  // namespace
}  // namespace tidar
