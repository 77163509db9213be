#pragma once
// The one declarative table of a decoder's weights: which tensors exist, what they are called in a
// Hugging Face folder, and what shape they have. Families are rows of conditions, not code.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "format/tensors.h"
#include "model/config.h"

namespace tidar {

enum class WeightRole : uint8_t {
  embedding,      // [V, D]
  input_norm,     // [D]
  query,          // [H*E, D]
  key,            // [G*E, D]
  value,          // [G*E, D]
  query_bias,     // [H*E]
  key_bias,       // [G*E]
  value_bias,     // [G*E]
  query_norm,     // [E]
  key_norm,       // [E]
  attention_out,  // [D, H*E]
  ffn_norm,       // [D]
  gate,           // [F, D]
  up,             // [F, D]
  down,           // [D, F]
  final_norm,     // [D]
  head,           // [V, D], absent when tied
};

/// One weight that a config calls for.
struct WeightSpec {
  WeightRole role;
  int layer = -1;  ///< -1: not in a layer
  std::string name;
  std::vector<int64_t> shape;
};

/// Every weight of the model, in the order in which a pass uses them.
std::vector<WeightSpec> weight_table(const ModelConfig& config);

/// The tensors of one model, all there and of the right shape.
class ModelWeights {
 public:
  /// Checks a folder against the table: a missing, extra, mis-shaped or mis-typed tensor is an
  /// Error that names file, tensor, expected and found. Accepted types: f32, bf16, f16. A stored
  /// head beside a tied embedding is accepted when config says tied (it is not used), as are
  /// stored rotary frequencies.
  static Result<ModelWeights> from_folder(const std::filesystem::path& folder,
                                          const ModelConfig& config);

  /// Random weights: normal, scaled by 1/sqrt(fan-in); norms near 1; the same for the same seed.
  /// dtype f32 or bf16.
  static ModelWeights random(const ModelConfig& config, DType dtype, uint64_t seed);

  /// The tensor of a role. It must be in the table of the config.
  const StoredTensor& get(WeightRole role, int layer = -1) const;

  /// The matrices' type: bf16 when every matrix is stored so or as f16… see weights.cc
  DType matrix_dtype() const;

  /// To be called when a tensor has been packed: its pages leave memory.
  void release(const StoredTensor& tensor) const;

  // Members are the implementer's.
};

}  // namespace tidar
