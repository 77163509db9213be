#include "model/config.h"

#include <gtest/gtest.h>

#include <random>

#include "base/rng.h"
#include "format/files_testing.h"
#include "format/json.h"
#include "model/fixtures_testing.h"

namespace tidar {
namespace {

// A small valid config of an architecture, as its publishers write it.
Json small_config(const std::string& architecture) {
  return {{"architectures", {architecture}},
          {"hidden_size", 64},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 32},
          {"intermediate_size", 160},
          {"vocab_size", 512},
          {"max_position_embeddings", 1024},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 500000},
          {"sliding_window", nullptr},
          {"bos_token_id", 509},
          {"eos_token_id", 510}};
}

// `patch` is a JSON object; its fields replace those of the config, "-" removes one.
Result<ModelConfig> parse_patched(const char* architecture, const char* patch) {
  Json config = small_config(architecture);
  const Json changes = Json::parse(patch);
  for (const auto& [key, value] : changes.items()) {
    if (value == "-") {
      config.erase(key);
    } else {
      config[key] = value;
    }
  }
  return parse_model_config(config.dump(), "config.json");
}

TEST(ModelConfig, ReadsTheFixtures) {
  const auto qwen2 = read_model_config(kFixtures / "qwen2").value();
  EXPECT_EQ(qwen2, (ModelConfig{.family = Family::qwen2,
                                .architecture = "Qwen2ForCausalLM",
                                .hidden = 64,
                                .layers = 2,
                                .heads = 4,
                                .kv_heads = 2,
                                .head_size = 16,
                                .ffn = 160,
                                .vocabulary = 512,
                                .max_positions = 512,
                                .norm_eps = 1e-6,
                                .rope = {.theta = 1e6, .scaling = {}},
                                .head = HeadWeight::tied,
                                .qkv_bias = QkvBias::present,
                                .qk_norm = QkNorm::none,
                                .bos_token = 509,
                                .eos_tokens = {510},
                                .tidar = {}}));

  ModelConfig expected = qwen2;
  expected.family = Family::qwen3;
  expected.architecture = "Qwen3ForCausalLM";
  expected.head_size = 32;
  expected.head = HeadWeight::own;
  expected.qkv_bias = QkvBias::none;
  expected.qk_norm = QkNorm::per_head;
  EXPECT_EQ(read_model_config(kFixtures / "qwen3").value(), expected);
  EXPECT_EQ(read_model_config(kFixtures / "qwen3_bf16").value(), expected);

  expected = qwen2;
  expected.family = Family::llama;
  expected.architecture = "LlamaForCausalLM";
  expected.kv_heads = 1;
  expected.qkv_bias = QkvBias::none;
  expected.norm_eps = 1e-5;
  expected.rope = {
      .theta = 5e5,
      .scaling = Llama3RopeScaling{
          .factor = 32, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_positions = 64}};
  EXPECT_EQ(read_model_config(kFixtures / "llama").value(), expected);

  expected.hidden = 48;
  expected.layers = 3;
  expected.heads = 3;
  expected.kv_heads = 3;
  expected.ffn = 128;
  expected.rope = {.theta = 1e5, .scaling = {}};
  EXPECT_EQ(read_model_config(kFixtures / "smollm2").value(), expected);
}

// The published counts of the models' safetensors files, tied embeddings once.
TEST(ModelConfig, CountsParameters) {
  const auto fixture = [](const char* name) {
    return read_model_config(kFixtures / name).value().parameters();
  };
  EXPECT_EQ(fixture("qwen2"), 119360);
  EXPECT_EQ(fixture("qwen3"), 176576);
  EXPECT_EQ(fixture("llama"), 115008);
  EXPECT_EQ(fixture("smollm2"), 107856);
  EXPECT_EQ(named_shape("qwen2.5-0.5b").value().parameters(), 494032768);
  EXPECT_EQ(named_shape("qwen2.5-1.5b").value().parameters(), 1543714304);
  EXPECT_EQ(named_shape("qwen3-0.6b").value().parameters(), 596049920);
  EXPECT_EQ(named_shape("qwen3-1.7b").value().parameters(), 1720574976);
  EXPECT_EQ(named_shape("qwen3-8b").value().parameters(), 8190735360);
}

