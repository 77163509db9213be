#pragma once
// One transformer block under training: the forward of block.h with rows as keys, and its backward.

#include <memory>
#include <span>
#include <vector>

#include "model/config.h"
#include "net/parameters.h"
#include "net/plane.h"
#include "ops/backward.h"

namespace tidar {

/// What the blocks of a pass share.
struct TrainedBlockInputs {
  std::span<const int32_t> positions;
  std::span<const TileSight> sights;   ///< in rows of the pass
  std::span<const int32_t> every_row;  ///< 0, 1, 2 …, one a row: to copy rows with Ops::gather
  const RopeTable* rope = nullptr;
};

/// What the backward of a block needs of its forward.
class BlockInside {
 public:
  BlockInside(const ModelConfig& config, const Ops& ops, DType weights, int max_rows);

  // Operand type.
  Plane normed;      // [D] input of q, k, v
  Plane attended;    // [H E] result of attention
  Plane ffn_normed;  // [D] input of gate and up
  Plane gated;       // [F] input of down
  // Activation type.
  Plane qkv;       // [(H + 2 G) E] their product; without norms of heads, rotated
  Plane qk;        // [(H + G) E] behind norms of heads and rotation; empty without such norms
  Plane middle;    // [D] residual stream between attention and ffn
  Plane gate_up;   // [2 F]; becomes its gradient
  Plane log_sums;  // [H] of attention

  int64_t bytes() const;
};

/// Gradients inside one block, overwritten by the next.
class BlockGradients {
 public:
  BlockGradients(const ModelConfig& config, const Ops& ops, int max_rows);

  // Activation type.
  Plane qkv;        // [(H + 2 G) E]
  Plane attention;  // [H E]
  Plane normed;     // [D]
  Plane gated;      // [F]
  Plane qkv_bias;   // one row of [(H + 2 G) E]

  int64_t bytes() const;
};

class TrainedBlock {
 public:
  /// Makes the layer's weights out of `parameters`, which must outlive the block.
  TrainedBlock(const ModelConfig& config, Parameters& parameters, int layer, BackwardOps& ops,
               DType dtype);

  /// Takes over the present values of the parameters.
  void refresh();

  /// Of the weights as products read them.
  int64_t bytes() const;

  /// Computes everything that backward() needs into `inside`, and the residual stream behind the
  /// block into `out` [R, D], unless that is without data. entrance [R, D]: the stream before it.
  void forward(const TrainedBlockInputs& inputs, Matrix entrance, BlockInside& inside,
               Matrix out) const;

  /// d_x: the gradient of the stream behind the block; becomes that of `entrance`. `entrance` and
  /// `inside` are those of forward(), and `inside` is used up. Adds to the parameters' gradients.
  void backward(const TrainedBlockInputs& inputs, Matrix entrance, BlockInside& inside,
                BlockGradients& gradients, Matrix d_x) const;

 private:
  Parameter& parameter(WeightRole role) const { return parameters_.get(role, layer_); }
  void ffn_backward(BlockInside& inside, BlockGradients& gradients, Matrix d_x) const;
  void attention_backward(const TrainedBlockInputs& inputs, Matrix entrance, BlockInside& inside,
                          BlockGradients& gradients, Matrix d_x) const;
  // Of the norms of query and key heads: d_qkv becomes the gradient before them.
  void head_norms_backward(BlockInside& inside, Matrix d_qkv) const;
  // Adds d_bias [1, (H + 2 G) E] to the gradients of the three biases.
  void add_bias_gradients(Matrix d_bias) const;

  const ModelConfig& config_;
  Parameters& parameters_;
  int layer_;
  BackwardOps& ops_;
  std::unique_ptr<TrainedWeight> qkv_, attention_out_, gate_up_, down_;
  std::vector<float> qkv_bias_;  // copy of the three, side by side
};

}  // namespace tidar
