// YaRN's attention factor: by the norms of query and key heads it can be said in weights, too.

#include <cstring>
#include <list>

#include "net/trainable_testing.h"

namespace tidar {
namespace {

// The weights of a seed, with the norms of queries and keys times `scale`.
struct ScaledModel {
  ScaledModel(const ModelConfig& config, uint64_t seed, float scale)
      : weights(ModelWeights::of_memory(config, tensors(config, seed, scale))) {}

  std::vector<StoredTensor> tensors(const ModelConfig& config, uint64_t seed, float scale) {
    const ModelWeights random = ModelWeights::random(config, DType::f32, seed);
    std::vector<StoredTensor> made;
    for (const WeightSpec& spec : weight_table(config)) {
      StoredTensor tensor = random.get(spec.role, spec.layer);
      auto& values = data.emplace_back(tensor.data.size() / sizeof(float));
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
      if (spec.role == WeightRole::query_norm || spec.role == WeightRole::key_norm) {
        for (float& value : values) value *= scale;
      }
      tensor.data = std::as_bytes(std::span(values));
      made.push_back(std::move(tensor));
    }
    return made;
  }

  std::list<std::vector<float>> data;
  ModelWeights weights;
};

// Doubling is exact, so the bits must be the same.
TEST(AttentionFactor, IsThatOfTheNormsInServingAndInTraining) {
  Rng rng(31);
  ModelConfig config = random_model(rng, 1);  // Qwen3's
  YarnRopeScaling yarn = {.factor = 4, .original_max_positions = 64, .attention_factor = 1};
  config.rope.scaling = yarn;
  yarn.attention_factor = 2;
  ModelConfig by_factor = config;
  by_factor.rope.scaling = yarn;
  const ScaledModel plain(config, 5, 1), doubled(config, 5, 2);
  const Tokens tokens = random_tokens(rng, 80, config.vocabulary);

  const BackendUnderTest serving = all_backends().front();
  const auto logits = [&](const ModelConfig& of, const ScaledModel& model) {
    NetworkOnBackend on(of, model.weights, serving);
    auto cache = on.cache(80);
    return on.prefill(cache, tokens);
  };
  const Logits expected = logits(config, doubled);
  expect_equal(logits(by_factor, plain), expected);
  EXPECT_NE(logits(config, plain), expected);

  const auto losses = [&](const ModelConfig& of, const ScaledModel& model) {
    Pass pass;
    pass.begin_sequence();
    add_causal(pass, tokens, Keep::scratch);
    std::vector<Label> labels;
    for (int row = 0; row < 80; ++row) labels.push_back({row, 3, 1});
    std::vector<double> found(labels.size());
    TrainableOnBackend(of, model.weights, {"ref_f32", DType::f32, {}})
        ->evaluate(pass, labels, found);
    return found;
  };
  EXPECT_EQ(losses(by_factor, plain), losses(config, doubled));
}

}  // namespace
}  // namespace tidar
