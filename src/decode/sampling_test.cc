// Whether the tokens that decoders sample have exactly the distribution of the model: three-token
// continuations on a small vocabulary against exact enumeration.

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "decode/chi_square_testing.h"
#include "decode/drive_testing.h"
#include "decode/lookup.h"
#include "decode/model_drafter.h"
#include "decode/speculative.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

constexpr int kVocabulary = 11;
constexpr int kTokens = 3;  // the first comes from the prompt's pass, the others from steps
constexpr int kRuns = 10000;

const EvaluatorLimits kSamplingLimits{
    .max_rows = 64, .pages = 1, .max_position = 40, .vocabulary = kVocabulary};

// p(x1, x2, x3) at [(x1 V + x2) V + x3], from the definition.
std::vector<double> enumerate(const MockModel& model, const SequenceSpec& spec) {
  std::vector<double> joint{1};
  for (int place = 0; place < kTokens; ++place) {
    std::vector<double> longer;
    for (size_t cell = 0; cell < joint.size(); ++cell) {
      std::vector<int32_t> output;
      for (size_t rest = cell; static_cast<int>(output.size()) < place; rest /= kVocabulary)
        output.insert(output.begin(), static_cast<int32_t>(rest % kVocabulary));
      std::vector<int32_t> text = spec.prompt;
      text.insert(text.end(), output.begin(), output.end());
      const auto row = causal_logits(model, text);
      const auto changes = plain_changes(spec, output, kVocabulary);
      for (const double p :
           mock_distribution({row.begin(), row.end()},
                             {.sampling = spec.sampling, .changes = all_of(changes)}, changes))
        longer.push_back(joint[cell] * p);
    }
    joint = longer;
  }
  return joint;
}

struct Cut {
  std::string name;
  Sampling sampling;
  Penalties penalties{};
  friend void PrintTo(const Cut& cut, std::ostream* out) { *out << cut.name; }
};

class SamplingIsExact : public testing::TestWithParam<Cut> {
 protected:
  SequenceSpec spec() const {
    SequenceSpec spec;
    spec.prompt = {4, 1, 7};
    spec.mask_token = 10;
    spec.sampling = GetParam().sampling;
    spec.penalties = GetParam().penalties;
    return spec;
  }

  template <class Make>
  double score(const Make& make) {
    MockEvaluator evaluator(model_, kSamplingLimits);
    PagePool pool(kSamplingLimits.pages);
    std::vector<int> counts(kVocabulary * kVocabulary * kVocabulary);
    for (int run = 0; run < kRuns; ++run) {
      SequenceSpec seeded = spec();
      seeded.sampling.seed = static_cast<uint64_t>(run) * 0x9e3779b97f4a7c15u;
      Driven driven{.decoder = make(seeded, pool), .wanted = kTokens};
      drive(evaluator, driven);
      int cell = 0;
      for (int i = 0; i < kTokens; ++i)
        cell = cell * kVocabulary + driven.output[static_cast<size_t>(i)].token;
      ++counts[static_cast<size_t>(cell)];
    }
    return chi_square_score(counts, enumerate(model_, spec()));
  }

  MockModel model_{.seed = 7, .agreement = 0.5};
};

TEST_P(SamplingIsExact, Ar) {
  EXPECT_LT(score([](const SequenceSpec& spec, PagePool& pool) {
              return make_decoder(ArOptions{}, spec, SequenceCache(pool), kSamplingLimits).value();
            }),
            kFarOff);
}

TEST_P(SamplingIsExact, Tidar) {
  EXPECT_LT(score([](const SequenceSpec& spec, PagePool& pool) {
              return make_decoder(TidarOptions{.draft_length = 3}, spec, SequenceCache(pool),
                                  kSamplingLimits)
                  .value();
            }),
            kFarOff);
}

TEST_P(SamplingIsExact, SelfSpeculative) {
  EXPECT_LT(score([](const SequenceSpec& spec, PagePool& pool) {
              return make_decoder(TidarOptions{.draft_length = 3, .groups = no_groups()}, spec,
                                  SequenceCache(pool), kSamplingLimits)
                  .value();
            }),
            kFarOff);
}

TEST_P(SamplingIsExact, Lookup) {
  const DrafterFactory drafters = lookup_drafters({.least_matched = 1});
  EXPECT_LT(score([&](const SequenceSpec& spec, PagePool& pool) {
              return make_decoder(SpeculativeOptions{.draft_length = 2, .drafters = drafters}, spec,
                                  SequenceCache(pool), kSamplingLimits)
                  .value();
            }),
            kFarOff);
}

// With a drafter that is often right, and often wrong.
TEST_P(SamplingIsExact, Speculative) {
  MockModel small = model_;
  small.agreement = 0.8;
  MockEvaluator small_evaluator(small, kSamplingLimits);
  PagePool small_pool(kSamplingLimits.pages);
  const DrafterFactory drafters = model_drafters(small_evaluator, small_pool);
  EXPECT_LT(score([&](const SequenceSpec& spec, PagePool& pool) {
              return make_decoder(SpeculativeOptions{.draft_length = 2, .drafters = drafters}, spec,
                                  SequenceCache(pool), kSamplingLimits)
                  .value();
            }),
            kFarOff);
}

// The test can tell: the same counts against a temperature a fifth higher are far off.
TEST_P(SamplingIsExact, TheTestWouldNotice) {
  EXPECT_GT(score([](SequenceSpec spec, PagePool& pool) {
              spec.sampling.temperature *= 1.2f;
              return make_decoder(ArOptions{}, spec, SequenceCache(pool), kSamplingLimits).value();
            }),
            kFarOff);
}

INSTANTIATE_TEST_SUITE_P(
    Cuts, SamplingIsExact,
    testing::Values(Cut{"plain", {.temperature = 1}}, Cut{"cool", {.temperature = 0.6f}},
                    Cut{"topk", {.temperature = 1, .top_k = 4}},
                    Cut{"topp", {.temperature = 1.2f, .top_p = 0.8f}},
                    Cut{"all",
                        {.temperature = 0.9f, .top_k = 7, .top_p = 0.9f, .min_p = 0.05f},
                        {.repetition = 1.2f, .presence = 0.3f, .frequency = 0.2f}}),
    [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace tidar
