#include <cmath>

#include "ops/ref/backward_verbs.h"

namespace tidar::ref {

namespace {

template <class T>
struct Vectors {
  const T* x;
  const T* d_out;
  T* d_x;
};

// With s = 1 / sqrt(mean(x²) + eps), out_i = x_i s w_i and ds/dx_j = -s³ x_j / C:
// d_x_j = s (d_j w_j - x_j s² / C sum_i d_i w_i x_i), d_w_i = d_i x_i s.
template <class T>
void one_vector(const RmsNormCall& call, const Vectors<T>& of, Into into, Matrix d_weight) {
  const std::span<const float> weight = values_of(*call.weight);
  const size_t size = weight.size();
  T squares = 0, along = 0;
  for (size_t i = 0; i < size; ++i) {
    squares += of.x[i] * of.x[i];
    along += of.d_out[i] * static_cast<T>(weight[i]) * of.x[i];
  }
  const T scale = 1 / std::sqrt(squares / static_cast<T>(size) + static_cast<T>(call.eps));
  const T share = along * scale * scale / static_cast<T>(size);
  for (size_t i = 0; i < size; ++i) {
    const T d = of.d_out[i];
    if (d_weight.data != nullptr) d_weight.row<T>(0)[i] += d * of.x[i] * scale;
    const T d_x = scale * (d * static_cast<T>(weight[i]) - of.x[i] * share);
    of.d_x[i] = into == Into::add ? of.d_x[i] + d_x : d_x;
  }
}

}  // namespace

template <class T>
void rms_norm_backward(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                       Matrix d_weight) {
  const auto size = call.weight->size;
  for (int64_t r = 0; r < call.x.rows; ++r) {
    for (int64_t first = 0; first < call.x.cols; first += size) {
      one_vector<T>(call,
                    {call.x.row<T>(r) + first, d_out.row<T>(r) + first, d_x.row<T>(r) + first},
                    into, d_weight);
    }
  }
}

namespace {

template <class T>
T sigmoid(T value) {
  return 1 / (1 + std::exp(-value));
}

}  // namespace

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

template void rms_norm_backward<float>(const RmsNormCall&, Matrix, Into, Matrix, Matrix);
template void rms_norm_backward<double>(const RmsNormCall&, Matrix, Into, Matrix, Matrix);
template void swiglu_backward<float>(Matrix, Matrix, Matrix);
template void swiglu_backward<double>(Matrix, Matrix, Matrix);

}  // namespace tidar::ref
