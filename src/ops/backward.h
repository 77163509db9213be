#pragma once
// The backward halves of the verbs, and the loss: a second interface, so that serving never links
// it. The forward of training is the forward of serving (ops.h), with the same kernels.
//
// Common to all: as in ops.h. `d_x` is the gradient of the loss with respect to x, of the
// activation type. A verb *adds* to the gradients of weights and, where it says so, to d_x; it
// *writes* others. Gradients of weights are f32 (f64 in the float64 reference) and plain row-major,
// in the layout of the checkpoint. Results do not depend on the number of threads.
//
// Where a backend rounds operands to bf16 (Ops::operand), the products here round theirs as well;
// sums are of the activation type.

#include <cstdint>
#include <memory>
#include <span>

#include "base/matrix.h"
#include "ops/ops.h"

namespace tidar {

/// A weight matrix under training, in the layouts that its backend multiplies with forward and
/// backward. The master copy, f32 [N, K], is its owner's; refresh() takes over its values.
class TrainedWeight {
 public:
  virtual ~TrainedWeight() = default;
  /// For Ops::linear and its relatives; stacked or interleaved as it was made.
  virtual const PackedWeight& forward() const = 0;
};

/// Which rows are held against which token, and how much each counts.
struct Label {
  int32_t row = 0;
  int32_t token = 0;
  float weight = 1;  ///< factor of this row's cross-entropy in the loss
};

class BackwardOps {
 public:
  virtual ~BackwardOps() = default;

  /// The forward verbs that these are the backward halves of.
  virtual Ops& forward() = 0;

  /// `masters` are the parts, f32 [N_i, K] each, as for Ops::pack; they are read by refresh() only,
  /// and must outlive the result. dtype: f32 or bf16, the type to compute with.
  virtual std::unique_ptr<TrainedWeight> make_weight(PackOrder order,
                                                     std::span<const Matrix> masters,
                                                     DType dtype) = 0;
  /// Takes over the present values of the masters.
  virtual void refresh(TrainedWeight& weight) = 0;

  /// Of out = x W^T + bias. d_out [R, N] in the column order of the forward (interleaved parts:
  /// gate columns, then up columns, see swiglu()). Writes d_x [R, K] (skipped if empty), adds to
  /// d_parts, one [N_i, K] a part, and to d_bias [N] (or empty). x is the operand of the forward.
  virtual void linear(Matrix x, const TrainedWeight& weight, Matrix d_out, Matrix d_x,
                      std::span<const Matrix> d_parts, std::span<float> d_bias) = 0;

  /// The two halves of linear_swiglu's inside, for recomputation: gate_up [R, 2 N] = gate columns,
  /// then up columns, of x times an interleaved weight; out = silu(gate) * up (operand).
  virtual void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) = 0;
  virtual void swiglu(Matrix gate_up, Matrix out) = 0;
  /// Of swiglu(): writes d_gate_up [R, 2 N]; may be the same memory as gate_up.
  virtual void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) = 0;

  /// Of Ops::rms_norm. Adds to d_x [R, C], and to d_weight [C / heads]. d_out may be d_x only where
  /// `accumulate` is false, in which case d_x is written instead.
  virtual void rms_norm(Matrix x, std::span<const float> weight, double eps, int heads,
                        Matrix d_out, Matrix d_x, bool accumulate, std::span<float> d_weight) = 0;

  /// Of Ops::rope: rotates gradients back, in place.
  virtual void rope(Matrix d_x, int heads, std::span<const int32_t> positions,
                    const RopeTable& table) = 0;

  /// Attention of training, forward and backward: nothing is cached, keys and values are rows of
  /// this pass. q [R, H*E], k and v [R, G*E] activation. `sights` one a row, in rows of the pass:
  /// prefix and block as half-open ranges (TileSight counts rows here). Tiles of keys that no row
  /// of a tile sees are skipped.
  virtual void attend(Matrix q, Matrix k, Matrix v, std::span<const TileSight> sights, int kv_heads,
                      Matrix out) = 0;
  /// Writes d_q, d_k, d_v. `out` is the result of attend().
  virtual void attend_backward(Matrix q, Matrix k, Matrix v, std::span<const TileSight> sights,
                               int kv_heads, Matrix out, Matrix d_out, Matrix d_q, Matrix d_k,
                               Matrix d_v) = 0;

  /// Of Ops::embed: d_table[tokens[r]] += d_out[r]; d_table [V, K] f32.
  virtual void embed(std::span<const int32_t> tokens, Matrix d_out, Matrix d_table) = 0;

  /// Cross-entropy of rows of logits [R, V]: losses[i] = log sum exp - logit of the label of row i,
  /// unweighted; logits becomes their gradient, labels[i].weight * (softmax - one-hot), row i being
  /// labels[i] (Label::row is not used). losses.size() == labels.size() == logits.rows.
  virtual void cross_entropy(Matrix logits, std::span<const Label> labels,
                             std::span<double> losses) = 0;
};

}  // namespace tidar