TEST(NamedShape, IsKnownOrListsTheKnown) {
  for (const auto& name : shape_names()) {
    const auto config = named_shape(name).value();
    EXPECT_EQ(parse_model_config(to_json(config), name).value(), config) << name;
    EXPECT_TRUE(config.tidar.has_value());
  }
  const auto mini = named_shape("mini").value();
  EXPECT_EQ(mini.hidden, 512);
  EXPECT_EQ(mini.layers, 8);
  EXPECT_EQ(mini.heads * 10 + mini.kv_heads, 84);
  EXPECT_EQ(mini.head_size, 64);
  EXPECT_EQ(mini.ffn, 1536);
  EXPECT_EQ(mini.vocabulary, 8192);
  EXPECT_EQ(mini.head, HeadWeight::tied);
  EXPECT_TRUE(says(named_shape("qwen9").error().message,
                   "'qwen9' is not a named shape|qwen2.5-0.5b, qwen2.5-1.5b|mini"));
}

// Random configs of every family survive being written and read.
TEST(ModelConfig, RoundTrips) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  Rng rng(seed);
  for (int round = 0; round < 300; ++round) {
    const char* const architectures[] = {"Qwen2ForCausalLM", "Qwen3ForCausalLM", "LlamaForCausalLM",
                                         "MistralForCausalLM"};
    auto config = parse_patched(architectures[rng.below(4)], "{}").value();
    config.kv_heads = 1 + rng.below(8);
    config.heads = config.kv_heads * (1 + rng.below(8));
    config.head_size = 2 * (1 + rng.below(128));
    config.hidden = 1 + rng.below(8192);
    config.layers = 1 + rng.below(100);
    config.ffn = 1 + rng.below(30000);
    config.vocabulary = 100 + rng.below(200000);
    config.max_positions = 1 + rng.below(1 << 20);
    config.norm_eps = 1e-6 * (1 + rng.uniform());
    config.rope.theta = 1e4 * (1 + 100 * rng.uniform());
    if (rng.below(2) == 0) {
      config.rope.scaling = Llama3RopeScaling{.factor = 1 + 31 * rng.uniform(),
                                              .low_freq_factor = 1 + rng.uniform(),
                                              .high_freq_factor = 3 + rng.uniform(),
                                              .original_max_positions = 1 + rng.below(8192)};
    } else if (rng.below(2) == 0) {
      YarnRopeScaling yarn = {.factor = 0.1 + 31 * rng.uniform(),
                              .original_max_positions = 1 + rng.below(8192),
                              .beta_fast = 2 + 40 * rng.uniform(),
                              .beta_slow = 0.5 + rng.uniform(),
                              .truncate = rng.below(2) == 0};
      if (rng.below(2) == 0) yarn.attention_factor = 0.5 + rng.uniform();
      if (rng.below(2) == 0) yarn.mscale = yarn.mscale_all_dim = 0.5 + rng.uniform();
      config.rope.scaling = yarn;
      config.max_positions += static_cast<int>(yarn.factor * yarn.original_max_positions);
    }
    config.head = rng.below(2) == 0 ? HeadWeight::own : HeadWeight::tied;
    config.bos_token = rng.below(100) - 1;
    config.eos_tokens.resize(static_cast<size_t>(rng.below(4)));
    for (int& token : config.eos_tokens) token = rng.below(100);
    if (rng.below(2) == 0) {
      config.tidar = {rng.below(100), 1 + rng.below(16), TrainedLayout(rng.below(3))};
    }
    if (rng.below(2) == 0) config.adapter = "adapter";
    ASSERT_EQ(parse_model_config(to_json(config), "written").value(), config) << to_json(config);
  }
}

