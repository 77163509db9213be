#include "format/json.h"
#include "model/architecture.h"
#include "model/config.h"

namespace tidar {

namespace {

/// The object "tidar"; null where there is nothing to say.
OrderedJson tidar_json(const ModelConfig& config) {
  OrderedJson json;
  if (config.tidar) {
    json["mask_token_id"] = config.tidar->mask_token;
    if (config.tidar->block_size > 0) json["block_size"] = config.tidar->block_size;
    json["layout"] = name_of(config.tidar->layout);
  }
  if (!config.adapter.empty()) json["adapter"] = config.adapter;
  return json;
}

}  // namespace

std::string to_json(const ModelConfig& config) {
  const Architecture* architecture = find_architecture(config.architecture);
  TIDAR_CHECK(architecture != nullptr);
  OrderedJson json;
  json["architectures"] = {config.architecture};
  json["model_type"] = architecture->model_type;
  json["hidden_act"] = "silu";
  json["hidden_size"] = config.hidden;
  json["num_hidden_layers"] = config.layers;
  json["num_attention_heads"] = config.heads;
  json["num_key_value_heads"] = config.kv_heads;
  json["head_dim"] = config.head_size;
  json["intermediate_size"] = config.ffn;
  json["vocab_size"] = config.vocabulary;
  json["max_position_embeddings"] = config.max_positions;
  json["rms_norm_eps"] = config.norm_eps;
  json["rope_theta"] = config.rope.theta;
  json["rope_scaling"] = nullptr;
  if (const auto* llama3 = std::get_if<Llama3RopeScaling>(&config.rope.scaling)) {
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", llama3->factor},
                            {"low_freq_factor", llama3->low_freq_factor},
                            {"high_freq_factor", llama3->high_freq_factor},
                            {"original_max_position_embeddings", llama3->original_max_positions}};
  }
  if (const auto* yarn = std::get_if<YarnRopeScaling>(&config.rope.scaling)) {
    auto& scaling = json["rope_scaling"];
    scaling = {{"rope_type", "yarn"},
               {"factor", yarn->factor},
               {"original_max_position_embeddings", yarn->original_max_positions},
               {"beta_fast", yarn->beta_fast},
               {"beta_slow", yarn->beta_slow},
               {"truncate", yarn->truncate}};
    if (yarn->attention_factor) scaling["attention_factor"] = *yarn->attention_factor;
    if (yarn->mscale != 0) scaling["mscale"] = yarn->mscale;
    if (yarn->mscale_all_dim != 0) scaling["mscale_all_dim"] = yarn->mscale_all_dim;
  }
  json["sliding_window"] = nullptr;
  json["tie_word_embeddings"] = config.head == HeadWeight::tied;
  if (config.bos_token >= 0) json["bos_token_id"] = config.bos_token;
  if (config.eos_tokens.size() == 1) json["eos_token_id"] = config.eos_tokens[0];
  if (config.eos_tokens.size() > 1) json["eos_token_id"] = config.eos_tokens;
  if (auto tidar = tidar_json(config); !tidar.is_null()) json["tidar"] = std::move(tidar);
  return json.dump(2);
}

Result<std::string> to_json(const ModelConfig& config, std::string_view before,
                            std::optional<DType> weights) {
  const std::string plain = to_json(config);
  OrderedJson json = OrderedJson::parse(before.empty() ? plain : before, nullptr, false);
  if (!json.is_object()) return error("config.json: is no JSON object");
  if (weights) {
    json.erase("quantization_config");
    // Newer releases of transformers call it dtype.
    json[json.contains("dtype") ? "dtype" : "torch_dtype"] =
        *weights == DType::bf16 ? "bfloat16" : "float32";
  }
  json.erase("tidar");
  if (auto tidar = tidar_json(config); !tidar.is_null()) json["tidar"] = std::move(tidar);
  return json.dump(2);
}

}  // namespace tidar
