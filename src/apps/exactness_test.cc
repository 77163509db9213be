// The promises of the whole program, on real networks, for every family, in every precision and on
// every instruction set: TiDAR at trust 1 and all kinds of speculation give the tokens of AR (TiDAR
// with the bits of their log-probabilities, which show what tokens rarely do), and what block
// diffusion reads from its cache is what it would compute anew.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "apps/tiny_model_testing.h"
#include "base/rng.h"
#include "decode/ar.h"
#include "decode/drive_testing.h"
#include "decode/methods.h"
#include "decode/model_drafter.h"

namespace tidar {
namespace {

constexpr int kWanted = 30;

// Around the borders of panels (16), pages (64) and two pages.
constexpr int kPromptLengths[] = {1, 15, 16, 33, 60, 64, 65, 127};

std::vector<GroupPolicy> group_policies(Rng& rng) {
  std::vector<int> some;
  for (int j = 1; j <= 16; ++j) {
    if (rng.below(2) == 0) some.push_back(j);
  }
  return {GroupPolicy(), only_groups({1}), only_groups(some),
          GroupPolicy{.kind = GroupPolicy::Kind::likeliest, .count = 2}};
}

SequenceSpec random_spec(Rng& rng, int prompt_length, bool samples) {
  SequenceSpec spec;
  spec.prompt = random_tokens(rng, prompt_length, kTinyVocabulary - 1);
  spec.mask_token = kTinyMask;
  if (samples) {
    spec.sampling = {.temperature = 0.5f + rng.uniform(),
                     .top_k = rng.below(2) * 4,
                     .top_p = rng.below(2) == 0 ? 1.0f : 0.9f,
                     .seed = rng.bits()};
    spec.penalties.repetition = rng.below(2) == 0 ? 1.0f : 1.2f;
  }
  return spec;
}

class TidarEqualsAr : public testing::TestWithParam<BackendUnderTest> {};

TEST_P(TidarEqualsAr, ForAllDraftLengthsGroupsAndFamilies) {
  int64_t passes = 0, committed = 0;
  for (int kind = 0; kind < kModelKinds; ++kind) {
    TinyModel model(1000, kind, GetParam());
    Rng& rng = model.rng;
    Evaluator& network = model.on->network();
    const auto decode = [&](auto&& make, const SequenceSpec& spec) {
      Driven driven{.decoder = make(spec), .wanted = kWanted};
      drive(network, driven);
      driven.output.resize(kWanted);
      return std::pair(driven.output, driven.totals);
    };
    for (const int draft_length : {1, 2, 3, 4, 8, 16}) {
      for (const GroupPolicy& groups : group_policies(rng)) {
        const bool samples = rng.below(2) == 0;
        const int guessed = rng.below(2) * rng.below(4);
        const int prompt_length = kPromptLengths[rng.below(std::size(kPromptLengths))];
        const SequenceSpec spec = random_spec(rng, prompt_length, samples);
        const auto [expected, ar_stats] = decode(
            [&](const SequenceSpec& one) {
              return make_decoder(ArOptions{}, one, SequenceCache(model.on->pool()),
                                  network.limits())
                  .value();
            },
            spec);
        const auto [found, stats] = decode(
            [&](const SequenceSpec& one) {
              const TidarOptions options = {
                  .draft_length = draft_length, .groups = groups, .guessed = guessed};
              return make_decoder(options, one, SequenceCache(model.on->pool()), network.limits())
                  .value();
            },
            spec);
        EXPECT_EQ(found, expected)
            << model.config.architecture << ", K = " << draft_length << ", groups "
            << text_of(groups) << ", guessed " << guessed << ", prompt of " << prompt_length
            << (samples ? ", sampling" : ", greedy");
        passes += stats.passes;
        committed += stats.committed;
      }
    }
  }
  // Otherwise nothing but rejected drafts was tested.
  EXPECT_GT(committed, passes + passes / 8);
}

class SpeculationEqualsAr : public testing::TestWithParam<BackendUnderTest> {};

TEST_P(SpeculationEqualsAr, WhoeverDrafts) {
  int64_t passes = 0, committed = 0;
  for (int kind = 0; kind < kModelKinds; ++kind) {
    TinyModel model(2000, kind, GetParam());
    Rng& rng = model.rng;
    const auto other = model.another(GetParam());
    Evaluator& network = model.on->network();
    for (const int draft_length : {1, 3, 8}) {
      const SequenceSpec spec =
          random_spec(rng, kPromptLengths[rng.below(std::size(kPromptLengths))], rng.below(2) == 0);
      const auto decode = [&](const Method& method) {
        Driven driven{
            .decoder = make_decoder(method, spec, SequenceCache(model.on->pool()), network.limits())
                           .value(),
            .wanted = kWanted};
        drive(network, driven);
        passes += driven.totals.passes;
        committed += driven.totals.committed;
        std::vector<int32_t> tokens = driven.tokens();
        tokens.resize(kWanted);
        return tokens;
      };
      const std::vector<int32_t> expected = decode(ArOptions{});
      const SpeculativeOptions by_other{
          .draft_length = draft_length,
          .drafters = model_drafters(other->network(), other->pool())};
      for (const Method& method : {Method(SelfSpeculativeOptions{.draft_length = draft_length}),
                                   Method(LookupMethodOptions{.draft_length = draft_length,
                                   .lookup = {.least_matched = 1}}),
                                   Method(by_other)}) {
        EXPECT_EQ(decode(method), expected)
            << model.config.architecture << ", " << name_of(method) << ", K = " << draft_length;
      }
    }
  }
  EXPECT_GT(committed, passes + passes / 8);
}

// Carries out every pass of one block diffusion twice: as it is, and with all keys computed anew in
// one pass; and holds the answers against each other, to the bit.
class Recomputing final : public Evaluator {
 public:
  Recomputing(Network& network, PagePool& pool, BlockKeys keys, int block_size)
      : network_(network), pool_(pool), keys_(keys), block_size_(block_size) {}

