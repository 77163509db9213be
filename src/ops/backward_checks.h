#pragma once
// Shapes and types of a backward verb's arguments, as checks.h has them for the forward. Gradients
// that nobody wants, matrices without data, have no shape to be checked.

#include "ops/backward.h"

namespace tidar {

/// Those of a weight: parts as check_pack() wants them, without room between rows.
void check_masters(const Ops& ops, PackOrder order, std::span<const Matrix> masters,
                   WeightFormat format);
/// Those of a vector: f32, one row each.
void check_vector_masters(std::span<const Matrix> masters);
/// `masters` are those of the weight.
void check_linear_backward(const Ops& ops, Matrix x, const TrainedWeight& weight,
                           std::span<const Matrix> masters, Matrix d_out,
                           const LinearGradients& gradients);
void check_gate_up(const Ops& ops, Matrix x, const TrainedWeight& weight, Matrix gate_up);
void check_swiglu_backward(const Ops& ops, Matrix gate_up, Matrix d_out, Matrix d_gate_up);
void check_rms_norm_backward(const Ops& ops, const RmsNormCall& call, Matrix d_out, Into into,
                             Matrix d_x, Matrix d_weight);
/// Every sight of the pass too: ranges of rows, disjoint.
void check_attend_rows(const Ops& ops, const AttendRows& rows, Matrix out, Matrix log_sums);
void check_attend_backward(const Ops& ops, const AttendRows& rows, Matrix out, Matrix log_sums,
                           Matrix d_out, const AttendGradients& gradients);
void check_embed_backward(const Ops& ops, std::span<const int32_t> tokens, Matrix d_out,
                          Matrix d_table);
void check_cross_entropy(const Ops& ops, Matrix logits, std::span<const Label> labels,
                         std::span<const double> losses);

}  // namespace tidar
