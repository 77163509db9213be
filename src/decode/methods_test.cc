#include "decode/methods.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "decode/drive_testing.h"
#include "decode/model_drafter.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

const EvaluatorLimits kMethodLimits{
    .max_rows = 256, .pages = 16, .max_position = 300, .vocabulary = 11};

Method named(std::string_view name) { return method_named(name).value(); }

TEST(Methods, AreFoundByTheirNames) {
  std::set<std::string_view> names;
  for (const MethodInfo& info : all_methods()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(name_of(named(info.name)), info.name);
  }
  EXPECT_EQ(names.size(), std::variant_size_v<Method>);
  EXPECT_EQ(name_of(TidarOptions{}), "tidar");
  EXPECT_EQ(name_of(SpeculativeOptions{}), "speculative");
  EXPECT_EQ(name_of(MaskedDiffusionOptions{}), "masked-diffusion");
}

TEST(Methods, UnknownNamesGetAnAnswer) {
  EXPECT_EQ(method_named("look-up").error().message,
            "unknown method look-up; did you mean lookup?");
  EXPECT_EQ(
      method_named("magic").error().message,
      "unknown method magic; expected one of ar, tidar, self-speculative, lookup, speculative, "
      "block-diffusion, masked-diffusion");
}

class EveryMethod : public testing::TestWithParam<uint64_t> {};

// What a method says of itself is what its decoder does.
TEST_P(EveryMethod, KeepsItsWord) {
  Rng rng(GetParam());
  const MockModel model{.seed = rng.bits(), .agreement = 0.7};
  const MockModel small{.seed = model.seed, .agreement = 0.9};
  SequenceSpec spec;
  spec.prompt = random_text(rng, 60 + rng.below(10));
  spec.mask_token = 10;
  spec.sampling = random_sampling(rng);
  const int wanted = 40;
  const auto truth = plain_ar(model, spec, wanted);
  MockEvaluator evaluator(model, kMethodLimits), small_evaluator(small, kMethodLimits);
  PagePool pool(kMethodLimits.pages), small_pool(kMethodLimits.pages);
  for (const MethodInfo& info : all_methods()) {
    SCOPED_TRACE(info.name);
    Method method = info.make();
    if (auto* speculative = std::get_if<SpeculativeOptions>(&method))
      speculative->drafters = model_drafters(small_evaluator, small_pool);
    if (auto* masked = std::get_if<MaskedDiffusionOptions>(&method)) masked->length = wanted;

    SequenceSpec without_mask = spec;
    without_mask.mask_token = -1;
    EXPECT_EQ(make_decoder(method, without_mask, SequenceCache(pool), kMethodLimits).ok(),
              !facts_of(method).needs_mask);

    Driven driven{.decoder = make_decoder(method, spec, SequenceCache(pool), kMethodLimits).value(),
                  .wanted = wanted};
    Driven* all[] = {&driven};
    Pass pass;
    const auto prompt = static_cast<int>(spec.prompt.size());
    int most_rows = 0;
    while (!driven.done()) {
      drive_pass(evaluator, pass, all);
      if (driven.totals.passes > 0) most_rows = std::max(most_rows, pass.rows());
      const auto text = prompt + static_cast<int>(driven.output.size());
      const PassSequence& sequence = pass.sequences[0];
      EXPECT_LE(sequence.cached + sequence.stored, text + facts_of(method).draft_keys);
    }
    EXPECT_EQ(pool.available() < pool.capacity(), facts_of(method).keeps_keys);
    EXPECT_EQ(most_rows, facts_of(method).useful_rows(prompt));
    if (facts_of(method).equals_ar) {
      auto tokens = driven.tokens();
      tokens.resize(wanted);
      EXPECT_EQ(tokens, truth);
    }
  }
}

// The prompt is read first, in passes of few rows; the phase before a pass says which kind it is.
TEST_P(EveryMethod, TellsItsPhase) {
  Rng rng(GetParam() + 2000);
  const MockModel model{.seed = rng.bits(), .agreement = 0.7};
  SequenceSpec spec;
  spec.prompt = random_text(rng, 60 + rng.below(10));
  spec.mask_token = 10;
  const int wanted = 30;
  MockEvaluator evaluator(model, kMethodLimits), drafting(model, kMethodLimits);
  PagePool pool(kMethodLimits.pages), drafting_pool(kMethodLimits.pages);
  for (const MethodInfo& info : all_methods()) {
    SCOPED_TRACE(info.name);
    Method method = info.make();
    if (auto* speculative = std::get_if<SpeculativeOptions>(&method))
      speculative->drafters = model_drafters(drafting, drafting_pool);
    if (auto* masked = std::get_if<MaskedDiffusionOptions>(&method)) masked->length = wanted;
    Driven driven{make_decoder(method, spec, SequenceCache(pool), kMethodLimits).value(), wanted};
    Driven* all[] = {&driven};
    Pass pass;
    int read = 0;
    while (!driven.done()) {
      const Phase phase = driven.decoder->phase();
      drive_pass(evaluator, pass, all, [&](int left) { return std::min(left, 20); });
      const StepReport& report = driven.decoder->report();
      EXPECT_EQ(report.decoding, phase == Phase::decoding);
      EXPECT_EQ(report.rows, pass.rows());
      if (phase == Phase::decoding) continue;
      EXPECT_EQ(driven.totals.passes, 0) << "reads the prompt again";
      read += report.rows;
    }
    const auto prompt = static_cast<int>(spec.prompt.size());
    EXPECT_GE(read, facts_of(method).keeps_keys ? prompt - BlockDiffusionOptions().block_size : 0);
    EXPECT_LE(read, facts_of(method).keeps_keys ? prompt + TidarOptions().draft_length : 0);
  }
}

