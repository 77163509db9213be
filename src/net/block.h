#pragma once
// The one transformer block of all families: weights as a backend holds them, and the forward.

#include <memory>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "model/config.h"
#include "model/weights.h"
#include "net/attention_plan.h"
#include "ops/ops.h"

namespace tidar {

/// The weights of one layer. Matrices are packed, vectors are f32; those that a family lacks are
/// empty.
struct BlockWeights {
  std::vector<float> input_norm;                // [D]
  std::unique_ptr<PackedWeight> qkv;            // [(H + 2 G) E, D]
  std::vector<float> qkv_bias;                  // [(H + 2 G) E]
  std::vector<float> query_norm;                // [E]
  std::vector<float> key_norm;                  // [E]
  std::unique_ptr<PackedWeight> attention_out;  // [D, H E]
  std::vector<float> ffn_norm;                  // [D]
  std::unique_ptr<PackedWeight> gate_up;        // interleaved [2 F, D]
  std::unique_ptr<PackedWeight> down;           // [D, F]

  int64_t bytes() const;
};

/// Reads a vector of any stored type as f32.
std::vector<float> read_vector(const StoredTensor& tensor);

/// Packs one weight from tensors that it lays out together, then releases them.
std::unique_ptr<PackedWeight> pack_tensors(Ops& ops, const ModelWeights& weights, PackOrder order,
                                           std::span<const StoredTensor* const> parts, DType dtype);

BlockWeights pack_block(Ops& ops, const ModelConfig& config, const ModelWeights& weights, int layer,
                        DType dtype);

/// The intermediate results of a block, for passes of up to `max_rows` rows; shared by all blocks.
class Activations {
 public:
  Activations(const ModelConfig& config, const Ops& ops, DType weights, int max_rows);

  // Each has `max_rows` rows; use first(matrix, rows). Activation type, unless "operand".
  Matrix x;         // [D] the residual stream
  Matrix normed;    // [D] operand
  Matrix qkv;       // [(H + 2 G) E]
  Matrix attended;  // [H E] operand
  Matrix gated;     // [F] operand
  Matrix copied;    // [2 G E] keys and values that are stored twice

  int64_t bytes() const { return static_cast<int64_t>(buffer_.bytes()); }

 private:
  Buffer buffer_;
};

/// What all blocks of a pass share.
struct BlockInputs {
  std::span<const int32_t> positions;
  const RopeTable* rope = nullptr;
  const AttentionPlanner* attention = nullptr;
};

/// Carries `rows` rows of activations.x through layer `layer`, in place.
void forward_block(Ops& ops, const ModelConfig& config, const BlockWeights& weights, int layer,
                   const BlockInputs& inputs, KvStore& kv, const Activations& activations);

}  // namespace tidar