  const EvaluatorLimits& limits() const override { return network_.limits(); }
  void answer(const Asks&, std::span<Answer>) override {}

  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    network_.evaluate(pass, answers);
    const PassSequence& sequence = pass.sequences.at(0);
    const auto stored = pass.tokens.begin() + sequence.stored;
    text_.insert(text_.end(), pass.tokens.begin(), stored);
    if (pass.asks.empty()) return;

    SequenceCache cache(pool_);
    EXPECT_TRUE(cache.reserve(static_cast<int>(text_.size())));
    Pass anew;
    anew.begin_sequence(cache);
    if (keys_ == BlockKeys::causal) {
      add_causal(anew, text_, Keep::page);
    } else {
      const auto size = static_cast<size_t>(block_size_);
      for (size_t at = 0; at < text_.size(); at += size)
        add_block(anew, std::span(text_).subspan(at, size), Keep::page);
    }
    add_block(anew, {stored, pass.tokens.end()}, Keep::scratch);
    anew.asks = pass.asks;
    for (Ask& ask : anew.asks) ask.row += sequence.cached;
    std::vector<Answer> truth(answers.size());
    network_.evaluate(anew, truth);
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_EQ(answers[i].token, truth[i].token);
      EXPECT_EQ(answers[i].logprob, truth[i].logprob);
      EXPECT_EQ(answers[i].policy_logprob, truth[i].policy_logprob);
      EXPECT_EQ(answers[i].entropy, truth[i].entropy);
    }
    compared += static_cast<int>(truth.size());
  }

  int compared = 0;

 private:
  Network& network_;
  PagePool& pool_;
  BlockKeys keys_;
  int block_size_;
  std::vector<int32_t> text_;  // whose keys are in pages
};

class BlockDiffusionKeys : public testing::TestWithParam<BackendUnderTest> {};

TEST_P(BlockDiffusionKeys, AreThoseOfComputingAnew) {
  for (int kind = 0; kind < kModelKinds; ++kind) {
    TinyModel model(3000, kind, GetParam());
    Rng& rng = model.rng;
    for (const BlockKeys keys : {BlockKeys::causal, BlockKeys::block}) {
      const BlockDiffusionOptions options{
          .block_size = 1 + rng.below(20),
          .reveal = {.order = RevealOrder::entropy, .count = 2, .threshold = 0.3f},
          .keys = keys,
          .borders = BlockBorders::multiples};
      SequenceSpec spec = random_spec(rng, 1 + rng.below(90), rng.below(2) == 0);
      spec.penalties = {};
      SCOPED_TRACE(testing::Message()
                   << model.config.architecture << ", keys " << static_cast<int>(keys)
                   << ", blocks of " << options.block_size);
      Recomputing network(model.on->network(), model.on->pool(), keys, options.block_size);
      Driven driven{
          .decoder = make_decoder(options, spec, SequenceCache(model.on->pool()), network.limits())
                         .value(),
          .wanted = 50};
      drive(network, driven);
      EXPECT_GT(network.compared, 50);
    }
  }
}

TIDAR_TEST_BACKENDS(TidarEqualsAr, tiny_model_backends());
TIDAR_TEST_BACKENDS(SpeculationEqualsAr, tiny_model_backends());
TIDAR_TEST_BACKENDS(BlockDiffusionKeys, tiny_model_backends());

}  // namespace
}  // namespace tidar
