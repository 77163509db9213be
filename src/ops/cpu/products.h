#pragma once
// Which kernel multiplies with the weights of which format: the one place that chooses.

#include <array>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"

namespace tidar::cpu {

/// How products with weights of one format are computed.
struct Product {
  DType operand = DType::f32;  ///< Ops::operand
  LinearKernel* kernel = nullptr;
  bool takes_codes = false;    ///< LinearCall::codes
  bool needs_partial = false;  ///< LinearCall::partial
};

/// Of all formats: chosen when a backend is made, looked up with every product.
class Products {
 public:
  explicit Products(const CpuOptions& options);
  const Product& of(WeightFormat format) const { return products_[static_cast<size_t>(format)]; }
  /// Of operands with a matrix of their own type in the place of the weight.
  const Product& of_operands(DType operand) const { return of(plain_format(operand).value()); }

 private:
  std::array<Product, kWeightFormats.size()> products_;
};

}  // namespace tidar::cpu
