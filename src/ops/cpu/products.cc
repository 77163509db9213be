#include "ops/cpu/products.h"

namespace tidar::cpu {

namespace {

Product product_with(WeightFormat format, const CpuOptions& options) {
  const Kernels& kernels = kernels_for(options.isa);
  const bool narrow = options.precision == Precision::bf16 && kernels.linear_bf16_bf16 != nullptr;
  switch (format) {
    case WeightFormat::f32:
      return {DType::f32, kernels.linear_f32};
    case WeightFormat::bf16:
      return narrow ? Product{.operand = DType::bf16,
                              .kernel = kernels.linear_bf16_bf16,
                              .needs_partial = options.isa == Isa::amx}
                    : Product{DType::f32, kernels.linear_bf16};
    case WeightFormat::w8:
      return {DType::f32, kernels.linear_w8, true};
    case WeightFormat::w4:
      return {DType::f32, kernels.linear_w4, true};
  }
  return {};
}

}  // namespace

Products::Products(const CpuOptions& options) {
  for (const WeightFormatFacts& facts : kWeightFormats) {
    products_[static_cast<size_t>(facts.format)] = product_with(facts.format, options);
  }
}

}  // namespace tidar::cpu
