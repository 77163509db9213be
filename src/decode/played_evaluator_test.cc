#include "decode/played_evaluator.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "decode/drive_testing.h"
#include "decode/methods.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;

constexpr int kLongestDraft = 8;
constexpr int kWanted = 40;
// A pass may bring more than is wanted; the trace holds that, too.
constexpr int kAnswer = kWanted + kLongestDraft;

EvaluatorLimits limits() {
  return {.max_rows = 150, .pages = 8, .max_position = 300, .vocabulary = 11};
}

/// A request whose guesses do not depend on what was said.
SequenceSpec recordable_spec(Rng& rng) {
  SequenceSpec spec = random_spec(rng);
  spec.penalties = {.bias = spec.penalties.bias};
  return spec;
}

MockModel random_played_model(Rng& rng) {
  return {.seed = rng.bits(), .agreement = std::array{0.5, 0.8, 0.95}[rng.below(3)]};
}

DraftTrace recorded(const MockModel& model, const SequenceSpec& spec) {
  MockEvaluator evaluator(model, limits());
  return record_drafts(evaluator, spec, plain_ar(model, spec, kAnswer), kLongestDraft);
}

Driven decoded(Evaluator& evaluator, const Method& method, const SequenceSpec& spec,
               const RowBudget& budget) {
  PagePool pool(evaluator.limits().pages);
  Driven driven{
      .decoder = make_decoder(method, spec, SequenceCache(pool), evaluator.limits()).value(),
      .wanted = kWanted};
  drive(evaluator, driven, budget);
  driven.decoder.reset();  // before the pool
  return driven;
}

/// The request whose text the trace with this number holds.
SequenceSpec played_spec(const DraftTrace& trace, uint64_t number) {
  const auto prompt = trace.text().begin();
  return {.prompt = {prompt, prompt + trace.prompt_tokens()},
          .sampling = {.seed = number},
          .mask_token = 10};
}

Tokens answer_of(const DraftTrace& trace, size_t tokens) {
  const auto from = trace.text().begin() + trace.prompt_tokens();
  return {from, from + static_cast<int64_t>(tokens)};
}

class PlayedSeeds : public testing::TestWithParam<uint64_t> {
 protected:
  Rng rng{GetParam()};
};

// The property that all of this is for: over another network, whose own words are others, decoding
// by the trace takes the same passes with the same numbers of tokens, whatever the draft length,
// the groups and the rows that passes grant.
TEST_P(PlayedSeeds, PlayedAcceptanceIsThatOfTheModel) {
  const MockModel model = random_played_model(rng);
  const SequenceSpec spec = recordable_spec(rng);
  MockEvaluator real(model, limits());
  MockEvaluator other(MockModel{.seed = rng.bits(), .agreement = 0.5}, limits());
  const std::vector<DraftTrace> traces = {recorded(model, spec)};
  PlayedEvaluator played(other, traces);
  for (const int length : {1, 2, 4, 5, kLongestDraft}) {
    for (const GroupPolicy& groups :
         {GroupPolicy(), no_groups(), only_groups({1}), GroupPolicy{GroupPolicy::Kind::last},
          GroupPolicy{.kind = GroupPolicy::Kind::likeliest, .count = 1}}) {
      SCOPED_TRACE(testing::Message() << "K = " << length << ", groups " << text_of(groups));
      const TidarOptions method{
          .draft_length = length, .groups = groups, .guessed = rng.below(2) * rng.below(4)};
      const uint64_t seed = rng.bits();
      const bool cramped = rng.below(2) == 0;
      const auto budgets = [&](Rng& own) {
        return [&](int left) { return cramped ? 1 + own.below(2 + 4 * length) : left; };
      };
      Rng real_budgets(seed), played_budgets(seed);
      const Driven expected = decoded(real, method, spec, budgets(real_budgets));
      const Driven found =
          decoded(played, method, played_spec(traces[0], 0), budgets(played_budgets));
      EXPECT_EQ(found.tokens(), expected.tokens());
      EXPECT_EQ(found.totals.passes, expected.totals.passes);
      EXPECT_EQ(found.totals.accepted, expected.totals.accepted);
      EXPECT_EQ(found.totals.places, expected.totals.places);
    }
  }
}

TEST_P(PlayedSeeds, MethodsThatDraftOtherwiseGiveTheTextAsWell) {
  const MockModel model = random_played_model(rng);
  const std::vector<DraftTrace> traces = {recorded(model, recordable_spec(rng)),
                                          recorded(model, recordable_spec(rng))};
  MockEvaluator other(MockModel{.seed = rng.bits(), .agreement = 0.5}, limits());
  PlayedEvaluator played(other, traces);
  for (uint64_t number = 0; number < traces.size(); ++number) {
    for (const Method& method :
         {Method(ArOptions{}), Method(SelfSpeculativeOptions{.draft_length = 4}),
          Method(LookupMethodOptions{.lookup = {.least_matched = 1}})}) {
      const Driven found = decoded(played, method, played_spec(traces[number], number), every_row);
      EXPECT_EQ(found.tokens(), answer_of(traces[number], found.output.size())) << name_of(method);
    }
  }
}