TEST(ModelConfig, WhatAConfigSaidBeforeStays) {
  ModelConfig config = named_shape("mini").value();
  config.tidar = {7, 8, TrainedLayout::tidar};
  OrderedJson before = OrderedJson::parse(to_json(config));
  before["tidar"] = {{"mask_token_id", 3}, {"layout", "block"}};
  before["auto_map"] = {{"AutoModel", "x.Model"}};
  before["initializer_range"] = 0.02;
  before["quantization_config"] = {{"quant_method", "compressed-tensors"}};
  const auto after = [&] {
    return OrderedJson::parse(to_json(config, before.dump(), DType::bf16).value());
  };
  before["dtype"] = "float16";
  EXPECT_EQ(after()["dtype"], "bfloat16");
  EXPECT_FALSE(after().contains("torch_dtype"));
  before.erase("dtype");
  before["torch_dtype"] = "float16";
  const OrderedJson found = after();
  EXPECT_EQ(found["torch_dtype"], "bfloat16");
  EXPECT_EQ(found["auto_map"], before["auto_map"]);
  EXPECT_EQ(found["initializer_range"], 0.02);
  EXPECT_FALSE(found.contains("quantization_config"));
  EXPECT_EQ(parse_model_config(found.dump(), "after").value(), config);
  config.tidar.reset();
  EXPECT_FALSE(after().contains("tidar"));
  const OrderedJson as_stored =
      OrderedJson::parse(to_json(config, before.dump(), std::nullopt).value());
  EXPECT_EQ(as_stored["torch_dtype"], "float16");
  EXPECT_EQ(as_stored["quantization_config"], before["quantization_config"]);

  const std::string alone = to_json(config, "", DType::f32).value();
  EXPECT_EQ(parse_model_config(alone, "alone").value(), config);
  EXPECT_EQ(OrderedJson::parse(alone)["torch_dtype"], "float32");
  EXPECT_FALSE(to_json(config, "[1]", DType::f32).ok());
}

TEST(ModelConfig, FillsWhatAFamilyLeavesUnsaid) {
  // Qwen3's head size is 128 unless given; the others' is hidden / heads.
  EXPECT_EQ(parse_patched("Qwen3ForCausalLM", R"({"head_dim": "-"})").value().head_size, 128);
  EXPECT_EQ(parse_patched("Qwen2ForCausalLM", R"({"head_dim": "-"})").value().head_size, 16);
  EXPECT_EQ(parse_patched("LlamaForCausalLM", R"({"head_dim": null})").value().head_size, 16);
  EXPECT_EQ(parse_patched("MistralForCausalLM", R"({"head_dim": 128})").value().head_size, 128);
  const auto silent = parse_patched(
      "LlamaForCausalLM",
      R"({"num_key_value_heads": "-", "rope_theta": "-", "rms_norm_eps": "-", "bos_token_id": null,
          "eos_token_id": null})");
  EXPECT_EQ(silent.value().kv_heads, 4);
  EXPECT_EQ(silent.value().rope.theta, 10000);
  EXPECT_EQ(silent.value().norm_eps, 1e-6);
  EXPECT_EQ(silent.value().head, HeadWeight::own);
  EXPECT_EQ(silent.value().bos_token, -1);
  EXPECT_TRUE(silent.value().eos_tokens.empty());
}

TEST(ModelConfig, KnowsFamiliesByArchitectureOrModelType) {
  const auto family = [](const char* name) { return parse_patched(name, "{}").value().family; };
  EXPECT_EQ(family("Qwen2ForCausalLM"), Family::qwen2);
  EXPECT_EQ(family("Qwen3ForCausalLM"), Family::qwen3);
  EXPECT_EQ(family("LlamaForCausalLM"), Family::llama);
  EXPECT_EQ(family("MistralForCausalLM"), Family::llama);
  const auto by_type =
      parse_patched("x", R"({"architectures": "-", "model_type": "qwen3"})").value();
  EXPECT_EQ(by_type.architecture, "Qwen3ForCausalLM");
  EXPECT_EQ(by_type.qk_norm, QkNorm::per_head);
}

