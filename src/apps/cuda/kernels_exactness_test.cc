// TiDAR at trust 1 gives the tokens of AR, with the bits of their log-probabilities, on the backend
// for GPUs, whose kernels are carried out on the CPU: a few decodings, since each step is a million
// threads. apps/exactness_test.cc does the same at length, on backends that are fast.

#include <gtest/gtest.h>

#include "apps/tiny_model_testing.h"
#include "base/rng.h"
#include "decode/ar.h"
#include "decode/drive_testing.h"
#include "decode/methods.h"
#include "net/kernels_on_host_testing.h"

namespace tidar {
namespace {

constexpr int kWanted = 16;

class TidarOnKernels : public testing::TestWithParam<BackendUnderTest> {};

TEST_P(TidarOnKernels, EqualsAr) {
  int64_t passes = 0, committed = 0;
  for (int kind = 0; kind < kModelKinds; ++kind) {
    TinyModel model(4000, kind, GetParam());
    SequenceSpec spec;
    spec.prompt = random_tokens(model.rng, 60 + model.rng.below(10), kTinyVocabulary - 1);
    spec.mask_token = kTinyMask;
    if (kind % 2 == 1) spec.sampling = {.temperature = 0.8f, .top_p = 0.9f, .seed = 7};
    const auto decode = [&](const Method& method) {
      SequenceCache cache(model.on->pool());
      Driven driven{
          .decoder =
              make_decoder(method, spec, std::move(cache), model.on->network().limits()).value(),
          .wanted = kWanted};
      drive(model.on->network(), driven);
      driven.output.resize(kWanted);
      return std::pair(driven.output, driven.totals);
    };
    const auto [expected, ar_totals] = decode(ArOptions{});
    const auto [found, totals] = decode(TidarOptions{.draft_length = 4});
    EXPECT_EQ(found, expected) << model.config.architecture;
    passes += totals.passes;
    committed += totals.committed;
  }
  // Otherwise nothing but rejected drafts was tested.
  EXPECT_GT(committed, passes + passes / 8);
}

TIDAR_TEST_BACKENDS(TidarOnKernels, kernels_on_host());

}  // namespace
}  // namespace tidar
