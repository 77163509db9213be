#pragma once
// Low-rank adapters (LoRA, Hu et al., arXiv 2106.09685): what is added to products of a model whose
// own weights stay as they are,
//
//   out = x W^T + scale (x A^T) B^T        A [r, in], B [out, r]
//
// on all rows, or on rows of the mask token alone: what a model says where no mask stands is then
// what it says without, to the bit. And the folders of Hugging Face's PEFT in which they are kept:
//
//   adapter_config.json         r, lora_alpha, target_modules, use_rslora; where they act on mask
//                               rows alone, "tidar": {"rows": "masks", "mask_token_id": ID}
//   adapter_model.safetensors   base_model.model.MODULE.lora_A.weight and …lora_B.weight, MODULE
//                               being what the weight table calls the weight, without ".weight"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "format/json.h"
#include "format/tensors.h"
#include "model/config.h"
#include "model/weights.h"

namespace tidar {

/// Rows of a pass on which an adapter acts.
enum class AdapterRows : uint8_t {
  all,
  masks,  ///< those whose token is the mask token
};

/// "all" or "masks".
std::string_view name_of(AdapterRows rows);

/// How the scale follows from alpha and rank.
enum class AdapterScaling : uint8_t {
  by_rank,  ///< alpha / r
  by_root,  ///< alpha / sqrt(r): rank-stabilised (Kalajdzievski, arXiv 2312.03732)
};

struct AdapterConfig {
  int rank = 0;      ///< r
  double alpha = 0;  ///< "lora_alpha"
  AdapterScaling scaling = AdapterScaling::by_rank;
  /// In the order of the weight table; those of adapter_modules() that it acts on, in each layer
  /// where it has tensors.
  std::vector<WeightRole> targets{};
  AdapterRows rows = AdapterRows::all;
  int mask_token = -1;  ///< of mask rows

  double scale() const;
  friend bool operator==(const AdapterConfig&, const AdapterConfig&) = default;
};

/// The weights that may have an adapter, by what PEFT calls them: "q_proj", …, "down_proj".
struct AdapterModule {
  std::string_view name;
  WeightRole role;
};
std::span<const AdapterModule> adapter_modules();
/// "q_proj, v_proj".
std::string module_names(std::span<const WeightRole> targets);

/// The fields that a run of training and adapter_config.json share: "r", "lora_alpha" (2 r),
/// "target_modules" (a list of names, or "all-linear", which is the default), "use_rslora".
Result<AdapterConfig> parse_adapter_fields(const JsonFields& fields);

/// The tensors of an adapter that acts in all layers, in the order of the weight table: A and B of
/// each target. Names are those of the weight with "lora_A.weight" in the place of "weight".
std::vector<WeightSpec> adapter_table(const ModelConfig& model, const AdapterConfig& adapter);

/// The tensors of one adapter, all there and of the right shape: views of a mapped file, or of
/// somebody's memory. Move-only; any number of threads may read it.
class Adapter {
 public:
  /// A and B of one weight, each a matrix of numbers.
  struct Pair {
    StoredTensor a, b;
  };

  /// That of a PEFT folder. Refused is what would change results and is not supported (DoRA,
  /// biases, ranks that differ, …), and an adapter of weights that the model does not have, or not
  /// in this shape. Without "tidar" in its config it acts on all rows; one of mask rows that names
  /// no mask token takes the model's.
  static Result<Adapter> open(const std::filesystem::path& folder, const ModelConfig& model);

  /// Tensors that stand in memory: one for each row of adapter_table(), in its order. What they
  /// view must outlive the result.
  static Adapter of_memory(const ModelConfig& model, const AdapterConfig& config,
                           std::vector<StoredTensor> tensors);

  const AdapterConfig& config() const { return config_; }
  /// nullptr: nothing is added to this weight.
  const Pair* find(WeightRole role, int layer) const;
  /// Elements of all tensors.
  int64_t parameters() const;

 private:
  AdapterConfig config_;
  std::optional<TensorFile> file_;
  std::map<std::pair<WeightRole, int>, Pair> pairs_;
};

/// "LoRA of rank 16, scale 2, on q_proj, v_proj, mask rows alone".
std::string text_of(const AdapterConfig& config);

/// Writes a PEFT folder, which must not be there: A and B of adapter_table(), in its order, each
/// named as there. `base`: what the adapter was trained on, for people; may be "".
Result<void> write_adapter(const std::filesystem::path& folder, const AdapterConfig& config,
                           std::string_view base, std::span<const TensorToWrite> tensors);

/// A row of W + scale B A: adds to `row` [in], row `n` of the weight. a, b: f32, without padding.
void merge_row(const AdapterConfig& config, std::span<const float> a, std::span<const float> b,
               int64_t n, std::span<float> row);

}  // namespace tidar
