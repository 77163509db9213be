#pragma once
// One transformer block under training: the forward of block.h with rows as keys, and its backward.

#include "model/config.h"
#include "net/block.h"
#include "net/parameters.h"
#include "net/planes.h"
#include "net/trained_adapter.h"
#include "ops/backward.h"

namespace tidar {

/// What the backward of a block needs of its forward.
class BlockInside {
 public:
  BlockInside(const ModelConfig& config, Ops& ops, WeightFormat weights, int max_rows);

  // Operand type.
  Matrix normed;      // [D] input of q, k, v
  Matrix attended;    // [H E] result of attention
  Matrix ffn_normed;  // [D] input of gate and up
  Matrix gated;       // [F] input of down
  // Activation type.
  Matrix qkv;       // [(H + 2 G) E] their product; without norms of heads, rotated
  Matrix qk;        // [(H + G) E] behind norms of heads and rotation; no columns without such norms
  Matrix middle;    // [D] residual stream between attention and ffn
  Matrix gate_up;   // [2 F]; becomes its gradient
  Matrix log_sums;  // [H] of attention

  int64_t bytes() const { return planes_.bytes(); }

 private:
  Planes planes_;
};

/// Gradients inside one block, overwritten by the next.
class BlockGradients {
 public:
  BlockGradients(const ModelConfig& config, Ops& ops, int max_rows);

  // Activation type.
  Matrix qkv;        // [(H + 2 G) E]
  Matrix attention;  // [H E]
  Matrix normed;     // [D]
  Matrix gated;      // [F]

  int64_t bytes() const { return planes_.bytes(); }

 private:
  Planes planes_;
};

/// What the blocks of a pass share.
struct TrainedPass {
  const PreparedPass& pass;
  const RopeTable& rope;
};

class TrainedBlock {
 public:
  /// Makes the layer's weights out of `parameters`, which must outlive the block, as must the rows
  /// of the adapter, where there is one.
  TrainedBlock(const ModelConfig& config, Parameters& parameters, int layer, BackwardOps& ops,
               WeightFormat format, TrainedAdapterRows* adapted = nullptr);

  /// Takes over the present values of the parameters.
  void refresh();

  /// Of the weights as products read them.
  int64_t bytes() const;

  /// Computes everything that backward() needs into `inside`, and the residual stream behind the
  /// block into `out` [R, D], unless that is without data. entrance [R, D]: the stream before it.
  void forward(const TrainedPass& pass, Matrix entrance, BlockInside& inside, Matrix out) const;

  /// d_x: the gradient of the stream behind the block; becomes that of `entrance`. `entrance` and
  /// `inside` are those of forward(), and `inside` is used up. Adds to the parameters' gradients.
  void backward(const TrainedPass& pass, Matrix entrance, BlockInside& inside,
                BlockGradients& gradients, Matrix d_x) const;

 private:
  Parameter& parameter(WeightRole role) const { return parameters_.get(role, layer_); }
  void ffn_backward(BlockInside& inside, BlockGradients& gradients, Matrix d_x) const;
  void attention_backward(const TrainedPass& pass, Matrix entrance, BlockInside& inside,
                          BlockGradients& gradients, Matrix d_x) const;
  // Of the norms of query and key heads: d_qkv becomes the gradient before them.
  void head_norms_backward(BlockInside& inside, Matrix d_qkv) const;

  const ModelConfig& config_;
  Parameters& parameters_;
  int layer_;
  BackwardOps& ops_;
  OwnedBlock<TrainedWeight, TrainedVector> weights_;
  TrainedAdapter adapter_;
};

}  // namespace tidar