TEST(ModelConfig, ReadsRopeInAllItsSpellings) {
  const auto rope = [](const char* patch) {
    return parse_patched("LlamaForCausalLM", patch).value().rope;
  };
  const RopeScaling none;
  EXPECT_EQ(rope(R"({"rope_theta": 1000000})").theta, 1e6);
  EXPECT_EQ(rope(R"({"rope_theta": 1000000.5})").theta, 1000000.5);
  EXPECT_EQ(rope(R"({"rope_scaling": null})").scaling, none);
  EXPECT_EQ(rope(R"({"rope_scaling": {"type": "default"}})").scaling, none);
  EXPECT_EQ(rope(R"({"rope_theta": "-", "rope_parameters": {"rope_theta": 7e5}})").theta, 7e5);
  const Llama3RopeScaling expected{
      .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_positions = 8192};
  for (const char* patch :
       {R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})",
        R"({"rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1,
            "high_freq_factor": 4, "original_max_position_embeddings": 8192}})",
        R"({"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000, "factor": 8,
            "low_freq_factor": 1, "high_freq_factor": 4,
            "original_max_position_embeddings": 8192}})"}) {
    EXPECT_EQ(rope(patch), (Rope{.theta = 5e5, .scaling = expected})) << patch;
  }
}

TEST(ModelConfig, ReadsYarn) {
  const auto config = [](const char* patch) {
    return parse_patched("LlamaForCausalLM", patch).value();
  };
  // As Qwen2.5's publishers switch it on.
  const ModelConfig qwen = config(R"({"rope_scaling": {
      "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}})");
  EXPECT_EQ(qwen.rope,
            (Rope{.theta = 5e5,
                  .scaling = YarnRopeScaling{.factor = 4, .original_max_positions = 32768}}));
  EXPECT_EQ(qwen.max_positions, 131072);
  // What is 0 is unsaid, and a factor that is not there is that of the positions.
  const ModelConfig silent = config(R"({"rope_parameters": {
      "rope_type": "yarn", "rope_theta": 1e6, "original_max_position_embeddings": 256,
      "beta_fast": 0, "mscale": 0.0, "factor": null}})");
  EXPECT_EQ(
      silent.rope,
      (Rope{.theta = 1e6, .scaling = YarnRopeScaling{.factor = 4, .original_max_positions = 256}}));
  EXPECT_EQ(silent.max_positions, 1024);
  const ModelConfig all = config(R"({"rope_scaling": {"rope_type": "yarn", "factor": 0.25,
      "beta_fast": 16, "beta_slow": 2, "mscale": 1, "mscale_all_dim": 0.5, "truncate": false,
      "attention_factor": 1.5}})");
  EXPECT_EQ(all.rope.scaling, (RopeScaling(YarnRopeScaling{.factor = 0.25,
                                                           .original_max_positions = 1024,
                                                           .beta_fast = 16,
                                                           .beta_slow = 2,
                                                           .truncate = false,
                                                           .attention_factor = 1.5,
                                                           .mscale = 1,
                                                           .mscale_all_dim = 0.5})));
  EXPECT_EQ(all.max_positions, 1024);
}

TEST(ModelConfig, ReadsTokensAndTidar) {
  const auto config = parse_patched("Qwen3ForCausalLM", R"({"eos_token_id": [1, 2],
      "tidar": {"mask_token_id": 511, "block_size": 8, "layout": "tidar"}})");
  EXPECT_EQ(config.value().eos_tokens, (std::vector<int>{1, 2}));
  EXPECT_EQ(config.value().tidar, (TidarConfig{.mask_token = 511, .block_size = 8}));
}

