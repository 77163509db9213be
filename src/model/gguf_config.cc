#include "model/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "format/files.h"
#include "model/architecture.h"
#include "model/config.h"

namespace tidar {
namespace {

/// What an entry "<architecture>.<ours>" is called in a config.json.
struct Entry {
  std::string_view ours;
  std::string_view config;
  bool required;
};

constexpr std::array<Entry, 8> kCounts = {{
    {"context_length", "max_position_embeddings", true},
    {"embedding_length", "hidden_size", true},
    {"block_count", "num_hidden_layers", true},
    {"feed_forward_length", "intermediate_size", true},
    {"attention.head_count", "num_attention_heads", true},
    {"attention.head_count_kv", "num_key_value_heads", false},
    {"attention.key_length", "head_dim", false},
    {"attention.sliding_window", "sliding_window", false},
}};
constexpr std::array<Entry, 2> kNumbers = {{
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true},
    {"rope.freq_base", "rope_theta", false},
}};
/// Of "<architecture>.rope.scaling".
constexpr std::array<Entry, 4> kYarnNumbers = {{
    {"factor", "factor", true},
    {"yarn_beta_fast", "beta_fast", false},
    {"yarn_beta_slow", "beta_slow", false},
    {"original_context_length", "original_max_position_embeddings", false},
}};

/// Entries that ids of special tokens stand in; an end of text is one of several.
constexpr std::array<std::string_view, 3> kEnds = {
    "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};

/// Reads the entries of one file.
class ConfigOfGguf {
 public:
  explicit ConfigOfGguf(const Gguf& file) : file_(file), fields_(file.fields()) {}

  Result<Json> read() {
    TIDAR_TRY_VOID(read_architecture());
    TIDAR_TRY_VOID(copy_numbers());
    TIDAR_TRY_VOID(read_heads());
    TIDAR_TRY_VOID(read_vocabulary());
    TIDAR_TRY_VOID(read_scaling());
    TIDAR_TRY_VOID(read_factors());
    TIDAR_TRY_VOID(read_tokens());
    TIDAR_TRY_VOID(read_mask());
    return std::move(config_);
  }

 private:
  std::string key(std::string_view name) const { return fmt::format("{}.{}", name_, name); }

  /// The fields that all entries are read from.
  Result<void> read_architecture() {
    TIDAR_TRY(name_, fields_.text("general.architecture"));
    std::vector<std::string_view> supported;
    for (const Architecture& known : architectures()) {
      if (!known.in_gguf) continue;
      if (known.model_type == name_) {
        config_["architectures"] = Json::array({known.name});
        config_["model_type"] = known.model_type;
        return {};
      }
      supported.push_back(known.model_type);
    }
    return error("{}: the architecture {} is not supported; supported are {}", file_.where(),
                 in_quotes(name_), fmt::join(supported, ", "));
  }

  Result<void> copy_numbers() {
    for (const Entry& entry : kCounts) {
      TIDAR_TRY(const bool there, is_there(entry));
      if (!there) continue;
      TIDAR_TRY(config_[std::string(entry.config)], fields_.count(key(entry.ours), 0));
    }
    for (const Entry& entry : kNumbers) {
      TIDAR_TRY(const bool there, is_there(entry));
      if (!there) continue;
      TIDAR_TRY(config_[std::string(entry.config)], fields_.number(key(entry.ours), {0, 1e15}));
    }
    return {};
  }

  /// Whether an entry is to be read: one that must be there is, so that its absence is found.
  Result<bool> is_there(const Entry& entry) const {
    const std::string name = key(entry.ours);
    if (!file_.has_list(name)) return entry.required || fields_.has(name);
    return error("{}: field '{}' is a list; expected one number, as all layers must be alike",
                 file_.where(), name);
  }

  /// Where the file is silent, heads share the width; config.json's families have other rules.
  Result<void> read_heads() {
    const auto heads = config_["num_attention_heads"].get<int64_t>();
    const auto hidden = config_["hidden_size"].get<int64_t>();
    if (!config_.contains("head_dim") && heads > 0) config_["head_dim"] = hidden / heads;
    if (!config_.contains("head_dim")) return {};
    const auto size = config_["head_dim"].get<int64_t>();
    for (const std::string_view name : {"attention.value_length", "rope.dimension_count"}) {
      TIDAR_TRY(const int64_t other, fields_.count(key(name), 0, size));
      if (other != size) {
        return fields_.wrong(key(name), fmt::format("{}, the size of a head", size));
      }
    }
    if (config_.contains("sliding_window")) config_["use_sliding_window"] = true;
    return {};
  }

  Result<void> read_vocabulary() {
    const GgufTensor* embedding = file_.find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2) {
      return error("{}: the matrix 'token_embd.weight' is missing", file_.where());
    }
    const int64_t rows = embedding->shape[0];
    TIDAR_TRY(const int64_t given, fields_.count(key("vocab_size"), 0, rows));
    if (given != rows) {
      return fields_.wrong(key("vocab_size"),
                           fmt::format("{}, as 'token_embd.weight' has rows", rows));
    }
    config_["vocab_size"] = rows;
    config_["tie_word_embeddings"] = file_.find("output.weight") == nullptr;
    return {};
  }

  /// "<architecture>.rope.scaling.*".
  Result<void> read_scaling() {
    TIDAR_TRY(const std::string type, fields_.text(key("rope.scaling.type"), "none"));
    TIDAR_TRY(const double linear, fields_.number(key("rope.scale_linear"), {0, 1e6}, 1));
    if (linear != 1) return fields_.wrong(key("rope.scale_linear"), "1, or a scaling by YaRN");
    if (type == "none") return {};
    if (type != "yarn") return fields_.wrong(key("rope.scaling.type"), "'none' or 'yarn'");
    Json scaling = {{"rope_type", "yarn"}};
    for (const Entry& entry : kYarnNumbers) {
      const std::string name = key(fmt::format("rope.scaling.{}", entry.ours));
      if (!fields_.has(name) && !entry.required) continue;
      TIDAR_TRY(const double number, fields_.number(name, {0, 1e9}));
      // A count is one in config.json, too.
      const bool whole = entry.config.ends_with("embeddings");
      scaling[std::string(entry.config)] =
          whole ? Json(static_cast<int64_t>(number)) : Json(number);
    }
    // What the usual factor of YaRN is multiplied by.
    TIDAR_TRY(const double more, fields_.number(key("rope.scaling.attn_factor"), {1e-6, 1e6}, 1));
    if (more != 1) {
      const auto factor = scaling["factor"].get<double>();
      scaling["attention_factor"] = more * (factor > 1 ? 0.1 * std::log(factor) + 1 : 1);
    }
    config_["rope_scaling"] = std::move(scaling);
    return {};
  }

  /// "rope_freqs.weight" holds what the frequency of each pair is divided by. Only Llama 3 has it,
  /// and a file does not name the numbers that its rule is made of; so they are found again.
  Result<void> read_factors() {
    const GgufTensor* factors = file_.find("rope_freqs.weight");
    if (factors == nullptr) return {};
    std::vector<float> values(static_cast<size_t>(factors->shape.back()));
    if (factors->shape.size() == 1) decode_blocks(factors->format, factors->data, values);
    if (std::all_of(values.begin(), values.end(), [](float value) { return value == 1; }))
      return {};
    const float largest = *std::max_element(values.begin(), values.end());
    Rope rope;
    rope.theta = config_.value("rope_theta", rope.theta);
    const Llama3RopeScaling scaling = scaling_of(values, rope, largest);
    if (!divides_by(values, rope, scaling)) {
      return error(
          "{}: tensor 'rope_freqs.weight' scales the rotary frequencies otherwise than Llama 3 "
          "does, which is not supported",
          file_.where());
    }
    config_["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", scaling.factor},
        {"low_freq_factor", scaling.low_freq_factor},
        {"high_freq_factor", scaling.high_freq_factor},
        {"original_max_position_embeddings", scaling.original_max_positions}};
    return {};
  }

