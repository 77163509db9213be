#pragma once
// What a network is, frozen after parsing. Families differ only in the values here and in which
// weights exist (weights.h).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"

namespace tidar {

/// Llama 3's stretching of the rotary frequencies ("rope_type": "llama3").
struct Llama3RopeScaling {
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int original_max_positions = 8192;
  friend bool operator==(const Llama3RopeScaling&, const Llama3RopeScaling&) = default;
};

/// YaRN's (arXiv 2309.00071, "rope_type": "yarn"), by the rules of Hugging Face's transformers.
struct YarnRopeScaling {
  double factor = 1;
  int original_max_positions = 2048;
  double beta_fast = 32;                        ///< turns within the original context: more stay
  double beta_slow = 1;                         ///< fewer are divided by the factor
  bool truncate = true;                         ///< the pairs between begin and end at whole pairs
  std::optional<double> attention_factor = {};  ///< else computed from what follows
  double mscale = 0, mscale_all_dim = 0;        ///< 0: unsaid
  friend bool operator==(const YarnRopeScaling&, const YarnRopeScaling&) = default;
};

using RopeScaling = std::variant<std::monostate, Llama3RopeScaling, YarnRopeScaling>;

struct Rope {
  double theta = 10000;
  RopeScaling scaling;

  /// Angle per position of each of the head_size / 2 pairs, [head_size / 2]. Pair i rotates
  /// elements i and i + head_size / 2.
  std::vector<double> frequencies(int head_size) const;

  /// What rotated queries and keys are multiplied by; 1 but for YaRN.
  double attention_factor() const;
  friend bool operator==(const Rope&, const Rope&) = default;
};

enum class Family : uint8_t { qwen2, qwen3, llama };
enum class HeadWeight : uint8_t { own, tied };  ///< tied: the embedding serves as the head
enum class QkvBias : uint8_t { none, present };
enum class QkNorm : uint8_t { none, per_head };  ///< RMS norm of each query and key head

/// The layout of training passes that weights know, and so the method that reads them best.
enum class TrainedLayout : uint8_t { tidar, block, masked };

/// What a checkpoint with a mask token adds to its family's config.json, as the object "tidar"; of
/// one without, that may hold the name of an adapter alone.
struct TidarConfig {
  int mask_token = 0;
  int block_size = 0;  ///< 0: none; masked only
  TrainedLayout layout = TrainedLayout::tidar;
  friend bool operator==(const TidarConfig&, const TidarConfig&) = default;
};

/// "tidar", "block" or "masked", as config.json has it.
std::string_view name_of(TrainedLayout layout);

/// One glossary everywhere: D hidden, H heads, G KV heads, E head size, F ffn, V vocabulary.
struct ModelConfig {
  Family family = Family::llama;
  std::string architecture;  ///< as the file says: "Qwen3ForCausalLM"
  int hidden = 0;            ///< D
  int layers = 0;
  int heads = 0;          ///< H
  int kv_heads = 0;       ///< G, divides H
  int head_size = 0;      ///< E, even
  int ffn = 0;            ///< F
  int vocabulary = 0;     ///< V
  int max_positions = 0;  ///< with YaRN at least its factor times the original
  double norm_eps = 1e-6;
  Rope rope;
  HeadWeight head = HeadWeight::own;
  QkvBias qkv_bias = QkvBias::none;
  QkNorm qk_norm = QkNorm::none;
  int bos_token = -1;           ///< -1: none
  std::vector<int> eos_tokens;  ///< generation_config.json's, else config.json's
  std::optional<TidarConfig> tidar;
  /// "adapter" of the object "tidar": a folder beside config.json, whose adapter (adapter.h)
  /// belongs to the model; "": none.
  std::string adapter{};

  /// Parameters, the tied embedding counted once.
  int64_t parameters() const;
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// Parses the text of a config.json. `where` names it in errors. Every number is checked for sense
/// (positive, consistent, small enough that no product of dimensions overflows) before anything is
/// computed from it. What would change the network and is not supported (an unknown architecture,
/// another rope scaling or activation, a sliding window that is shorter than the context, a way of
/// quantising that quantization.h does not know) is an Error; what this program has no use for is
/// ignored.
Result<ModelConfig> parse_model_config(std::string_view json, const std::string& where);

/// Reads config.json of a checkpoint folder and, where they are there, generation_config.json and
/// tidar_config.json (an object "tidar" in a file of its own, for a config.json that names no mask
/// token); or what a GGUF file says.
Result<ModelConfig> read_model_config(const std::filesystem::path& model);

/// A named shape without weights: qwen2.5-0.5b, qwen2.5-1.5b, qwen3-0.6b, qwen3-1.7b and qwen3-8b
/// with the numbers of the published models, and mini, a small one of Qwen3's family. All of them
/// name a mask token, so that every method can be timed on random weights.
Result<ModelConfig> named_shape(std::string_view name);
std::vector<std::string> shape_names();

/// The config.json of this model, readable by parse_model_config and by other tools of the family.
std::string to_json(const ModelConfig& config);

/// The same for weights of this type, after a config.json that the model had before, every field of
/// which stays as it is unless it says how weights are stored or what the model is as a TiDAR
/// model; "" stands for none. Without a type, weights stay stored as they were. An Error where it
/// is no JSON object.
Result<std::string> to_json(const ModelConfig& config, std::string_view before,
                            std::optional<DType> weights);

}  // namespace tidar