TEST(ModelConfig, AcceptsWindowsThatHideNothing) {
  const std::pair<const char*, const char*> harmless[] = {
      {"LlamaForCausalLM", R"({"sliding_window": 16})"},
      {"Qwen2ForCausalLM", R"({"sliding_window": 16, "use_sliding_window": false})"},
      {"Qwen2ForCausalLM", R"({"sliding_window": 16})"},
      {"Qwen3ForCausalLM", R"({"sliding_window": 1024, "use_sliding_window": true})"},
      {"Qwen3ForCausalLM", R"({"sliding_window": null, "use_sliding_window": true})"},
      {"Qwen2ForCausalLM",
       R"({"sliding_window": 16, "use_sliding_window": true, "max_window_layers": 3})"},
      {"MistralForCausalLM", R"({"sliding_window": 1024})"},
      {"MistralForCausalLM", R"({"sliding_window": "-"})"},
      {"Qwen3ForCausalLM", R"({"sliding_window": 16, "use_sliding_window": true,
          "layer_types": ["full_attention", "full_attention", "full_attention"]})"}};
  for (const auto& [architecture, patch] : harmless) {
    const auto config = parse_patched(architecture, patch);
    EXPECT_TRUE(config.ok()) << architecture << " " << patch << " " << config.error().message;
  }
}

struct BadPatch {
  const char* name;
  const char* architecture;
  const char* patch;
  const char* says;
};

class BadConfig : public ::testing::TestWithParam<BadPatch> {};

TEST_P(BadConfig, GivesOneSentence) {
  const auto config = parse_patched(GetParam().architecture, GetParam().patch);
  ASSERT_FALSE(config.ok());
  EXPECT_TRUE(says(config.error().message, "config.json"));
  EXPECT_TRUE(says(config.error().message, GetParam().says));
}

constexpr const char* kLlama = "LlamaForCausalLM";
constexpr const char* kQwen3 = "Qwen3ForCausalLM";

