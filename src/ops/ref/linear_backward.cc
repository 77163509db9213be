#include "ops/ref/backward_verbs.h"

namespace tidar::ref {

namespace {

// The packed row that holds output n, columns being stacked part after part.
template <class T>
const T* row_of(const Trained<T>& weight, int64_t n) {
  if (weight.order == PackOrder::stacked) return weight.packed.row(n);
  const int64_t pairs = weight.packed.outputs / 2;
  return weight.packed.row(n < pairs ? 2 * n : 2 * (n - pairs) + 1);
}

}  // namespace

template <class T>
void linear_backward(Matrix x, const Trained<T>& weight, Matrix d_out,
                     const LinearGradients& gradients) {
  if (gradients.d_x.data != nullptr) {
    for (int64_t r = 0; r < x.rows; ++r) {
      T* const d_x = gradients.d_x.row<T>(r);
      for (int64_t k = 0; k < x.cols; ++k) {
        d_x[k] = 0;
        for (int64_t n = 0; n < d_out.cols; ++n)
          d_x[k] += d_out.row<T>(r)[n] * row_of(weight, n)[k];
      }
    }
  }
  int64_t first = 0;
  for (const Matrix& d_part : gradients.d_parts) {
    for (int64_t n = 0; n < d_part.rows && d_part.data != nullptr; ++n) {
      for (int64_t k = 0; k < x.cols; ++k) {
        T sum = 0;
        for (int64_t r = 0; r < x.rows; ++r) sum += d_out.row<T>(r)[first + n] * x.row<T>(r)[k];
        d_part.row<T>(n)[k] += sum;
      }
    }
    first += d_part.rows;
  }
  first = 0;
  for (const Matrix& d_bias : gradients.d_biases) {
    for (int64_t n = 0; n < d_bias.cols && d_bias.data != nullptr; ++n) {
      T sum = 0;
      for (int64_t r = 0; r < x.rows; ++r) sum += d_out.row<T>(r)[first + n];
      d_bias.row<T>(0)[n] += sum;
    }
    first += d_bias.cols;
  }
}

template <class T>
void gate_up(Matrix x, const Trained<T>& weight, Matrix gate_up) {
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t n = 0; n < gate_up.cols; ++n) {
      T sum = 0;
      for (int64_t k = 0; k < x.cols; ++k) sum += x.row<T>(r)[k] * row_of(weight, n)[k];
      gate_up.row<T>(r)[n] = sum;
    }
  }
}

template void linear_backward<float>(Matrix, const Trained<float>&, Matrix, const LinearGradients&);
template void linear_backward<double>(Matrix, const Trained<double>&, Matrix,
                                      const LinearGradients&);
template void gate_up<float>(Matrix, const Trained<float>&, Matrix);
template void gate_up<double>(Matrix, const Trained<double>&, Matrix);

}  // namespace tidar::ref