// A token that is verified has the log-probabilities of the row that chose it, which are AR's.
TEST_P(EveryMethod, TellsLogprobsOfAr) {
  Rng rng(GetParam() + 2000);
  const MockModel model{.seed = rng.bits(), .agreement = 0.7};
  const SequenceSpec spec = random_spec(rng);
  const int wanted = 25;
  const auto truth = plain_ar_logprobs(model, spec, wanted);
  MockEvaluator evaluator(model, kMethodLimits), drafting(model, kMethodLimits);
  PagePool pool(kMethodLimits.pages), drafting_pool(kMethodLimits.pages);
  for (const MethodInfo& info : all_methods()) {
    SCOPED_TRACE(info.name);
    Method method = info.make();
    if (!facts_of(method).equals_ar) continue;
    if (auto* speculative = std::get_if<SpeculativeOptions>(&method))
      speculative->drafters = model_drafters(drafting, drafting_pool);
    Driven driven{make_decoder(method, spec, SequenceCache(pool), kMethodLimits).value(), wanted};
    drive(evaluator, driven);
    expect_same_logprobs(driven.output, truth, truth.size());
  }
}

/// Cannot choose a token for one position.
class BrokenAt final : public Evaluator {
 public:
  BrokenAt(Evaluator& evaluator, size_t position) : evaluator_(evaluator), position_(position) {}

  const EvaluatorLimits& limits() const override { return evaluator_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    evaluator_.evaluate(pass, answers);
    spoil(pass.asks, answers);
  }
  void answer(const Asks& asks, std::span<Answer> answers) override {
    evaluator_.answer(asks, answers);
    spoil(asks, answers);
  }

 private:
  void spoil(const Asks& asks, std::span<Answer> answers) const {
    for (size_t i = 0; i < asks.size(); ++i) {
      // What a canvas draws counts its passes in the upper half.
      if (static_cast<uint32_t>(asks[i].draw) == position_) answers[i] = {};
    }
  }

  Evaluator& evaluator_;
  uint64_t position_;
};

// Where nothing can be chosen the text ends, with what was right before.
TEST_P(EveryMethod, EndsWhereNothingCanBeChosen) {
  Rng rng(GetParam() + 1000);
  const MockModel model{.seed = rng.bits(), .agreement = 0.7};
  SequenceSpec spec;
  spec.prompt = random_text(rng, 30 + rng.below(40));
  spec.mask_token = 10;
  spec.sampling = random_sampling(rng);
  const int wanted = 30, good = rng.below(20);
  const auto truth = plain_ar(model, spec, wanted);
  MockEvaluator evaluator(model, kMethodLimits), drafting(model, kMethodLimits);
  BrokenAt broken(evaluator, spec.prompt.size() + static_cast<size_t>(good));
  PagePool pool(kMethodLimits.pages), drafting_pool(kMethodLimits.pages);
  for (const MethodInfo& info : all_methods()) {
    SCOPED_TRACE(info.name);
    Method method = info.make();
    if (auto* speculative = std::get_if<SpeculativeOptions>(&method))
      speculative->drafters = model_drafters(drafting, drafting_pool);
    if (auto* masked = std::get_if<MaskedDiffusionOptions>(&method)) masked->length = wanted;
    Driven driven{make_decoder(method, spec, SequenceCache(pool), kMethodLimits).value(), wanted};
    drive(broken, driven);
    EXPECT_EQ(driven.decoder->phase(), Phase::failed);
    EXPECT_LE(driven.output.size(), static_cast<size_t>(good));
    if (!facts_of(method).equals_ar) continue;
    EXPECT_EQ(driven.tokens(), std::vector<int32_t>(truth.begin(), truth.begin() + good));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EveryMethod, testing::Range<uint64_t>(0, 10));

TEST(EqualsAr, DependsOnTrust) {
  EXPECT_TRUE(facts_of(TidarOptions{.trust = 1}).equals_ar);
  EXPECT_FALSE(facts_of(TidarOptions{.trust = 0.5f}).equals_ar);
  EXPECT_FALSE(facts_of(BlockDiffusionOptions{}).equals_ar);
}

}  // namespace
}  // namespace tidar
