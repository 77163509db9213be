#include "net/flops.h"

#include <gtest/gtest.h>

#include "net/network_testing.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

TEST(Flops, AreThoseOfEveryMatrixAndEveryKeySeen) {
  Rng rng(4);
  for (const int kind : {0, 1, 2}) {
    const ModelConfig c = random_model(rng, kind);
    const Tokens first = random_tokens(rng, 5, c.vocabulary), second = random_tokens(rng, 4, 9);
    Pass pass;
    for (const Tokens& document : {first, second}) {
      pass.begin_sequence();
      add_causal(pass, document, Keep::scratch);
    }
    const double heads = c.heads * c.head_size, kv_heads = c.kv_heads * c.head_size;
    const double layer = 2.0 * c.hidden * (2 * heads + 2 * kv_heads + 3.0 * c.ffn);
    // 1 + … + 5 and 1 + … + 4 keys; each has a product with a query and one with a weight.
    const double attention = 25 * 4 * heads;
    const double expected = c.layers * (9 * layer + attention) + 3 * 2.0 * c.vocabulary * c.hidden;
    EXPECT_DOUBLE_EQ(forward_flops(c, pass, 3), expected);
    const auto weights = ModelWeights::random(c, DType::f32, 1);
    const auto training = [&](const std::vector<std::string>& frozen) {
      return training_flops(c, Parameters(c, weights, DType::f32, frozen), pass, 3);
    };
    EXPECT_DOUBLE_EQ(training({}), 3 * expected);
    // The embedding is looked up; where it is the head, too, it is multiplied with.
    const double head = 3 * 2.0 * c.vocabulary * c.hidden;
    const bool tied = c.head == HeadWeight::tied;
    EXPECT_DOUBLE_EQ(training({"model.embed_tokens.weight"}), 3 * expected - (tied ? head : 0));
    EXPECT_DOUBLE_EQ(training({"model.layers.0.mlp.up_proj.weight", "model.norm.weight"}),
                     3 * expected - 9 * 2.0 * c.hidden * c.ffn);
  }
}

}  // namespace
}  // namespace tidar
