#include <cmath>

#include "ops/host_matrix.h"
#include "ops/ref/verbs.h"

namespace tidar::ref {

namespace {

// The numbers that a row keeps in this format.
template <class T>
void round_row(WeightFormat format, std::span<T> row) {
  switch (format) {
    case WeightFormat::f32:
      break;  // float64 masters stay what they are in float64
    case WeightFormat::bf16:
      for (T& number : row) number = round_to_bf16(number);
      break;
  }
}

}  // namespace

template <class T>
std::unique_ptr<Weight<T>> pack(PackOrder order, std::span<const HostMatrix> parts,
                                WeightFormat format) {
  auto weight = std::make_unique<Weight<T>>();
  weight->format = format;
  weight->inputs = parts[0].cols;
  for (const HostMatrix& part : parts) weight->outputs += part.rows;
  weight->bytes = weight->outputs * weight->inputs * static_cast<int64_t>(sizeof(T));
  weight->elements = Buffer(static_cast<size_t>(weight->bytes));

  T* const elements = weight->elements.template as<T>();
  const int64_t stride = order == PackOrder::interleaved ? 2 : 1;
  int64_t first = 0;
  for (const HostMatrix& part : parts) {
    for (int64_t row = 0; row < part.rows; ++row) {
      T* const out = elements + (first + row * stride) * weight->inputs;
      read_row(part, row, out);
      round_row(format, std::span(out, static_cast<size_t>(weight->inputs)));
    }
    first += order == PackOrder::interleaved ? 1 : part.rows;
  }
  return weight;
}

namespace {

template <class T>
T dot(const T* a, const T* b, int64_t count) {
  T sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
T silu(T value) {
  return value / (1 + std::exp(-value));
}

}  // namespace

template <class T>
void linear(Matrix x, const Weight<T>& weight, std::span<const float> bias, Matrix out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t n = 0; n < weight.outputs; ++n) {
      const T product = dot(x.row<T>(r), weight.row(n), weight.inputs);
      out.row<T>(r)[n] =
          bias.empty() ? product : product + static_cast<T>(bias[static_cast<size_t>(n)]);
    }
  }
}

template <class T>
void linear_add(Matrix x, const Weight<T>& weight, Matrix out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t n = 0; n < weight.outputs; ++n) {
      out.row<T>(r)[n] += dot(x.row<T>(r), weight.row(n), weight.inputs);
    }
  }
}

template <class T>
void linear_swiglu(Matrix x, const Weight<T>& gate_up, Matrix out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t n = 0; n < out.cols; ++n) {
      const T gate = dot(x.row<T>(r), gate_up.row(2 * n), gate_up.inputs);
      const T up = dot(x.row<T>(r), gate_up.row(2 * n + 1), gate_up.inputs);
      out.row<T>(r)[n] = silu(gate) * up;
    }
  }
}

template std::unique_ptr<Weight<float>> pack(PackOrder, std::span<const HostMatrix>, WeightFormat);
template std::unique_ptr<Weight<double>> pack(PackOrder, std::span<const HostMatrix>, WeightFormat);
template void linear<float>(Matrix, const Weight<float>&, std::span<const float>, Matrix);
template void linear<double>(Matrix, const Weight<double>&, std::span<const float>, Matrix);
template void linear_add<float>(Matrix, const Weight<float>&, Matrix);
template void linear_add<double>(Matrix, const Weight<double>&, Matrix);
template void linear_swiglu<float>(Matrix, const Weight<float>&, Matrix);
template void linear_swiglu<double>(Matrix, const Weight<double>&, Matrix);

}  // namespace tidar::ref
