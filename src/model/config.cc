#include "model/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "format/files.h"
#include "format/gguf.h"
#include "format/json.h"
#include "model/architecture.h"
#include "model/config_json.h"
#include "model/gguf_config.h"
#include "model/quantization.h"

namespace tidar {

namespace {

// Far above any model there is, and such that the parameters of the largest fit 63 bits.
constexpr IntegerRange kLayers = {1, 4096};
constexpr IntegerRange kWidth = {1, 1 << 20};  // D, H E, G E
constexpr IntegerRange kHeads = {1, 1 << 14};
constexpr IntegerRange kHeadSize = {2, 1 << 14};
constexpr IntegerRange kFfn = {1, 1 << 22};
constexpr IntegerRange kVocabulary = {1, 1 << 26};
constexpr IntegerRange kPositions = {1, 1 << 30};
constexpr NumberRange kTheta = {1, 1e15};
constexpr NumberRange kNormEps = {1e-20, 0.1};
constexpr NumberRange kRopeFactor = {1, 1e6};
constexpr NumberRange kYarnFactor = {1e-3, 1e6};
constexpr int kLargestBlock = 1024;

Result<const Architecture*> read_architecture(const JsonFields& fields) {
  TIDAR_TRY(const std::vector<std::string> names, fields.texts("architectures"));
  TIDAR_TRY(const std::string model_type, fields.text("model_type", ""));
  std::vector<std::string_view> supported;
  for (const Architecture& known : architectures()) {
    if (names.empty() ? known.model_type == model_type : known.name == names[0]) return &known;
    supported.push_back(known.name);
  }
  return error("{}: the architecture {} is not supported; supported are {}", fields.where(),
               in_quotes(names.empty() ? model_type : names[0]), fmt::join(supported, ", "));
}

// Refuses what would change the arithmetic of the network: ignoring it would give wrong text.
Result<void> refuse_unsupported(const JsonFields& fields, const Architecture& architecture) {
  TIDAR_TRY(const std::string activation, fields.text("hidden_act", "silu"));
  if (activation != "silu") return fields.wrong("hidden_act", "'silu'");
  TIDAR_TRY_VOID(read_quantizations(fields));
  std::vector<std::string_view> flags = {"mlp_bias", "rope_interleaved"};
  if (architecture.bias_field == BiasField::read) flags.emplace_back("attention_bias");
  for (const auto flag : flags) {
    TIDAR_TRY(const bool set, fields.boolean(flag, false));
    if (set) return fields.wrong(flag, "false, as true is not supported");
  }
  TIDAR_TRY(const double partial, fields.number("partial_rotary_factor", {0, 1}, 1));
  if (partial != 1) return fields.wrong("partial_rotary_factor", "1: all of a head is rotated");
  return {};
}

// A window at least as long as the context never hides a key.
Result<void> refuse_window(const JsonFields& fields, WindowRule rule, int layers, int positions) {
  TIDAR_TRY(const std::vector<std::string> types, fields.texts("layer_types"));
  for (const auto& type : types) {
    if (type != "full_attention") return fields.wrong("layer_types", "'full_attention' only");
  }
  if (rule == WindowRule::never || !types.empty()) return {};
  if (rule == WindowRule::if_asked) {
    TIDAR_TRY(const bool asked, fields.boolean("use_sliding_window", false));
    TIDAR_TRY(const int first_layer, fields.integer("max_window_layers", {0, 1 << 20}, 0));
    if (!asked || first_layer >= layers) return {};
  }
  if (fields.is_null("sliding_window")) return {};
  TIDAR_TRY(const int window, fields.integer("sliding_window", kPositions, 4096));
  if (window >= positions) return {};
  return error(
      "{}: attention has a sliding window of {} positions, which is not supported; set "
      "max_position_embeddings to {} to use the model within its window",
      fields.where(), window, window);
}

Result<void> parse_dimensions(const JsonFields& fields, const Architecture& architecture,
                              ModelConfig& config) {
  TIDAR_TRY(config.hidden, fields.integer("hidden_size", kWidth));
  TIDAR_TRY(config.layers, fields.integer("num_hidden_layers", kLayers));
  TIDAR_TRY(config.heads, fields.integer("num_attention_heads", kHeads));
  TIDAR_TRY(config.kv_heads, fields.integer("num_key_value_heads", kHeads, config.heads));
  TIDAR_TRY(config.ffn, fields.integer("intermediate_size", kFfn));
  TIDAR_TRY(config.vocabulary, fields.integer("vocab_size", kVocabulary));
  TIDAR_TRY(config.max_positions, fields.integer("max_position_embeddings", kPositions));
  TIDAR_TRY(config.norm_eps, fields.number("rms_norm_eps", kNormEps, 1e-6));

  if (config.heads % config.kv_heads != 0) {
    return fields.wrong("num_key_value_heads",
                        fmt::format("a divisor of num_attention_heads, {}", config.heads));
  }
  const bool silent = !fields.has("head_dim");
  if (silent && architecture.head_size == 0 && config.hidden % config.heads != 0) {
    return fields.wrong(
        "num_attention_heads",
        fmt::format("a divisor of hidden_size, {}, as there is no head_dim", config.hidden));
  }
  const int usual =
      architecture.head_size > 0 ? architecture.head_size : config.hidden / config.heads;
  TIDAR_TRY(config.head_size, fields.integer("head_dim", kHeadSize, usual));
  if (config.head_size % 2 != 0 || config.head_size < 2 ||
      config.head_size > kWidth.to / config.heads) {
    return error(
        "{}: heads have {} elements; expected an even number of which {} heads make at "
        "most {} (head_dim, or hidden_size / num_attention_heads)",
        fields.where(), config.head_size, config.heads, kWidth.to);
  }
  return {};
}

Result<Llama3RopeScaling> parse_llama3(const JsonFields& fields) {
  Llama3RopeScaling scaling;
  TIDAR_TRY(scaling.factor, fields.number("factor", kRopeFactor));
  TIDAR_TRY(scaling.low_freq_factor, fields.number("low_freq_factor", {1e-6, 1e6}));
  TIDAR_TRY(scaling.high_freq_factor, fields.number("high_freq_factor", {1e-6, 1e6}));
  TIDAR_TRY(scaling.original_max_positions,
            fields.integer("original_max_position_embeddings", kPositions));
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    return fields.wrong("high_freq_factor",
                        fmt::format("more than low_freq_factor, {}", scaling.low_freq_factor));
  }
  return scaling;
}

// Fields that are 0 count as unsaid, as they do for those who wrote the files.
Result<YarnRopeScaling> parse_yarn(const JsonFields& fields, int max_positions) {
  YarnRopeScaling scaling;
  TIDAR_TRY(scaling.original_max_positions,
            fields.integer("original_max_position_embeddings", kPositions, max_positions));
  TIDAR_TRY(scaling.factor,
            fields.number("factor", kYarnFactor,
                          static_cast<double>(max_positions) / scaling.original_max_positions));
  for (const auto& [key, value] : {std::pair{"beta_fast", &scaling.beta_fast},
                                   {"beta_slow", &scaling.beta_slow},
                                   {"mscale", &scaling.mscale},
                                   {"mscale_all_dim", &scaling.mscale_all_dim}}) {
    TIDAR_TRY(const double given, fields.number(key, {0, 1e6}, 0));
    if (given != 0) *value = given;
  }
  if (scaling.beta_fast < scaling.beta_slow) {
    return fields.wrong("beta_fast", fmt::format("at least beta_slow, {}", scaling.beta_slow));
  }
  if (fields.has("attention_factor")) {
    TIDAR_TRY(scaling.attention_factor, fields.number("attention_factor", {1e-6, 1e6}));
  }
  TIDAR_TRY(scaling.truncate, fields.boolean("truncate", true));
  if (fields.has("llama_4_scaling_beta")) {
    return fields.wrong("llama_4_scaling_beta", "none: queries are not scaled by their position");
  }
  return scaling;
}

// Publishers switch YaRN on by rope_scaling alone and leave max_position_embeddings as it was.
int stretched_positions(const YarnRopeScaling& scaling) {
  const double positions = scaling.factor * scaling.original_max_positions;
  return static_cast<int>(std::min<double>(positions, kPositions.to));
}

// Older files have rope_theta and rope_scaling, newer ones both in one object, rope_parameters.
Result<Rope> parse_rope(const JsonFields& fields, int max_positions) {
  Rope rope;
  TIDAR_TRY(rope.theta, fields.number("rope_theta", kTheta, rope.theta));
  TIDAR_TRY(auto scaling, fields.object("rope_scaling"));
  TIDAR_TRY(auto parameters, fields.object("rope_parameters"));
  if (scaling && parameters) {
    return error("{}: has both rope_scaling and rope_parameters; expected one of them",
                 fields.where());
  }
  if (parameters) {
    TIDAR_TRY(rope.theta, parameters->number("rope_theta", kTheta, rope.theta));
    scaling = parameters;
  }
  if (!scaling) return rope;
  const char* key = scaling->has("rope_type") || !scaling->has("type") ? "rope_type" : "type";
  TIDAR_TRY(const std::string type, scaling->text(key, "default"));
  TIDAR_TRY(const double partial, scaling->number("partial_rotary_factor", {0, 1}, 1));
  if (partial != 1) return scaling->wrong("partial_rotary_factor", "1: all of a head is rotated");
  if (type == "default") return rope;
  if (type == "llama3") {
    TIDAR_TRY(rope.scaling, parse_llama3(*scaling));
  } else if (type == "yarn") {
    if (rope.theta == 1) return fields.wrong("rope_theta", "more than 1, as rope_scaling is yarn");
    TIDAR_TRY(rope.scaling, parse_yarn(*scaling, max_positions));
  } else {
    return scaling->wrong(key, "'default', 'llama3' or 'yarn'");
  }
  return rope;
}

/// By TrainedLayout.
constexpr std::array<std::string_view, 3> kLayouts = {"tidar", "block", "masked"};

/// The object "tidar", into `config`.
Result<void> parse_tidar(const JsonFields& object, ModelConfig& config) {
  TIDAR_TRY(config.adapter, object.text("adapter", config.adapter));
  if (config.adapter.find('/') != std::string::npos || config.adapter.starts_with('.')) {
    return object.wrong("adapter", "the name of a folder beside this file");
  }
  if (!config.adapter.empty() && !object.has("mask_token_id")) return {};
  TidarConfig tidar;
  TIDAR_TRY(tidar.mask_token, object.integer("mask_token_id", {0, config.vocabulary - 1}));
  TIDAR_TRY(const std::string layout, object.text("layout", "tidar"));
  const auto known = std::find(kLayouts.begin(), kLayouts.end(), layout);
  if (known == kLayouts.end()) return object.wrong("layout", "'tidar', 'block' or 'masked'");
  tidar.layout = static_cast<TrainedLayout>(known - kLayouts.begin());
  if (tidar.layout != TrainedLayout::masked || object.has("block_size")) {
    TIDAR_TRY(tidar.block_size, object.integer("block_size", {1, kLargestBlock}));
  }
  config.tidar = tidar;
  return {};
}

/// generation_config.json's ends of text count before config.json's.
Result<void> read_generation_config(const std::filesystem::path& path, ModelConfig& config) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json document, parse_json_object(text, path.string()));
  const JsonFields fields(document, path.string());
  TIDAR_TRY(auto eos, fields.integers("eos_token_id", {0, config.vocabulary - 1}));
  if (!eos.empty()) config.eos_tokens = std::move(eos);
  return {};
}

