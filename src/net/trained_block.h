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

/// What the blocks of a pass share, and the intermediate results of the block in hand.
struct TrainedBlockInputs {
  std::span<const int32_t> positions;
  std::span<const TileSight> sights;  ///< in rows of the pass
  const RopeTable* rope = nullptr;
};

/// Intermediate results of one block, overwritten by the next; gradients beside them.
class BlockWorkspace {
 public:
  BlockWorkspace(const ModelConfig& config, const Ops& ops, DType weights, int max_rows);

  // Operand type.
  Plane normed;      // [D] input of q, k, v
  Plane attended;    // [H E] result of attention
  Plane ffn_normed;  // [D] input of gate and up
  Plane gated;       // [F] input of down
  // Activation type.
  Plane raw_qkv;                   // [(H + 2 G) E] before norms of heads and rotation
  Plane qkv;                       // [(H + 2 G) E] as attention sees it
  Plane middle;                    // [D] residual stream between attention and ffn
  Plane gate_up;                   // [2 F]; becomes its gradient
  Plane log_sums;                  // [H] of attention
  Plane d_qkv;                     // [(H + 2 G) E]
  Plane d_attention;               // [H E]
  Plane d_normed;                  // [D]
  Plane d_gated;                   // [F]
  Plane d_qkv_bias;                // one row of [(H + 2 G) E]
  std::vector<int32_t> every_row;  // 0, 1, 2 …: to copy rows with Ops::gather

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

  /// x becomes the residual stream behind the block; everything that backward() needs is in
  /// `work` afterwards. x [R, D].
  void forward(const TrainedBlockInputs& inputs, BlockWorkspace& work, Matrix x) const;

  /// d_x: the gradient of what forward() made; becomes that of `entrance`, which is the x that
  /// forward() was given, and `work` as forward() left it. Adds to the parameters' gradients.
  void backward(const TrainedBlockInputs& inputs, BlockWorkspace& work, Matrix entrance,
                Matrix d_x) const;

 private:
  Parameter& parameter(WeightRole role) const { return parameters_.get(role, layer_); }
  void ffn_backward(BlockWorkspace& work, Matrix d_x) const;
  void attention_backward(const TrainedBlockInputs& inputs, BlockWorkspace& work, Matrix entrance,
                          Matrix d_x) const;
  // Of the norms of query and key heads: d_qkv becomes the gradient before them.
  void head_norms_backward(BlockWorkspace& work, Matrix d_qkv) const;
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