TEST(PlayedEvaluator, SequencesOfOnePassHaveEachItsText) {
  Rng rng(5);
  const MockModel model = random_played_model(rng);
  std::vector<DraftTrace> traces;
  for (int i = 0; i < 3; ++i) traces.push_back(recorded(model, recordable_spec(rng)));
  MockEvaluator other(MockModel{.seed = 9, .agreement = 0.5}, limits());
  PlayedEvaluator played(other, traces);
  PagePool pool(limits().pages);
  std::vector<Driven> all;
  for (uint64_t number = 0; number < traces.size(); ++number) {
    all.push_back(
        {.decoder = make_decoder(TidarOptions{.draft_length = 4},
                                 played_spec(traces[number], number), SequenceCache(pool), limits())
                        .value(),
         .wanted = kWanted});
  }
  Driven* const sharing[] = {&all[0], &all[1], &all[2]};
  drive(played, sharing, [](int left) { return left / 2; });
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].tokens(), answer_of(traces[i], all[i].output.size())) << i;
  }
}

// What is guessed where the context ends, is nothing: no pass has a mask there.
TEST(DraftTrace, EndsWithTheContext) {
  const MockModel model{.seed = 3};
  EvaluatorLimits small = limits();
  small.max_position = 20;
  MockEvaluator evaluator(model, small);
  const SequenceSpec spec{.prompt = Tokens(15, 1), .mask_token = 10};
  const DraftTrace trace = record_drafts(evaluator, spec, Tokens{1, 2, 3, 4, 5}, 4);
  for (int position = 15; position < 20; ++position) {
    for (int masks = 1; masks <= 4; ++masks) {
      for (const Guess& guess : trace.draft(position, masks)) {
        EXPECT_EQ(guess.token >= 0, position + masks <= 20) << position << ", " << masks;
        EXPECT_NE(guess.token, 10);
      }
    }
  }
}

// A trace of random guesses, a third of which are right.
DraftTrace random_trace(Rng& rng, int vocabulary) {
  DraftTrace trace(random_text(rng, 30 + rng.below(30), vocabulary), 1 + rng.below(20), 3);
  for (int masks = 1; masks <= 3; ++masks) {
    for (int position = trace.prompt_tokens(); position < trace.size(); ++position) {
      int at = position;
      for (Guess& guess : trace.draft(position, masks)) {
        const int32_t right = at < trace.size() ? trace.text()[static_cast<size_t>(at)] : -1;
        guess = {rng.below(3) == 0 ? right : rng.below(vocabulary), -rng.uniform()};
        ++at;
      }
    }
  }
  return trace;
}

void expect_same_acceptance(const DraftTrace& found, const DraftTrace& trace) {
  for (int masks = 1; masks <= trace.draft_length(); ++masks) {
    for (int position = trace.prompt_tokens(); position < trace.size(); ++position) {
      const auto a = trace.draft(position, masks), b = found.draft(position, masks);
      for (size_t m = 0; m < a.size(); ++m) {
        EXPECT_EQ(a[m].logprob, b[m].logprob);
        EXPECT_EQ(a[m].token < 0, b[m].token < 0);
        const size_t at = static_cast<size_t>(position) + m;
        if (at >= trace.text().size()) continue;
        EXPECT_EQ(a[m].token == trace.text()[at], b[m].token == found.text()[at]);
      }
    }
  }
}

TEST_P(PlayedSeeds, AnotherVocabularyKeepsWhatIsEqualAndWhatIsRight) {
  const int original = 5 + rng.below(400);
  const DraftTrace trace = random_trace(rng, original);
  const std::set<int32_t> used(trace.text().begin(), trace.text().end());
  const int enough = static_cast<int>(used.size()) + 1;
  for (const int vocabulary : {enough, enough + 1 + rng.below(50), original + 1}) {
    const int32_t mask = rng.below(vocabulary);
    const DraftTrace found = trace.in_vocabulary(vocabulary, mask);
    expect_same_acceptance(found, trace);
    std::set<std::pair<int32_t, int32_t>> pairs;
    std::set<int32_t> tokens;
    for (size_t i = 0; i < trace.text().size(); ++i) {
      pairs.emplace(trace.text()[i], found.text()[i]);
      tokens.insert(found.text()[i]);
    }
    EXPECT_EQ(pairs.size(), used.size());
    EXPECT_EQ(tokens.size(), used.size());
    EXPECT_FALSE(tokens.contains(mask));
    EXPECT_LT(*tokens.rbegin(), vocabulary);
    for (int masks = 1; masks <= 3; ++masks) {
      for (const Guess& guess : found.drafts(masks)) {
        EXPECT_NE(guess.token, mask);
        EXPECT_LT(guess.token, vocabulary);
      }
    }
  }
  const DraftTrace same = trace.in_vocabulary(original + 1, original);
  EXPECT_EQ(same.text(), trace.text());
  const DraftTrace crowded = trace.in_vocabulary(3, 1);
  expect_same_acceptance(crowded, trace);
}

INSTANTIATE_TEST_SUITE_P(All, PlayedSeeds, testing::Range(uint64_t{0}, uint64_t{12}));

}  // namespace
}  // namespace tidar