/// tidar_config.json holds what config.json may hold as "tidar".
Result<void> read_tidar_config(const std::filesystem::path& path, ModelConfig& config) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json document, parse_json_object(text, path.string()));
  return parse_tidar(JsonFields(document, path.string()), config);
}

Result<ModelConfig> read_folder_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(ModelConfig config, parse_model_config(text, path.string()));
  std::error_code ignored;
  if (const auto more = folder / "generation_config.json"; std::filesystem::exists(more, ignored)) {
    TIDAR_TRY_VOID(read_generation_config(more, config));
  }
  if (const auto more = folder / "tidar_config.json";
      !config.tidar && std::filesystem::exists(more, ignored)) {
    TIDAR_TRY_VOID(read_tidar_config(more, config));
  }
  return config;
}

}  // namespace

std::string_view name_of(TrainedLayout layout) { return kLayouts[static_cast<size_t>(layout)]; }

Result<ModelConfig> parse_model_config(std::string_view json, const std::string& where) {
  TIDAR_TRY(const Json document, parse_json_object(json, where));
  return model_config_of(document, where);
}

Result<ModelConfig> model_config_of(const Json& document, const std::string& where) {
  const JsonFields fields(document, where);
  TIDAR_TRY(const Architecture* architecture, read_architecture(fields));
  ModelConfig config = config_of(*architecture);
  TIDAR_TRY_VOID(refuse_unsupported(fields, *architecture));
  TIDAR_TRY_VOID(parse_dimensions(fields, *architecture, config));
  TIDAR_TRY(config.rope, parse_rope(fields, config.max_positions));
  if (const auto* yarn = std::get_if<YarnRopeScaling>(&config.rope.scaling)) {
    config.max_positions = std::max(config.max_positions, stretched_positions(*yarn));
  }
  TIDAR_TRY_VOID(refuse_window(fields, architecture->window, config.layers, config.max_positions));
  TIDAR_TRY(const bool tied, fields.boolean("tie_word_embeddings", false));
  config.head = tied ? HeadWeight::tied : HeadWeight::own;
  const IntegerRange ids = {0, config.vocabulary - 1};
  TIDAR_TRY(config.bos_token, fields.integer("bos_token_id", ids, -1));
  TIDAR_TRY(config.eos_tokens, fields.integers("eos_token_id", ids));
  TIDAR_TRY(const auto tidar, fields.object("tidar"));
  if (tidar) TIDAR_TRY_VOID(parse_tidar(*tidar, config));
  return config;
}

Result<ModelConfig> read_model_config(const std::filesystem::path& model) {
  if (is_gguf_path(model)) {
    TIDAR_TRY(const GgufFile file, GgufFile::open(model));
    TIDAR_TRY(const Json document, config_of_gguf(file.content()));
    return model_config_of(document, fmt::format("{}, as a config.json", model.string()));
  }
  return read_folder_config(model);
}

}  // namespace tidar
