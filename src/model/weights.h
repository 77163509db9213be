#pragma once
// The one declarative table of a decoder's weights: which tensors exist, what they are called in a
// Hugging Face folder, and what shape they have. Families are rows of conditions, not code.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "base/threads.h"
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

/// Which tensor of a weight is meant: the weight itself, or the two of its adapter (adapter.h).
enum class WeightPart : uint8_t { whole, lora_a, lora_b };

/// One tensor that a config calls for.
struct WeightSpec {
  WeightRole role;
  int layer = -1;  ///< -1: not in a layer
  std::string name;
  std::vector<int64_t> shape;
  WeightPart part = WeightPart::whole;
};

/// Every weight of the model, in the order in which a pass uses them.
std::vector<WeightSpec> weight_table(const ModelConfig& config);

/// How the numbers of a tensor stand in a file.
enum class StoredForm : uint8_t {
  numbers,      ///< each by itself
  codes8,       ///< GroupCodes (format/group_codes.h) of 8 bits
  codes4,       ///< and of 4
  other_codes,  ///< of few bits, which get() makes numbers of
};

/// The codes of a matrix [N, K], row by row.
struct CodeMatrix {
  Buffer codes;   ///< [N, bytes_of_codes(K)]
  Buffer scales;  ///< f16 [N, scales_of_codes(K)]
};

/// The tensors of one model, all there and of the right shape: views of mapped files, or made of
/// stored codes or of a seed, and then there only between get() and release(). Either way a model
/// that is packed tensor by tensor is resident once, plus one tensor.
///
/// Safe to use from several threads at once, as long as none uses a tensor that another releases.
class ModelWeights {
 public:
  /// Those of a Hugging Face folder, or of a GGUF file. Checks it against the table: a missing,
  /// extra, mis-shaped or mis-typed tensor is an Error that names file, tensor, expected and found.
  /// Accepted types: f32, bf16, f16, and what becomes f32: in a GGUF file those of
  /// format/block_format.h, in a folder those of model/quantization.h. A stored head beside a tied
  /// embedding is accepted when config says tied (it is not used), as are stored rotary
  /// frequencies. A weight that is NaN or infinite is an Error that names its place: every file is
  /// read once for that.
  static Result<ModelWeights> open(const std::filesystem::path& model, const ModelConfig& config);

  /// Random weights, a function of the seed alone: the order of get() does not matter, and bf16
  /// weights are the f32 ones of the same seed, rounded. All are normal, with deviation
  ///   matrices            1 / sqrt(fan-in): activations keep their size from layer to layer
  ///   embedding and head  2.5 / sqrt(D): logits deviate by about 2.5, as those of trained models
  ///   biases              0.5, so that one that is left out shows
  ///   norms               0.1, around 1
  /// dtype f32 or bf16, of all tensors. `threads`, where given, make them, whatever their number,
  /// and must outlive the result; then get() is not to be called while they do something else.
  static ModelWeights random(const ModelConfig& config, DType dtype, uint64_t seed,
                             Threads* threads = nullptr);

  /// Weights that stand in memory already, one for each row of weight_table(config), in its order
  /// and of its shapes. What they view must outlive the result.
  static ModelWeights of_memory(const ModelConfig& config, std::vector<StoredTensor> tensors);

  ModelWeights(ModelWeights&&) noexcept;
  ModelWeights& operator=(ModelWeights&&) noexcept;
  ~ModelWeights();

  /// The tensor of a role, which must be in the table of the config. What is made is made here, on
  /// first use: about a second per 0.5 billion values and thread. The reference stays valid, but
  /// its data only until release().
  const StoredTensor& get(WeightRole role, int layer = -1) const;

  StoredForm form(WeightRole role, int layer = -1) const;
  /// The codes of a matrix that is stored as such, copied.
  CodeMatrix codes(WeightRole role, int layer = -1) const;

  /// The tensor as get() would give it, but without data where that has to be made first. To be
  /// released, too.
  const StoredTensor& look_at(WeightRole role, int layer = -1) const;
  /// The numbers of one row of a matrix that is stored as codes of any kind: out [K]. `tensor` is
  /// the reference that look_at() returned.
  void make_row(const StoredTensor& tensor, int64_t row, std::span<float> out) const;

  /// What its file calls the way in which it is stored: "BF16", "Q4_K"; "random" where there is
  /// none.
  std::string_view stored_as(WeightRole role, int layer = -1) const;

  /// The type in which matrices are packed unless the user asks for another: bf16 if every matrix
  /// is stored as bf16, else f32 (f16 has numbers that bf16 has not).
  DType matrix_dtype() const;

  /// To be called when a tensor has been packed: its pages leave memory. `tensor` is the reference
  /// that get() or look_at() returned; its data is not to be used until the next of these, which
  /// brings it back.
  void release(const StoredTensor& tensor) const;

 private:
  struct Impl;
  explicit ModelWeights(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidar
