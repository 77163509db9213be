#include "decode/speculative.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>

#include "decode/constraint_testing.h"
#include "decode/drive_testing.h"
#include "decode/lookup.h"
#include "decode/model_drafter.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;

const EvaluatorLimits kSpeculativeLimits{
    .max_rows = 512, .pages = 64, .max_position = 300, .vocabulary = 11};

Tokens first(Tokens tokens, int count) {
  tokens.resize(static_cast<size_t>(count));
  return tokens;
}

// Guesses by the throw of a die, as many as it likes.
class RandomDrafter final : public Drafter {
 public:
  explicit RandomDrafter(uint64_t seed) : rng_(seed) {}
  std::span<const int32_t> draft(std::span<const int32_t> /*text*/, int most) override {
    draft_ = random_text(rng_, rng_.below(most + 1), 12);  // 11 is no token of the model
    return draft_;
  }

 private:
  Rng rng_;
  Tokens draft_;
};

DrafterFactory by_chance(uint64_t seed) {
  return [seed](const SequenceSpec&) -> Result<std::unique_ptr<Drafter>> {
    return std::unique_ptr<Drafter>(std::make_unique<RandomDrafter>(seed));
  };
}

DrafterFactory by_lookup() { return lookup_drafters({.least_matched = 1}); }

// Counts how often it is asked.
class CountingDrafter final : public Drafter {
 public:
  explicit CountingDrafter(int& calls) : calls_(calls) {}
  std::span<const int32_t> draft(std::span<const int32_t> /*text*/, int /*most*/) override {
    ++calls_;
    return {};
  }

 private:
  int& calls_;
};

// A model, and another one that drafts for it.
struct SpeculativeBench {
  explicit SpeculativeBench(const MockModel& model, const MockModel& small = {},
                            const EvaluatorLimits& limits = kSpeculativeLimits,
                            const EvaluatorLimits& small_limits = kSpeculativeLimits)
      : evaluator(model, limits),
        pool(limits.pages),
        small_evaluator(small, small_limits),
        small_pool(small_limits.pages) {}

  Driven ar(const SequenceSpec& spec, int wanted) {
    return {
        .decoder = make_decoder(ArOptions{}, spec, SequenceCache(pool), evaluator.limits()).value(),
        .wanted = wanted};
  }
  Driven speculative(const SequenceSpec& spec, int draft_length, const DrafterFactory& drafters,
                     int wanted) {
    return {.decoder =
                make_decoder(SpeculativeOptions{.draft_length = draft_length, .drafters = drafters},
                             spec, SequenceCache(pool), evaluator.limits())
                    .value(),
            .wanted = wanted};
  }
  DrafterFactory by_model() { return model_drafters(small_evaluator, small_pool); }

  MockEvaluator evaluator;
  PagePool pool;
  MockEvaluator small_evaluator;
  PagePool small_pool;
};

// Of the same family: right more often than by chance.
MockModel small_model_of(const MockModel& model) {
  MockModel small = model;
  small.agreement = (1 + model.agreement) / 2;
  return small;
}

class Speculative : public testing::TestWithParam<uint64_t> {
 protected:
  Rng rng{GetParam()};
};

// Whoever drafts, whatever rows the passes grant, greedy or sampled, under penalties and cuts.
TEST_P(Speculative, EmitsTheTokensOfAr) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  const int wanted = 40;
  const Tokens truth = plain_ar(model, spec, wanted);
  for (const int draft_length : {1, 2, 5, 16}) {
    SCOPED_TRACE(testing::Message() << "draft length " << draft_length);
    SpeculativeBench bench(model, small_model_of(model));
    const auto decodes = [&](const DrafterFactory& drafters, const RowBudget& budget) {
      Driven driven = bench.speculative(spec, draft_length, drafters, wanted);
      drive(bench.evaluator, driven, budget);
      return first(driven.tokens(), wanted);
    };
    const RowBudget few = [&](int) { return 1 + rng.below(2 + draft_length); };
    for (const RowBudget& budget : {RowBudget(every_row), few}) {
      EXPECT_EQ(decodes(by_lookup(), budget), truth);
      EXPECT_EQ(decodes(bench.by_model(), budget), truth);
      EXPECT_EQ(decodes(by_chance(rng.bits()), budget), truth);
    }
  }
}

