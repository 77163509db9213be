#include "ops/host_matrix.h"
#include "ops/ref/verbs.h"

namespace tidar::ref {

template <class T>
std::unique_ptr<Weight<T>> pack(PackOrder order, std::span<const HostMatrix> parts, DType dtype) {
  auto weight = std::make_unique<Weight<T>>();
  weight->dtype = dtype;
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
      if (dtype != DType::bf16) continue;
      for (int64_t i = 0; i < weight->inputs; ++i) out[i] = round_to_bf16(out[i]);
    }
    first += order == PackOrder::interleaved ? 1 : part.rows;
  }
  return weight;
}

template std::unique_ptr<Weight<float>> pack(PackOrder, std::span<const HostMatrix>, DType);
template std::unique_ptr<Weight<double>> pack(PackOrder, std::span<const HostMatrix>, DType);

}  // namespace tidar::ref