INSTANTIATE_TEST_SUITE_P(
    Architectures, BadConfig,
    ::testing::Values(
        BadPatch{"unknown", "MambaForCausalLM", "{}",
                 "the architecture 'MambaForCausalLM' is not supported; supported are "
                 "Qwen2ForCausalLM, Qwen3ForCausalLM, LlamaForCausalLM, MistralForCausalLM"},
        BadPatch{"none", "x", R"({"architectures": "-"})", "the architecture '' is not supported"},
        BadPatch{"unknown_type", "x", R"({"architectures": [], "model_type": "gpt2"})",
                 "the architecture 'gpt2' is not supported"},
        BadPatch{"no_list", "x", R"({"architectures": "LlamaForCausalLM"})",
                 "field 'architectures' is the text 'LlamaForCausalLM'; expected a list of texts"},
        BadPatch{"activation", kLlama, R"({"hidden_act": "gelu"})",
                 "field 'hidden_act' is the text 'gelu'; expected 'silu'"},
        BadPatch{"unsaid_scheme", kLlama, R"({"quantization_config": {"bits": 4}})",
                 "quantization_config: field 'quant_method' is missing"},
        BadPatch{"other_scheme", kLlama,
                 R"({"quantization_config": {"quant_method": "bitsandbytes"}})",
                 "the weights are quantised by 'bitsandbytes', which is not supported; supported "
                 "are|use the unquantised checkpoint, or a GGUF file of this model"},
        BadPatch{
            "act_order", kLlama,
            R"({"quantization_config": {"quant_method": "gptq", "bits": 4, "desc_act": true}})",
            "GPTQ with act-order (desc_act), which is not supported"},
        BadPatch{"gptq_bits", kLlama,
                 R"({"quantization_config": {"quant_method": "gptq", "bits": 3}})",
                 "field 'bits' is 3; expected 4 or 8"},
        BadPatch{
            "awq_version", kLlama,
            R"({"quantization_config": {"quant_method": "awq", "bits": 4, "version": "gemv"}})",
            "AWQ of the version 'gemv', which is not supported"},
        BadPatch{"compressed_format", kLlama,
                 R"({"quantization_config": {"quant_method": "compressed-tensors",
                     "format": "marlin-24"}})",
                 "compressed-tensors in the format 'marlin-24', which is not supported"},
        BadPatch{"no_groups", kLlama,
                 R"({"quantization_config": {"quant_method": "compressed-tensors",
                     "format": "int-quantized", "config_groups": {}}})",
                 "field 'config_groups' is an object; expected an object: which matrices"},
        BadPatch{"second_group", kLlama,
                 R"({"quantization_config": {"quant_method": "compressed-tensors",
                     "format": "int-quantized", "config_groups": {
                       "a": {"weights": {"num_bits": 8, "strategy": "channel"}},
                       "b": {"weights": {"num_bits": 3}}}}})",
                 "config_groups: b: weights: field 'num_bits' is 3; expected 8"},
        BadPatch{"fp8_of_five", kLlama,
                 R"({"quantization_config": {"quant_method": "fp8", "fmt": "e5m2"}})",
                 "field 'fmt' is the text 'e5m2'; expected 'e4m3'"},
        BadPatch{"attention_bias", kQwen3, R"({"attention_bias": true})",
                 "field 'attention_bias' is true; expected false"},
        BadPatch{"mlp_bias", kLlama, R"({"mlp_bias": true})", "field 'mlp_bias' is true"},
        BadPatch{"interleaved", kLlama, R"({"rope_interleaved": true})",
                 "'rope_interleaved' is true"},
        BadPatch{"partial", kLlama, R"({"partial_rotary_factor": 0.5})",
                 "field 'partial_rotary_factor' is 0.5; expected 1"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    Dimensions, BadConfig,
    ::testing::Values(
        BadPatch{"no_hidden", kLlama, R"({"hidden_size": "-"})",
                 "field 'hidden_size' is missing; expected an integer from 1"},
        BadPatch{"zero_layers", kLlama, R"({"num_hidden_layers": 0})", "'num_hidden_layers' is 0"},
        BadPatch{"absurd_layers", kLlama, R"({"num_hidden_layers": 2000000000})",
                 "'num_hidden_layers' is 2000000000; expected an integer from 1 to 4096"},
        BadPatch{"negative_vocabulary", kLlama, R"({"vocab_size": -5})", "'vocab_size' is -5"},
        BadPatch{"beyond_32_bits", kLlama, R"({"intermediate_size": 4294967296})",
                 "'intermediate_size' is 4294967296"},
        BadPatch{"text", kLlama, R"({"hidden_size": "64"})", "'hidden_size' is the text '64'"},
        BadPatch{"fraction", kLlama, R"({"hidden_size": 64.5})", "'hidden_size' is 64.5"},
        BadPatch{"kv_heads", kLlama, R"({"num_key_value_heads": 3})",
                 "'num_key_value_heads' is 3; expected a divisor of num_attention_heads, 4"},
        BadPatch{"kv_heads_above", kLlama, R"({"num_key_value_heads": 8})",
                 "'num_key_value_heads' is 8; expected a divisor"},
        BadPatch{"heads", kLlama, R"({"head_dim": null, "hidden_size": 66})",
                 "'num_attention_heads' is 4; expected a divisor of hidden_size, 66"},
        BadPatch{"odd_head", kLlama, R"({"head_dim": 15})",
                 "heads have 15 elements; expected an even"},
        BadPatch{"odd_derived_head", kLlama, R"({"head_dim": null, "hidden_size": 60})",
                 "heads have 15 elements; expected an even"},
        BadPatch{"wide_heads", kLlama, R"({"head_dim": 16384, "num_attention_heads": 16384})",
                 "heads have 16384 elements; expected|of which 16384 heads make at most 1048576"},
        BadPatch{"positions", kLlama, R"({"max_position_embeddings": 0})",
                 "'max_position_embeddings' is 0"},
        BadPatch{"eps", kLlama, R"({"rms_norm_eps": 0})", "'rms_norm_eps' is 0; expected a number"},
        BadPatch{"tied", kLlama, R"({"tie_word_embeddings": 1})",
                 "'tie_word_embeddings' is 1; expected true or false"},
        BadPatch{"eos", kLlama, R"({"eos_token_id": [1, 512]})",
                 "'eos_token_id' is a list of 2; expected an integer from 0 to 511, or a list"},
        BadPatch{"bos", kLlama, R"({"bos_token_id": -1})", "'bos_token_id' is -1"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    RopeAndWindow, BadConfig,
    ::testing::Values(
        BadPatch{"theta", kLlama, R"({"rope_theta": 0})", "'rope_theta' is 0; expected a number"},
        BadPatch{"theta_text", kLlama, R"({"rope_theta": "1e6"})",
                 "'rope_theta' is the text '1e6'"},
        BadPatch{"linear", kLlama, R"({"rope_scaling": {"type": "linear", "factor": 4}})",
                 "field 'type' is the text 'linear'; expected 'default', 'llama3' or 'yarn'"},
        BadPatch{"new_linear", kLlama, R"({"rope_parameters": {"rope_type": "linear"}})",
                 "rope_parameters: field 'rope_type' is the text 'linear'; expected"},
        BadPatch{"yarn_factor", kLlama, R"({"rope_scaling": {"type": "yarn", "factor": 0}})",
                 "rope_scaling: field 'factor' is 0; expected a number from 0.001"},
        BadPatch{"yarn_betas", kLlama,
                 R"({"rope_scaling": {"type": "yarn", "beta_fast": 1, "beta_slow": 32}})",
                 "field 'beta_fast' is 1; expected at least beta_slow, 32"},
        BadPatch{"yarn_theta", kLlama, R"({"rope_theta": 1, "rope_scaling": {"type": "yarn"}})",
                 "field 'rope_theta' is 1; expected more than 1"},
        BadPatch{"yarn_of_llama_4", kLlama,
                 R"({"rope_scaling": {"type": "yarn", "llama_4_scaling_beta": 0.1}})",
                 "'llama_4_scaling_beta' is 0.1; expected none"},
        BadPatch{"no_factor", kLlama, R"({"rope_scaling": {"rope_type": "llama3"}})",
                 "rope_scaling: field 'factor' is missing; expected a number from 1"},
        BadPatch{"equal_factors", kLlama,
                 R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
                     "high_freq_factor": 4, "original_max_position_embeddings": 8192}})",
                 "field 'high_freq_factor' is 4; expected more than low_freq_factor, 4"},
        BadPatch{"scaling_text", kLlama, R"({"rope_scaling": "llama3"})",
                 "'rope_scaling' is the text 'llama3'; expected an object"},
        BadPatch{"both", kLlama,
                 R"({"rope_scaling": {"type": "default"}, "rope_parameters": {"rope_theta": 5e5}})",
                 "has both rope_scaling and rope_parameters"},
        BadPatch{"inner_partial", kLlama, R"({"rope_parameters": {"partial_rotary_factor": 0.25}})",
                 "rope_parameters: field 'partial_rotary_factor' is 0.25"},
        BadPatch{"qwen_window", kQwen3, R"({"sliding_window": 512, "use_sliding_window": true})",
                 "a sliding window of 512 positions|set max_position_embeddings to 512"},
        BadPatch{"qwen_window_unsaid", kQwen3,
                 R"({"sliding_window": "-", "use_sliding_window": true,
                     "max_position_embeddings": 8192})",
                 "a sliding window of 4096 positions"},
        BadPatch{"mistral_window", "MistralForCausalLM", R"({"sliding_window": 512})",
                 "a sliding window of 512 positions"},
        BadPatch{"mistral_window_unsaid", "MistralForCausalLM",
                 R"({"sliding_window": "-", "max_position_embeddings": 8192})",
                 "a sliding window of 4096 positions"},
        BadPatch{"layer_types", kQwen3,
                 R"({"layer_types": ["full_attention", "sliding_attention", "full_attention"]})",
                 "field 'layer_types' is a list of 3; expected 'full_attention' only"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    Tidar, BadConfig,
    ::testing::Values(
        BadPatch{"no_mask", kQwen3, R"({"tidar": {"block_size": 8}})",
                 "tidar: field 'mask_token_id' is missing"},
        BadPatch{"mask_outside", kQwen3, R"({"tidar": {"mask_token_id": 512, "block_size": 8}})",
                 "tidar: field 'mask_token_id' is 512; expected an integer from 0 to 511"},
        BadPatch{"block", kQwen3, R"({"tidar": {"mask_token_id": 5, "block_size": 0}})",
                 "tidar: field 'block_size' is 0; expected an integer from 1 to 1024"},
        BadPatch{"no_block", kQwen3, R"({"tidar": {"mask_token_id": 5, "layout": "block"}})",
                 "tidar: field 'block_size' is missing"},
        BadPatch{"layout", kQwen3, R"({"tidar": {"mask_token_id": 5, "layout": "full"}})",
                 "tidar: field 'layout' is the text 'full'; expected 'tidar', 'block' or 'masked'"},
        BadPatch{"adapter_elsewhere", kQwen3, R"({"tidar": {"adapter": "../other"}})",
                 "tidar: field 'adapter' is the text '../other'; expected the name of a folder"},
        BadPatch{"list", kQwen3, R"({"tidar": []})", "'tidar' is a list of 0; expected an object"}),
    CaseName());

