#pragma once
// The backward halves of the verbs, and the loss: a second interface, so that serving never links
// it. The forward of training is the forward of serving (ops.h), with the same kernels; only
// attention has a forward of its own here, because nothing is cached. The backward half of
// Ops::gather is Ops::scatter_add, and the other way round.
//
// Common to all: as in ops.h. `d_x` is the gradient of the loss with respect to x, of the
// activation type. A verb *adds* to the gradients of weights and, where it says so, to d_x; it
// *writes* others. Gradients of weights have the type of activations (f32; f64 in the float64
// reference), in the layout of the checkpoint; those of a vector are a matrix of one row. They and
// the masters are the trainer's, in host memory, whatever the backend: optimizer and checkpoints
// look at them. A matrix without data stands for a gradient that nobody wants; among several it has
// its shape. Results do not depend on the number of threads, to the bit.
//
// Where a backend rounds operands to bf16 (Ops::operand), products round theirs here as well, and
// those of attention do wherever operand(bf16) is bf16; sums are of the activation type.
//
//   ref/ref_backward.h    float or double, plain: the truth
//   cpu/cpu_backward.h    vector kernels
//   cases/                each verb against the truth, on any backend

#include <cstdint>
#include <memory>
#include <span>

#include "base/matrix.h"
#include "ops/ops.h"
#include "plan/label.h"

namespace tidar {

/// A weight matrix under training, in the layouts that its backend multiplies with forward and
/// backward. The master copy, [N, K], is its owner's; BackwardOps::refresh() takes over its values.
class TrainedWeight {
 public:
  virtual ~TrainedWeight() = default;
  /// For Ops::linear and its relatives; stacked or interleaved as it was made. The same object for
  /// as long as the weight lives.
  virtual const PackedWeight& forward() const = 0;
  /// Of both layouts, padding included.
  virtual int64_t bytes() const = 0;
};

/// A vector under training: its masters are vectors of the checkpoint, one after another.
class TrainedVector {
 public:
  virtual ~TrainedVector() = default;
  /// For Ops::rms_norm and Ops::linear. The same object for as long as the vector lives.
  virtual const PackedVector& forward() const = 0;
};

/// Gradients of out = x W^T + bias; any of them may be missing.
struct LinearGradients {
  Matrix d_x{};                        ///< [R, K], written
  std::span<const Matrix> d_parts{};   ///< one [N_i, K] a part, added to; empty: none wanted
  std::span<const Matrix> d_biases{};  ///< side by side N columns, one row each, added to
};

/// A call of Ops::rms_norm, but for its result.
struct RmsNormCall {
  Matrix x;  ///< [R, C]
  const PackedVector* weight = nullptr;
  double eps = 0;
  int heads = 1;
};

/// Queries, keys and values of rows that see each other: attention of training. E = k.cols /
/// kv_heads, H = q.cols / E.
struct AttendRows {
  Matrix q;     ///< [R, H*E] activation
  Matrix k, v;  ///< [R, G*E] activation
  /// Prepared without a store. A row that sees nothing has the result 0.
  const PreparedPass* pass = nullptr;
  int kv_heads = 1;
};

/// Gradients of an AttendRows: shapes of q, k, v.
struct AttendGradients {
  Matrix d_q, d_k, d_v;
};

/// What happens to the values that d_x held.
enum class Into : uint8_t {
  overwrite,
  add,
};

class BackwardOps {
 public:
  virtual ~BackwardOps() = default;

  /// The forward verbs that these are the backward halves of.
  virtual Ops& forward() = 0;

  /// Returns when everything that was called is complete: from then on the host may look at the
  /// gradients of weights.
  virtual void finish() = 0;

  /// `masters` are the parts, [N_i, K] each without padding, as for Ops::pack: f32 (or f64 in the
  /// float64 reference). They are read by refresh() only, and must outlive the result. format: a
  /// plain one, to compute with. All weights are 0 before the first refresh().
  virtual std::unique_ptr<TrainedWeight> make_weight(PackOrder order,
                                                     std::span<const Matrix> masters,
                                                     WeightFormat format) = 0;
  /// Likewise; masters are f32, one row each.
  virtual std::unique_ptr<TrainedVector> make_vector(std::span<const Matrix> masters) = 0;
  /// Takes over the present values of the masters.
  virtual void refresh(TrainedWeight& weight) = 0;
  virtual void refresh(TrainedVector& vector) = 0;

  /// Of out = x W^T + bias, and of linear_add. x [R, K]: the operand of the forward. d_out [R, N],
  /// columns stacked part after part even where the forward interleaves them (see gate_up()).
  virtual void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
                      const LinearGradients& gradients) = 0;

  /// The first half of linear_swiglu, for its backward needs what Ops::swiglu makes the second one
  /// of. x [R, K] operand, times an interleaved weight; gate_up [R, 2 N] activation = gate columns,
  /// then up columns.
  virtual void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) = 0;
  /// Of Ops::swiglu. Writes d_gate_up [R, 2 N], which may be gate_up itself. d_out [R, N].
  virtual void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) = 0;

  /// Writes or adds to d_x [R, C]; adds to d_weight [1, C / heads]. d_out [R, C] may be d_x itself
  /// if that is overwritten.
  virtual void rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                        Matrix d_weight) = 0;

  /// Rotates gradients back, in place. d_x [R, heads*E].
  virtual void rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) = 0;

  /// For every row and head: softmax over the rows seen of q·k / sqrt(E), times their values. out
  /// [R, H*E] activation or operand. log_sums [R, H] activation: log of the sum of exp(q·k /
  /// sqrt(E)) over what is seen; -infinity where that is nothing. Keys that no row of a tile sees
  /// are skipped.
  virtual void attend(const AttendRows& rows, Matrix out, Matrix log_sums) = 0;
  /// Writes all three gradients. `out` and `log_sums` as attend() left them; d_out [R, H*E].
  virtual void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                               const AttendGradients& gradients) = 0;

  /// d_table[token of row r] += d_out[r]; d_out [R, K], d_table [V, K].
  virtual void embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) = 0;

  /// Losses of the first R rows of logits [R + T, V], in nats, unweighted: row i is held against
  /// labels[i] (Label::row is not looked at), and losses and labels are R. Without a target a loss
  /// is the cross-entropy, log sum exp - logit of the token. With one, which names a row of
  /// `logits` that has none itself, it is (1 - share) * cross-entropy + share * distance from the
  /// softmax of that row. The R rows become their gradients, labels[i].weight * d losses[i] / d
  /// logits: softmax - one-hot for the cross-entropy. Targets count as constants: they have no
  /// gradient from what is held against them. The T rows behind are only targets, and stay as they
  /// are.
  virtual void cross_entropy(Matrix logits, std::span<const Label> labels,
                             std::span<double> losses) = 0;
};

}  // namespace tidar
