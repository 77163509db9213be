#include "model/adapter.h"

#include <cmath>

#include "format/files_testing.h"
#include "model/adapter_testing.h"

namespace tidar {
namespace {

ModelConfig small_model() {
  ModelConfig config;
  config.architecture = "Qwen3ForCausalLM";
  config.family = Family::qwen3;
  config.qk_norm = QkNorm::per_head;
  config.hidden = 12;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_size = 8;
  config.ffn = 20;
  config.vocabulary = 50;
  config.max_positions = 100;
  config.tidar = TidarConfig{.mask_token = 49, .block_size = 4};
  return config;
}

std::vector<TensorToWrite> to_write(const RandomAdapter& random) {
  std::vector<TensorToWrite> tensors;
  for (size_t i = 0; i < random.table.size(); ++i) {
    tensors.push_back({random.table[i].name, DType::f32, random.table[i].shape,
                       std::as_bytes(std::span(random.numbers[i]))});
  }
  return tensors;
}

TEST(Adapter, TableHasAAndBOfEachTargetInEachLayer) {
  const AdapterConfig config = {
      .rank = 3, .alpha = 6, .targets = {WeightRole::query, WeightRole::down}};
  const auto table = adapter_table(small_model(), config);
  ASSERT_EQ(table.size(), 8u);
  EXPECT_EQ(table[0].name, "model.layers.0.self_attn.q_proj.lora_A.weight");
  EXPECT_EQ(table[0].shape, (std::vector<int64_t>{3, 12}));
  EXPECT_EQ(table[0].part, WeightPart::lora_a);
  EXPECT_EQ(table[1].name, "model.layers.0.self_attn.q_proj.lora_B.weight");
  EXPECT_EQ(table[1].shape, (std::vector<int64_t>{32, 3}));
  EXPECT_EQ(table[1].part, WeightPart::lora_b);
  EXPECT_EQ(table[7].name, "model.layers.1.mlp.down_proj.lora_B.weight");
  EXPECT_EQ(table[7].shape, (std::vector<int64_t>{12, 3}));
}

TEST(Adapter, ScaleIsByRankOrByItsRoot) {
  AdapterConfig config = {.rank = 16, .alpha = 32};
  EXPECT_EQ(config.scale(), 2);
  config.scaling = AdapterScaling::by_root;
  EXPECT_EQ(config.scale(), 8);
}

// What is written is what is read, for either kind of rows.
TEST(Adapter, FoldersGoRound) {
  const ModelConfig model = small_model();
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Rng rng(seed);
    AdapterConfig config =
        random_adapter_config(rng, seed % 2 == 0 ? AdapterRows::all : AdapterRows::masks, 49);
    if (seed % 3 == 0) config.scaling = AdapterScaling::by_root;
    const RandomAdapter random(model, config, rng);
    const ScratchFolder folder;
    const auto path = folder.path() / "adapter";
    ASSERT_TRUE(write_adapter(path, config, "base", to_write(random)).ok());
    const Result<Adapter> found = Adapter::open(path, model);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found->config(), config);
    EXPECT_EQ(found->parameters(), random.adapter.parameters());
    for (const WeightSpec& spec : random.table) {
      const Adapter::Pair* const mine = random.adapter.find(spec.role, spec.layer);
      const Adapter::Pair* const other = found->find(spec.role, spec.layer);
      ASSERT_NE(other, nullptr);
      EXPECT_TRUE(std::ranges::equal(mine->a.data, other->a.data));
      EXPECT_TRUE(std::ranges::equal(mine->b.data, other->b.data));
    }
    EXPECT_EQ(found->find(WeightRole::query_norm, 0), nullptr);
    EXPECT_EQ(found->find(WeightRole::query, 2), nullptr);
  }
}

// An adapter of mask rows that names no mask token takes the model's, and layers may be left out.
TEST(Adapter, WhatOthersLeaveUnsaid) {
  const ModelConfig model = small_model();
  Rng rng(1);
  const AdapterConfig config = {.rank = 2, .alpha = 8, .targets = {WeightRole::value}};
  const RandomAdapter random(model, config, rng);
  const ScratchFolder folder;
  const auto path = folder.path() / "adapter";
  auto tensors = to_write(random);
  tensors.resize(2);
  ASSERT_TRUE(write_adapter(path, config, "", tensors).ok());
  const auto put = [&](const std::string& more) {
    folder.put("adapter/adapter_config.json", R"({"peft_type": "LORA", "r": 2)" + more + "}");
  };
  put(R"(, "target_modules": ["v_proj"])");
  EXPECT_NE(Adapter::open(path, model).error().message.find("layers.1.self_attn.v_proj.lora_A"),
            std::string::npos);
  put(R"(, "target_modules": ["v_proj"], "layers_to_transform": [0])");
  EXPECT_EQ(Adapter::open(path, model)->config().alpha, 8);
  put(R"(, "target_modules": ".*v_proj", "tidar": {"rows": "masks"})");
  EXPECT_EQ(Adapter::open(path, model)->config().rows, AdapterRows::masks);
  EXPECT_EQ(Adapter::open(path, model)->config().mask_token, 49);
  put(R"(, "target_modules": ["self_attn.v_proj"], "exclude_modules": ["1.self_attn.v_proj"])");
  EXPECT_TRUE(Adapter::open(path, model).ok());
  put(R"(, "lora_alpha": 8, "tidar": {"rows": "some"})");
  EXPECT_NE(Adapter::open(path, model).error().message.find("'all' or 'masks'"), std::string::npos);
}

Result<AdapterConfig> parsed(const std::string& json) {
  const Json document = Json::parse(json);
  return parse_adapter_fields(JsonFields(document, "lora"));
}

TEST(Adapter, Fields) {
  const AdapterConfig config = parsed(R"({"r": 8})").value();
  EXPECT_EQ(config.rank, 8);
  EXPECT_EQ(config.alpha, 16);
  EXPECT_EQ(config.targets.size(), adapter_modules().size());
  EXPECT_EQ(parsed(R"({"r": 8, "target_modules": "all-linear"})").value(), config);
  const AdapterConfig some =
      parsed(
          R"({"r": 8, "lora_alpha": 4, "use_rslora": true, "target_modules": ["up_proj", "q_proj"]})")
          .value();
  EXPECT_EQ(some.targets, (std::vector{WeightRole::query, WeightRole::up}));
  EXPECT_DOUBLE_EQ(some.scale(), 4 / std::sqrt(8));
  for (const char* wrong : {R"({})", R"({"r": 0})", R"({"r": 2, "target_modules": "q_proj"})",
                            R"({"r": 2, "target_modules": ["q_proj", "q_proj"]})",
                            R"({"r": 2, "target_modules": ["lm_head"]})"}) {
    EXPECT_FALSE(parsed(wrong).ok()) << wrong;
  }
}

TEST(Adapter, MergedRowsAreTheWeightsAndScaleTimesTheProduct) {
  const AdapterConfig config = {.rank = 2, .alpha = 1};  // scale 1/2
  const std::vector<float> a = {1, 2, 3, 10, 20, 30};    // [2, 3]
  const std::vector<float> b = {5, 6, 1, 2};             // [2, 2]
  std::vector<float> row = {100, 200, 300};
  merge_row(config, a, b, 1, row);
  EXPECT_EQ(row, (std::vector<float>{110.5, 221, 331.5}));
}

}  // namespace
}  // namespace tidar
