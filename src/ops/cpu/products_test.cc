#include "ops/cpu/products.h"

#include <gtest/gtest.h>

namespace tidar::cpu {
namespace {

constexpr Isa kIsas[] = {Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};

// Of every instruction set, those that this processor lacks included: nothing is computed.
TEST(Products, MultiplyF32WithF32) {
  for (const Isa isa : kIsas) {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      const Products products({isa, precision});
      const Product& product = products.of(WeightFormat::f32);
      EXPECT_EQ(product.operand, DType::f32) << name_of(isa);
      EXPECT_EQ(product.kernel, kernels_for(isa).linear_f32) << name_of(isa);
      EXPECT_FALSE(product.needs_partial) << name_of(isa);
      EXPECT_EQ(products.of_operands(DType::f32).kernel, product.kernel) << name_of(isa);
    }
  }
}

TEST(Products, MultiplyBf16WithBf16OnlyWhereThatIsWantedAndCanBeDone) {
  for (const Isa isa : kIsas) {
    const bool can = isa == Isa::avx512_bf16 || isa == Isa::amx;
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      const bool narrow = can && precision == Precision::bf16;
      const Kernels& kernels = kernels_for(isa);
      const Products products({isa, precision});
      const Product& product = products.of(WeightFormat::bf16);
      EXPECT_EQ(product.operand, narrow ? DType::bf16 : DType::f32) << name_of(isa);
      EXPECT_EQ(product.kernel, narrow ? kernels.linear_bf16_bf16 : kernels.linear_bf16)
          << name_of(isa);
      EXPECT_EQ(product.needs_partial, narrow && isa == Isa::amx) << name_of(isa);
    }
  }
}

TEST(Products, MultiplyCodesWithCodesThatTheyMakeOfFloats) {
  for (const Isa isa : kIsas) {
    const Products products({isa, Precision::bf16});
    for (const WeightFormat format : {WeightFormat::w8, WeightFormat::w4}) {
      EXPECT_EQ(products.of(format).operand, DType::f32) << name_of(isa);
      EXPECT_TRUE(products.of(format).takes_codes) << name_of(isa);
    }
    EXPECT_EQ(products.of(WeightFormat::w8).kernel, kernels_for(isa).linear_w8) << name_of(isa);
    EXPECT_EQ(products.of(WeightFormat::w4).kernel, kernels_for(isa).linear_w4) << name_of(isa);
    EXPECT_FALSE(products.of(WeightFormat::f32).takes_codes) << name_of(isa);
    EXPECT_FALSE(products.of(WeightFormat::bf16).takes_codes) << name_of(isa);
  }
}

}  // namespace
}  // namespace tidar::cpu
