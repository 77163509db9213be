#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/group_codes.h"
#include "ops/host_matrix.h"
#include "ops/ref/verbs.h"

namespace tidar::ref {

namespace {

template <class T>
void keep_groups(const HostMatrix& part, int64_t row, Weight<T>& weight, int64_t n) {
  const int zero = facts_of(weight.format).zero_code();
  const int64_t groups = groups_of(weight.inputs);
  T* const elements = weight.elements.template as<T>() + n * weight.inputs;
  T* const scales = weight.scales.template as<T>() + n * groups;
  const WeightRow row_groups(weight.format, part, row);
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = g * kGroup, end = std::min(first + kGroup, weight.inputs);
    const WeightGroup group = row_groups.group(g);
    scales[g] = static_cast<T>(static_cast<float>(group.scale));
    for (int64_t k = first; k < end; ++k) {
      elements[k] = static_cast<T>(group.codes[static_cast<size_t>(k - first)] - zero);
    }
  }
}

// What the packed row n keeps of row `row` of a part.
template <class T>
void keep_row(const HostMatrix& part, int64_t row, Weight<T>& weight, int64_t n) {
  T* const elements = weight.elements.template as<T>() + n * weight.inputs;
  switch (weight.format) {
    case WeightFormat::f32:
      read_row(part, row, elements);  // float64 masters stay what they are in float64
      break;
    case WeightFormat::bf16:
      read_row(part, row, elements);
      for (int64_t k = 0; k < weight.inputs; ++k) elements[k] = round_to_bf16(elements[k]);
      break;
    case WeightFormat::w8:
    case WeightFormat::w4:
      keep_groups(part, row, weight, n);
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
  const auto bytes_of = [&](int64_t cols) {
    return static_cast<size_t>(weight->outputs * cols) * sizeof(T);
  };
  weight->elements = Buffer(bytes_of(weight->inputs));
  weight->scales = Buffer(bytes_of(facts_of(format).scales(weight->inputs)));
  weight->bytes = static_cast<int64_t>(weight->elements.bytes() + weight->scales.bytes());

  const int64_t stride = order == PackOrder::interleaved ? 2 : 1;
  int64_t first = 0;
  for (const HostMatrix& part : parts) {
    for (int64_t row = 0; row < part.rows; ++row) {
      keep_row(part, row, *weight, first + row * stride);
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

// A row of operands as a weight of some format meets it: the numbers, or codes and scales.
template <class T>
class Operands {
 public:
  Operands(const T* x, const Weight<T>& weight) : weight_(weight), x_(x) {
    if (!is_scaled()) return;
    codes_.resize(static_cast<size_t>(weight.inputs));
    for (int64_t first = 0; first < weight.inputs; first += kGroup) {
      const int64_t count = std::min<int64_t>(kGroup, weight.inputs - first);
      const std::vector<float> numbers(x + first, x + first + count);
      const OperandGroup group = nearest_operands(numbers);
      std::copy_n(group.codes.begin(), count, codes_.begin() + first);
      scales_.push_back(static_cast<T>(group.scale));
    }
  }

  T product(int64_t n) const {
    const T* const row = weight_.row(n);
    if (!is_scaled()) return dot(x_, row, weight_.inputs);
    const T* const scales = weight_.row_scales(n);
    T sum = 0;
    for (size_t g = 0; g < scales_.size(); ++g) {
      const auto first = static_cast<int64_t>(g) * kGroup;
      // Whole numbers that T holds: exact.
      const T whole = dot(codes_.data() + first, row + first,
                          std::min<int64_t>(kGroup, weight_.inputs - first));
      sum = std::fma(whole, scales_[g] * scales[g], sum);
    }
    return sum;
  }

 private:
  bool is_scaled() const { return facts_of(weight_.format).group > 0; }

  const Weight<T>& weight_;
  const T* x_;
  std::vector<T> codes_, scales_;
};

template <class T>
T silu(T value) {
  return value / (1 + std::exp(-value));
}

}  // namespace

template <class T>
void linear(Matrix x, const Weight<T>& weight, std::span<const float> bias, Matrix out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const Operands<T> operands(x.row<T>(r), weight);
    for (int64_t n = 0; n < weight.outputs; ++n) {
      const T product = operands.product(n);
      out.row<T>(r)[n] =
          bias.empty() ? product : product + static_cast<T>(bias[static_cast<size_t>(n)]);
    }
  }
}

template <class T>
void linear_add(Matrix x, const Weight<T>& weight, Matrix out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const Operands<T> operands(x.row<T>(r), weight);
    for (int64_t n = 0; n < weight.outputs; ++n) out.row<T>(r)[n] += operands.product(n);
  }
}

template <class T>
void linear_swiglu(Matrix x, const Weight<T>& gate_up, Matrix out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const Operands<T> operands(x.row<T>(r), gate_up);
    for (int64_t n = 0; n < out.cols; ++n) {
      const T gate = operands.product(2 * n);
      const T up = operands.product(2 * n + 1);
      out.row<T>(r)[n] = silu(gate) * up;
    }
  }
}

template <class T>
void swiglu(Matrix gate_up, Matrix out) {
  for (int64_t r = 0; r < out.rows; ++r) {
    const T* const gate = gate_up.row<T>(r);
    const T* const up = gate + out.cols;
    for (int64_t n = 0; n < out.cols; ++n) out.row<T>(r)[n] = silu(gate[n]) * up[n];
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
template void swiglu<float>(Matrix, Matrix);
template void swiglu<double>(Matrix, Matrix);

}  // namespace tidar::ref