TEST_P(Speculative, UnderAConstraintEmitsTheTokensOfAr) {
  const MockModel model = random_model(rng);
  SequenceSpec spec = random_spec(rng);
  spec.constraint = random_constraint(rng);
  const int wanted = 40;
  const Tokens truth = plain_ar(model, spec, wanted);
  for (const int draft_length : {1, 2, 5, 16}) {
    SCOPED_TRACE(testing::Message() << "draft length " << draft_length);
    SpeculativeBench bench(model, small_model_of(model));
    for (const DrafterFactory& drafters : {by_lookup(), bench.by_model(), by_chance(rng.bits())}) {
      Driven driven = bench.speculative(spec, draft_length, drafters, wanted);
      drive(bench.evaluator, driven);
      EXPECT_EQ(first(driven.tokens(), static_cast<int>(truth.size())), truth);
      EXPECT_TRUE(truth.size() == wanted || driven.decoder->phase() == Phase::failed);
    }
  }
}

TEST_P(Speculative, LogprobsAreThoseOfAr) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  SpeculativeBench bench(model);
  Driven ar = bench.ar(spec, 20), looked_up = bench.speculative(spec, 4, by_lookup(), 20);
  drive(bench.evaluator, ar);
  drive(bench.evaluator, looked_up);
  expect_same_logprobs(looked_up.output, ar.output, 20);
}

// Keys of rejected drafts were written behind the text all the time, and are gone.
TEST_P(Speculative, KeysAreThoseOfOnePrefill) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  SpeculativeBench bench(model), fresh(model);
  Driven driven = bench.speculative(spec, 5, by_chance(rng.bits()), 70);
  drive(bench.evaluator, driven);
  Tokens text = spec.prompt;
  const Tokens output = driven.tokens();
  text.insert(text.end(), output.begin(), output.end() - 1);
  const auto size = static_cast<int>(text.size());

  SequenceCache cache(fresh.pool);
  ASSERT_TRUE(cache.reserve(size));
  Pass pass;
  pass.begin_sequence(cache);
  add_causal(pass, text, Keep::page);
  fresh.evaluator.evaluate(pass, {});
  EXPECT_EQ(bench.evaluator.keys(driven.pages, size), fresh.evaluator.keys(cache.pages(), size));
}

// The drafter reads what was committed and drops the keys of its wrong guesses: it always guesses
// what its model would say after the text, were it asked anew.
TEST_P(Speculative, ModelDrafterGuessesWhatItsModelSays) {
  const MockModel small = random_model(rng);
  SequenceSpec spec = random_spec(rng);
  EvaluatorLimits narrow = kSpeculativeLimits;
  narrow.max_rows = 1 + rng.below(20);
  SpeculativeBench bench(small, small, kSpeculativeLimits, narrow);
  const auto drafter = bench.by_model()(spec).value();
  Tokens text = spec.prompt, output;
  for (int round = 0; round < 12; ++round) {
    const int most = 1 + rng.below(6);
    const auto guesses = drafter->draft(text, most);
    Tokens expected, said = output, whole = text;
    for (int i = 0; i < most; ++i) {
      const auto changes = plain_changes(spec, said, small.vocabulary);
      const Ask ask{.sampling = spec.sampling, .changes = all_of(changes), .draw = whole.size()};
      expected.push_back(mock_answer(ask, causal_logits(small, whole), nullptr, changes).token);
      whole.push_back(expected.back());
      said.push_back(expected.back());
    }
    ASSERT_EQ(Tokens(guesses.begin(), guesses.end()), expected) << "round " << round;
    // Some guesses turn out right, then comes something else.
    const int right = rng.below(most + 1);
    for (int i = 0; i < right; ++i) output.push_back(expected[static_cast<size_t>(i)]);
    output.push_back(rng.below(10));
    text = spec.prompt;
    text.insert(text.end(), output.begin(), output.end());
  }
}

