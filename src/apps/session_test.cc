#include "apps/session.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "engine/engine.h"

namespace tidar {
namespace {

constexpr int kMask = 511;  // occurs in no prompt of the tests

struct Kernels {
  std::string model;
  std::string isa;
  Precision precision = Precision::f32;
  DType kv = DType::f32;
};

Session open_session(const Kernels& kernels) {
  ModelFlags flags;
  flags.model = std::string(TIDAR_FIXTURES) + "/" + kernels.model;
  flags.backend.isa = kernels.isa;
  flags.backend.precision = kernels.precision;
  flags.kv = kernels.kv;
  flags.threads = 2;
  Session session = Session::open(flags).value();
  TIDAR_CHECK(session.build_network({.rows = 96, .keys_each = 1500}).ok());
  return session;
}

Request random_request(Rng& rng) {
  Request request;
  for (int n = 1 + rng.below(rng.below(2) == 0 ? 90 : 10); n > 0; --n) {
    request.sequence.prompt.push_back(rng.below(500));
  }
  request.sequence.mask_token = kMask;
  request.max_new = 10 + rng.below(60);
  if (rng.below(2) == 0) {
    request.sequence.sampling = {.temperature = 0.5f + rng.uniform(),
                                 .top_k = rng.below(2) * 40,
                                 .top_p = 0.95f,
                                 .seed = rng.bits()};
  }
  if (rng.below(2) == 0) request.sequence.penalties.repetition = 1.1f;
  return request;
}

Method random_tidar(Rng& rng) {
  TidarOptions tidar;
  tidar.draft_length = 1 + rng.below(8);
  if (rng.below(3) == 0) tidar.groups = only_groups({1, 2, 5});
  tidar.guessed = rng.below(2) * rng.below(3);
  return tidar;
}

using Outputs = std::map<RequestId, std::vector<int32_t>>;

Outputs run_all(Session& session, const std::vector<Request>& requests) {
  Engine engine(session.network(), session.tokenizer());
  for (const Request& request : requests) EXPECT_TRUE(engine.submit(request).ok());
  Outputs outputs;
  while (!engine.idle()) {
    for (const Update& update : engine.step()) {
      for (const TokenLogprob& token : update.tokens) outputs[update.id].push_back(token.token);
    }
  }
  return outputs;
}

/// The promise of row-invariant kernels, on the real network: neither the method nor the company
/// changes a token, in any precision.
TEST(Session, TidarInCompanyGivesTheTokensOfArAlone) {
  std::vector<Kernels> all = {{"qwen2", "ref"}, {"llama", "best"}};
  for (const Isa isa : usable_isas()) {
    all.push_back({"qwen3_bf16", std::string(name_of(isa)), Precision::bf16, DType::bf16});
    all.push_back({"qwen3_bf16", std::string(name_of(isa)), Precision::bf16, DType::i8});
  }
  for (const Kernels& kernels : all) {
    SCOPED_TRACE(kernels.model + " " + kernels.isa);
    Session session = open_session(kernels);
    for (uint64_t seed = 0; seed < 3; ++seed) {
      SCOPED_TRACE(seed);
      Rng rng(seed);
      std::vector<Request> company;
      std::vector<std::vector<int32_t>> alone;
      for (int n = 0; n < 5; ++n) {
        Request request = random_request(rng);
        alone.push_back(run_all(session, {request}).begin()->second);
        if (n > 0) request.method = random_tidar(rng);
        company.push_back(request);
      }
      const Outputs together = run_all(session, company);
      ASSERT_EQ(together.size(), alone.size());
      for (size_t n = 0; n < alone.size(); ++n) {
        EXPECT_EQ(together.at(static_cast<RequestId>(n + 1)), alone[n]) << "request " << n;
      }
    }
  }
}

TEST(Session, KeysAreAsPreciseAsProductsUnlessAskedOtherwise) {
  ModelFlags flags;
  flags.model = std::string(TIDAR_FIXTURES) + "/qwen3_bf16";
  flags.backend.precision = Precision::f32;
  EXPECT_EQ(Session::open(flags)->kv_type(), DType::f32);
  EXPECT_EQ(Session::open(flags)->weights_text(), "bf16");
  flags.kv = DType::bf16;
  EXPECT_EQ(Session::open(flags)->kv_type(), DType::bf16);
  flags.weights.all = WeightFormat::f32;
  EXPECT_EQ(Session::open(flags)->weights_text(), "f32");
  // 2 layers, 2 heads of 32, keys and values, 2 bytes each
  EXPECT_EQ(Session::open(flags)->key_bytes(), 2 * 2 * 2 * 32 * 2);
  flags.kv = DType::i8;  // a byte each, and a scale of 4
  EXPECT_EQ(Session::open(flags)->key_bytes(), 2 * 2 * 2 * (32 + 4));
}

TEST(Session, ANamedShapeNeedsNoFiles) {
  ModelFlags flags;
  flags.shape = "mini";
  const Session session = Session::open(flags).value();
  EXPECT_EQ(session.tokenizer(), nullptr);
  EXPECT_EQ(session.weights_text(), "bf16");
}

}  // namespace
}  // namespace tidar
