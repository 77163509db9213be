#pragma once
// The backward halves in the plain backend, over activations of type T (float, double). Arguments
// are checked by the caller (ref_backward.cc); what a verb means, and its shapes, stand in
// ops/backward.h. One thread, each sum in the order of its terms, and derivatives written down as
// they are in books: these are held against finite differences of the loss.

#include <span>
#include <vector>

#include "ops/backward.h"
#include "ops/ref/verbs.h"

namespace tidar::ref {

/// The masters, and their values at the last refresh as the forward reads them; the backward reads
/// the same.
template <class T>
struct Trained final : TrainedWeight {
  const PackedWeight& forward() const override { return packed; }
  int64_t bytes() const override { return packed.bytes; }

  PackOrder order = PackOrder::stacked;
  std::vector<Matrix> masters;
  Weight<T> packed;
};

template <class T>
void linear_backward(Matrix x, const Trained<T>& weight, Matrix d_out,
                     const LinearGradients& gradients);
template <class T>
void gate_up(Matrix x, const Trained<T>& weight, Matrix gate_up);
template <class T>
void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up);
template <class T>
void rms_norm_backward(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                       Matrix d_weight);
template <class T>
void attend_rows(const AttendRows& rows, Matrix out, Matrix log_sums);
template <class T>
void attend_rows_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                          const AttendGradients& gradients);
/// The loss of one row of logits, which becomes its gradient.
template <class T>
double cross_entropy(T* logits, int64_t count, const Label& label);
/// The same with a target, whose logits these are.
template <class T>
double soft_cross_entropy(T* logits, const T* target, int64_t count, const Label& label);

}  // namespace tidar::ref