// Up to the last position, drafting less as it comes near.
TEST_P(Speculative, StopsAtTheLastPosition) {
  EvaluatorLimits limits = kSpeculativeLimits;
  limits.max_position = 2 + rng.below(40);
  const MockModel model = random_model(rng);
  SequenceSpec spec = random_spec(rng);
  spec.prompt = random_text(rng, 1 + rng.below(limits.max_position - 1));
  const int room = limits.max_position - static_cast<int>(spec.prompt.size());
  SpeculativeBench bench(model, model, limits, limits);
  for (const DrafterFactory& drafters : {bench.by_model(), by_lookup()}) {
    Driven driven = bench.speculative(spec, 6, drafters, 1000);
    drive(bench.evaluator, driven);
    EXPECT_EQ(driven.decoder->phase(), Phase::full);
    EXPECT_EQ(driven.tokens(), plain_ar(model, spec, room));
  }
}

TEST(SpeculativePages, NothingIsDraftedBeforeThePagesAreSure) {
  EvaluatorLimits limits = kSpeculativeLimits;
  limits.pages = 2;
  SpeculativeBench bench({.seed = 1}, {}, limits);
  int calls = 0;
  const DrafterFactory counting = [&](const SequenceSpec&) -> Result<std::unique_ptr<Drafter>> {
    return std::unique_ptr<Drafter>(std::make_unique<CountingDrafter>(calls));
  };
  SequenceSpec spec;
  spec.prompt = Tokens(kPageSlots, 1);
  Driven driven = bench.speculative(spec, 3, counting, 100);
  Driven* all[] = {&driven};
  Pass pass;
  ASSERT_TRUE(drive_pass(bench.evaluator, pass, all));
  const PageId other = bench.pool.take();
  EXPECT_FALSE(drive_pass(bench.evaluator, pass, all));
  EXPECT_EQ(calls, 0);
  bench.pool.give_back(other);
  EXPECT_TRUE(drive_pass(bench.evaluator, pass, all));
  EXPECT_EQ(calls, 1);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Speculative, testing::Range<uint64_t>(0, 20));

SequenceSpec short_spec() {
  SequenceSpec spec;
  spec.prompt = {1, 2, 3};
  spec.mask_token = 10;
  return spec;
}

// Its own drafter is always right: every pass but those of the prompt brings K + 1 tokens, for
// K passes of the drafter, whose own cache makes the first ones cheap.
TEST(SpeculativeStats, APerfectDrafterIsAlwaysRight) {
  for (const float temperature : {0.0f, 1.0f}) {
    const MockModel model{.seed = 3};
    SpeculativeBench bench(model, model);
    SequenceSpec spec = short_spec();
    spec.sampling.temperature = temperature;
    Driven driven = bench.speculative(spec, 4, bench.by_model(), 1 + 10 * 5);
    drive(bench.evaluator, driven);
    const Totals& stats = driven.totals;
    EXPECT_EQ(stats.passes, 10);
    EXPECT_EQ(stats.committed, 50);
    EXPECT_EQ(stats.accepted, (std::vector<int64_t>{0, 0, 0, 0, 0, 10}));
    EXPECT_EQ(stats.places, std::vector<PlaceCount>(4, {.drafted = 10, .accepted = 10}));
    EXPECT_EQ(stats.drafter_passes, 40);
  }
}

TEST(SpeculativeStats, PlacesTellWhichGuessesWereRight) {
  const MockModel model{.seed = 5, .agreement = 0.6};
  SpeculativeBench bench(model, small_model_of(model));
  const SequenceSpec spec = short_spec();
  Driven driven = bench.speculative(spec, 3, bench.by_model(), 200);
  drive(bench.evaluator, driven);
  const Totals& stats = driven.totals;
  ASSERT_EQ(stats.places.size(), 3u);
  ASSERT_EQ(stats.accepted.size(), 5u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(stats.places[i].drafted, stats.passes);
    int64_t longer = 0;  // passes that accepted guess i: they committed i + 2 tokens or more
    for (size_t a = i + 2; a < 5; ++a) longer += stats.accepted[a];
    EXPECT_EQ(stats.places[i].accepted, longer);
  }
  EXPECT_GT(stats.places[0].accepted, stats.places[2].accepted);
  EXPECT_GT(stats.places[2].accepted, 0);
}

