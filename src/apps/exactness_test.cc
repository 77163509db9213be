// The promise of the whole program, on real networks: at trust 1 TiDAR gives the tokens of AR, for
// every draft length, any groups, every family, in every precision and on every instruction set.
// Vocabularies are tiny, so that drafts of untrained models are often right by chance.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "decode/ar.h"
#include "decode/drive.h"
#include "decode/tidar.h"
#include "net/network_suite.h"

namespace tidar {
namespace {

constexpr int kVocabulary = 6;
constexpr int32_t kMask = kVocabulary - 1;
constexpr int kWanted = 30;

// Around the borders of panels (16), pages (64) and two pages.
constexpr int kPromptLengths[] = {1, 15, 16, 33, 60, 64, 65, 127};

struct Groups {
  std::string name;
  GroupPolicy policy;
};

std::vector<Groups> group_policies(Rng& rng) {
  std::vector<int> some;
  for (int j = 1; j <= 16; ++j) {
    if (rng.below(2) == 0) some.push_back(j);
  }
  return {{"all", all_groups()}, {"first", only_groups({1})}, {"some", only_groups(some)}};
}

SequenceSpec random_spec(Rng& rng, int prompt_length, bool samples) {
  SequenceSpec spec;
  spec.prompt = random_tokens(rng, prompt_length, kVocabulary - 1);
  spec.mask_token = kMask;
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
    Rng rng(1000 + static_cast<uint64_t>(kind));
    ModelConfig config = random_model(rng, kind);
    config.vocabulary = kVocabulary;
    const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
    NetworkOnBackend on(config, weights, GetParam());
    Evaluator& network = on.network();
    const auto decode = [&](auto&& make, const SequenceSpec& spec) {
      Driven driven{.decoder = make(spec), .wanted = kWanted};
      drive(network, driven);
      std::vector<int32_t> tokens = driven.tokens();
      tokens.resize(kWanted);
      return std::pair(tokens, driven.decoder->stats());
    };
    for (const int draft_length : {1, 2, 3, 4, 8, 16}) {
      for (const Groups& groups : group_policies(rng)) {
        const bool samples = rng.below(2) == 0;
        const int prompt_length = kPromptLengths[rng.below(std::size(kPromptLengths))];
        const SequenceSpec spec = random_spec(rng, prompt_length, samples);
        const auto [expected, ar_stats] = decode(
            [&](const SequenceSpec& one) {
              return make_ar(one, SequenceCache(on.pool()), network.limits()).value();
            },
            spec);
        const auto [found, stats] = decode(
            [&](const SequenceSpec& one) {
              const TidarOptions options = {.draft_length = draft_length, .groups = groups.policy};
              return make_tidar(one, options, SequenceCache(on.pool()), network.limits()).value();
            },
            spec);
        EXPECT_EQ(found, expected)
            << config.architecture << ", K = " << draft_length << ", groups " << groups.name
            << ", prompt of " << prompt_length << (samples ? ", sampling" : ", greedy");
        passes += stats.passes;
        committed += stats.committed;
      }
    }
  }
  // Otherwise nothing but rejected drafts was tested.
  EXPECT_GT(committed, passes + passes / 8);
}

TIDAR_TEST_BACKENDS(TidarEqualsAr, backends_where([](const BackendUnderTest& backend) {
                      return backend.name != "ref_f64";
                    }));

}  // namespace
}  // namespace tidar
