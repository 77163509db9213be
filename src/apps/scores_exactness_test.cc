// Likelihoods on real networks, for every family, in every precision and on every instruction set:
// what TiDAR and AR tell of the tokens that they emit is, to the bit, what reading the text scores,
// whatever shares its passes and whatever is read once for several texts.

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "apps/tiny_model_testing.h"
#include "base/rng.h"
#include "decode/drive_testing.h"
#include "decode/methods.h"
#include "eval/causal_scorer.h"

namespace tidar {
namespace {

constexpr int kScoredTokens = 20;

/// A prompt with what a method made of it, and the log-probability that it told.
struct Emitted {
  ScoredText text;
  double logprob = 0;
};

Emitted emit(NetworkOnBackend& on, const Method& method, std::vector<int32_t> prompt,
             uint64_t seed) {
  SequenceSpec spec{.prompt = prompt, .mask_token = kTinyMask};
  spec.sampling = {.temperature = 1, .seed = seed};
  Driven driven{.decoder = make_decoder(method, std::move(spec), SequenceCache(on.pool()),
                                        on.network().limits())
                               .value(),
                .wanted = kScoredTokens};
  drive(on.network(), driven);
  Emitted emitted{{std::move(prompt), 0}, 0};
  emitted.text.from = static_cast<int32_t>(emitted.text.tokens.size());
  for (const TokenLogprob& token : driven.output) {
    emitted.text.tokens.push_back(token.token);
    emitted.logprob += double{token.logprob};
  }
  return emitted;
}

class LikelihoodEqualsDecoding : public testing::TestWithParam<BackendUnderTest> {};

TEST_P(LikelihoodEqualsDecoding, ToTheBit) {
  for (int kind = 0; kind < kModelKinds; ++kind) {
    TinyModel model(4000, kind, GetParam());
    Rng& rng = model.rng;
    NetworkOnBackend& on = *model.on;

    // Groups that begin alike, as the choices of a question do.
    const auto shots = random_tokens(rng, 40, kTinyVocabulary - 1);
    std::vector<TextGroup> groups;
    std::vector<std::vector<double>> told;
    for (int64_t id = 0; id < 3; ++id) {
      auto prompt = shots;
      const auto question = random_tokens(rng, 1 + rng.below(30), kTinyVocabulary - 1);
      prompt.insert(prompt.end(), question.begin(), question.end());
      groups.push_back({id, {}});
      told.emplace_back();
      for (const Method& method : {Method(ArOptions{}), Method(TidarOptions{.draft_length = 3})}) {
        Emitted emitted = emit(on, method, prompt, rng.bits());
        groups.back().texts.push_back(std::move(emitted.text));
        told.back().push_back(emitted.logprob);
      }
    }
    for (const int lanes : {1, 2}) {
      size_t next = 0;
      const auto scored = make_causal_scorer(on.network(), lanes)
                              ->score(
                                  [&]() -> std::optional<TextGroup> {
                                    if (next == groups.size()) return std::nullopt;
                                    return groups[next++];
                                  },
                                  [&](int64_t id, const std::vector<TextScore>& scores) {
                                    const auto& expected = told[static_cast<size_t>(id)];
                                    for (size_t i = 0; i < scores.size(); ++i) {
                                      EXPECT_EQ(scores[i].logprob, expected[i])
                                          << model.config.architecture << ", lanes " << lanes;
                                    }
                                    return Result<bool>(true);
                                  });
      EXPECT_TRUE(scored.ok());
    }
  }
}

TIDAR_TEST_BACKENDS(LikelihoodEqualsDecoding, tiny_model_backends());

}  // namespace
}  // namespace tidar