// Text that repeats itself is looked up.
TEST(SpeculativeStats, LookupPaysInLoops) {
  // A bias that leaves one token makes a loop.
  SequenceSpec spec = short_spec();
  spec.penalties.bias = {{.token = 4, .add = 100}};
  SpeculativeBench bench(MockModel{.seed = 3});
  Driven driven = bench.speculative(spec, 4, by_lookup(), 41);
  drive(bench.evaluator, driven);
  EXPECT_EQ(driven.tokens(), Tokens(driven.output.size(), 4));
  // One token from the prompt, one from a pass that finds nothing, then five a pass.
  EXPECT_EQ(driven.totals.passes, 1 + 8);
}

// What was guessed for an offer is forgotten where its pass was not made and keys were lost since.
TEST(SpeculativeOffers, MayComeToNothing) {
  SequenceSpec spec = short_spec();
  spec.penalties.bias = {{.token = 4, .add = 100}};
  SpeculativeBench bench(MockModel{.seed = 3});
  Driven driven = bench.speculative(spec, 4, by_lookup(), 20);
  drive(bench.evaluator, driven);
  const Prices prices({{1, 1}, {9, 1.1}}, 0);
  PassOutlook outlook;
  outlook.prices = &prices;
  Offer offer;
  ASSERT_TRUE(driven.decoder->make_offer(outlook, offer));
  EXPECT_EQ(offer.bundles.size(), 4u);
  driven.decoder->cache().truncate(0);
  EXPECT_FALSE(driven.decoder->make_offer(outlook, offer));
  driven.wanted = 40;
  drive(bench.evaluator, driven, [](int) { return 3; });
  EXPECT_EQ(driven.tokens(), Tokens(driven.output.size(), 4));
  EXPECT_GE(driven.output.size(), 40u);
}

// A drafter that cannot follow costs speed alone.
TEST(ModelDrafter, IsSilentWhereItCannotFollow) {
  const MockModel model{.seed = 9};
  SequenceSpec spec = short_spec();
  spec.penalties.bias = {{.token = 9, .add = 1}};
  const Tokens truth = plain_ar(model, spec, 150);
  const auto passes_with = [&](int vocabulary, int pages, int max_position) {
    MockModel small = model;
    small.vocabulary = vocabulary;
    SpeculativeBench bench(
        model, small, kSpeculativeLimits,
        {.max_rows = 4, .pages = pages, .max_position = max_position, .vocabulary = vocabulary});
    Driven driven = bench.speculative(spec, 4, bench.by_model(), 150);
    drive(bench.evaluator, driven);
    EXPECT_EQ(first(driven.tokens(), 150), truth);
    return driven.totals.passes;
  };
  const int64_t all = passes_with(11, 64, 300);
  EXPECT_EQ(all, 30);
  EXPECT_GT(passes_with(11, 1, 300), all) << "its pages hold 64 keys";
  EXPECT_GT(passes_with(11, 64, 100), all) << "its context is shorter";
  EXPECT_GT(passes_with(6, 64, 300), all) << "it lacks tokens 6 to 10";
  EXPECT_LT(passes_with(12, 64, 300), 149) << "it knows a token that the model lacks";
}

TEST(MakeSpeculative, RefusesWhatItCannotDo) {
  PagePool pool(1);
  const auto complaint = [&](const SpeculativeOptions& options, const SequenceSpec& spec) {
    const auto made = make_decoder(options, spec, SequenceCache(pool), kSpeculativeLimits);
    return made.ok() ? "" : made.error().message;
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' lacks '" << part << "'";
  };
  EXPECT_EQ(complaint({.drafters = by_chance(1)}, short_spec()), "");
  has(complaint({.draft_length = 0, .drafters = by_chance(1)}, short_spec()), "draft length");
  has(complaint({}, short_spec()), "needs a drafter");
  has(complaint({.drafters = lookup_drafters({.least_matched = 0})}, short_spec()), "least 0");
  has(complaint({.drafters = by_chance(1)}, {}), "prompt");
}

}  // namespace
}  // namespace tidar