  /// Pairs between the two ends of the rule tell the original context; where there is none, all
  /// contexts that can be meant lead to the same factors.
  Llama3RopeScaling scaling_of(const std::vector<float>& factors, const Rope& rope,
                               double factor) const {
    Llama3RopeScaling scaling;
    scaling.factor = factor;
    const std::vector<double> plain = rope.frequencies(static_cast<int>(2 * factors.size()));
    for (size_t i = 0; i < factors.size(); ++i) {
      if (!(factors[i] > 1 && factors[i] < factor)) continue;
      const double kept = (1 / factors[i] - 1 / factor) / (1 - 1 / factor);
      const double turns =
          scaling.low_freq_factor + kept * (scaling.high_freq_factor - scaling.low_freq_factor);
      const double positions = turns * 2 * std::numbers::pi / plain[i];
      if (positions < 1e9)
        scaling.original_max_positions = static_cast<int>(std::lround(positions));
      break;
    }
    return scaling;
  }

  bool divides_by(const std::vector<float>& factors, Rope rope,
                  const Llama3RopeScaling& scaling) const {
    const auto size = config_.value("head_dim", int64_t{0});
    const bool sensible = scaling.factor >= 1 && std::isfinite(scaling.factor);
    if (size != static_cast<int64_t>(2 * factors.size()) || !sensible) return false;
    const std::vector<double> plain = rope.frequencies(static_cast<int>(size));
    rope.scaling = scaling;
    const std::vector<double> scaled = rope.frequencies(static_cast<int>(size));
    for (size_t i = 0; i < factors.size(); ++i) {
      // Whoever wrote the file computed in f32.
      if (!(std::abs(plain[i] / scaled[i] - factors[i]) <= 1e-4 * factors[i])) return false;
    }
    return true;
  }

  Result<void> read_tokens() {
    if (fields_.has("tokenizer.ggml.bos_token_id")) {
      TIDAR_TRY(config_["bos_token_id"], fields_.count("tokenizer.ggml.bos_token_id", 0));
    }
    Json ends = Json::array();
    for (const std::string_view name : kEnds) {
      if (!fields_.has(name)) continue;
      TIDAR_TRY(const int64_t id, fields_.count(name, 0));
      if (std::find(ends.begin(), ends.end(), Json(id)) == ends.end()) ends.push_back(id);
    }
    if (!ends.empty()) config_["eos_token_id"] = std::move(ends);
    return {};
  }

  Result<void> read_mask() {
    constexpr std::string_view mask = "tokenizer.ggml.mask_token_id";
    if (!fields_.has(mask)) return {};
    Json tidar = Json::object();
    TIDAR_TRY(tidar["mask_token_id"], fields_.count(mask, 0));
    const bool sized = fields_.has("tidar.block_size");
    TIDAR_TRY(tidar["layout"], fields_.text("tidar.layout", sized ? "tidar" : "masked"));
    if (sized) {
      TIDAR_TRY(tidar["block_size"], fields_.count("tidar.block_size", 0));
    }
    config_["tidar"] = std::move(tidar);
    return {};
  }

  const Gguf& file_;
  JsonFields fields_;
  std::string name_;  // of the architecture, in the file
  Json config_ = Json::object();
};

}  // namespace

Result<Json> config_of_gguf(const Gguf& file) { return ConfigOfGguf(file).read(); }

}  // namespace tidar
