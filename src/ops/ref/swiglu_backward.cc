#include <cmath>

#include "ops/ref/backward_verbs.h"

namespace tidar::ref {

namespace {

template <class T>
T sigmoid(T value) {
  return 1 / (1 + std::exp(-value));
}

}  // namespace

template <class T>
void swiglu(Matrix gate_up, Matrix out) {
  for (int64_t r = 0; r < out.rows; ++r) {
    const T* const gate = gate_up.row<T>(r);
    const T* const up = gate + out.cols;
    for (int64_t n = 0; n < out.cols; ++n) {
      out.row<T>(r)[n] = gate[n] * sigmoid(gate[n]) * up[n];
    }
  }
}

// silu(t) = t s(t) with s the sigmoid, whose derivative is s (1 - s): silu' = s (1 + t (1 - s)).
template <class T>
void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) {
  for (int64_t r = 0; r < d_out.rows; ++r) {
    for (int64_t n = 0; n < d_out.cols; ++n) {
      const T gate = gate_up.row<T>(r)[n], up = gate_up.row<T>(r)[d_out.cols + n];
      const T d = d_out.row<T>(r)[n], s = sigmoid(gate);
      d_gate_up.row<T>(r)[n] = d * up * s * (1 + gate * (1 - s));
      d_gate_up.row<T>(r)[d_out.cols + n] = d * gate * s;
    }
  }
}

template void swiglu<float>(Matrix, Matrix);
template void swiglu<double>(Matrix, Matrix);
template void swiglu_backward<float>(Matrix, Matrix, Matrix);
template void swiglu_backward<double>(Matrix, Matrix, Matrix);

}  // namespace tidar::ref
