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
  const size_t size = call.weight.size();
  T squares = 0, along = 0;
  for (size_t i = 0; i < size; ++i) {
    squares += of.x[i] * of.x[i];
    along += of.d_out[i] * static_cast<T>(call.weight[i]) * of.x[i];
  }
  const T scale = 1 / std::sqrt(squares / static_cast<T>(size) + static_cast<T>(call.eps));
  const T share = along * scale * scale / static_cast<T>(size);
  for (size_t i = 0; i < size; ++i) {
    const T d = of.d_out[i];
    if (d_weight.data != nullptr) d_weight.row<T>(0)[i] += d * of.x[i] * scale;
    const T d_x = scale * (d * static_cast<T>(call.weight[i]) - of.x[i] * share);
    of.d_x[i] = into == Into::add ? of.d_x[i] + d_x : d_x;
  }
}

}  // namespace

template <class T>
void rms_norm_backward(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                       Matrix d_weight) {
  const auto size = static_cast<int64_t>(call.weight.size());
  for (int64_t r = 0; r < call.x.rows; ++r) {
    for (int64_t first = 0; first < call.x.cols; first += size) {
      one_vector<T>(call,
                    {call.x.row<T>(r) + first, d_out.row<T>(r) + first, d_x.row<T>(r) + first},
                    into, d_weight);
    }
  }
}

template void rms_norm_backward<float>(const RmsNormCall&, Matrix, Into, Matrix, Matrix);
template void rms_norm_backward<double>(const RmsNormCall&, Matrix, Into, Matrix, Matrix);

}  // namespace tidar::ref