TEST(ReadModelConfig, LetsGenerationConfigNameTheEnd) {
  const ScratchFolder folder;
  folder.put("config.json", small_config("Qwen3ForCausalLM").dump());
  const auto eos = [&] { return read_model_config(folder.path()).value().eos_tokens; };
  EXPECT_EQ(eos(), std::vector<int>{510});
  folder.put("generation_config.json", R"({"temperature": 0.6})");
  EXPECT_EQ(eos(), std::vector<int>{510});
  folder.put("generation_config.json", R"({"eos_token_id": 3})");
  EXPECT_EQ(eos(), std::vector<int>{3});
  folder.put("generation_config.json", R"({"eos_token_id": [3, 4]})");
  EXPECT_EQ(eos(), (std::vector<int>{3, 4}));
  folder.put("generation_config.json", R"({"eos_token_id": 512})");
  EXPECT_TRUE(says(read_model_config(folder.path()).error().message,
                   "/generation_config.json: field 'eos_token_id' is 512"));
  folder.put("generation_config.json", "{");
  EXPECT_TRUE(says(read_model_config(folder.path()).error().message,
                   "/generation_config.json, line 1, column 1: the JSON ends too early"));
}

TEST(ReadModelConfig, TidarMayStandInAFileOfItsOwn) {
  const ScratchFolder folder;
  Json config = small_config("Qwen3ForCausalLM");
  config.erase("tidar");
  folder.put("config.json", config.dump());
  EXPECT_FALSE(read_model_config(folder.path()).value().tidar);
  folder.put("tidar_config.json", R"({"mask_token_id": 7, "block_size": 4})");
  EXPECT_EQ(read_model_config(folder.path()).value().tidar,
            (TidarConfig{.mask_token = 7, .block_size = 4}));
  folder.put("tidar_config.json", R"({"mask_token_id": 512, "block_size": 4})");
  EXPECT_TRUE(says(read_model_config(folder.path()).error().message,
                   "/tidar_config.json: field 'mask_token_id' is 512"));
  config["tidar"] = {{"mask_token_id", 9}, {"block_size", 2}};
  folder.put("config.json", config.dump());
  EXPECT_EQ(read_model_config(folder.path()).value().tidar->mask_token, 9);
  // An adapter of one file and masks of the other.
  config["tidar"] = {{"adapter", "masks"}};
  folder.put("config.json", config.dump());
  folder.put("tidar_config.json", R"({"mask_token_id": 7, "block_size": 4})");
  EXPECT_EQ(read_model_config(folder.path()).value().adapter, "masks");
  EXPECT_EQ(read_model_config(folder.path()).value().tidar->mask_token, 7);
}

TEST(ReadModelConfig, NamesAFolderWithoutConfig) {
  const ScratchFolder folder;
  EXPECT_TRUE(says(read_model_config(folder.path()).error().message,
                   "/config.json: cannot be opened: No such file"));
}

}  // namespace
}  // namespace tidar
