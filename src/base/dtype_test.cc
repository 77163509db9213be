#include "base/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/rng.h"

namespace tidar {
namespace {

// The number that finite bfloat16 bits stand for, by the definition of the format. The bits of
// infinity stand for 2^128 here: rounding to nearest overflows exactly where that is nearer.
double value_of_bfloat16(uint16_t bits) {
  const int exponent = (bits >> 7) & 0xff;
  const double mantissa = bits & 0x7f;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -133) : std::ldexp(1 + mantissa / 128, exponent - 127);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// Round to nearest, ties to even, by trying both neighbours of a value that is not NaN.
uint16_t nearest_bfloat16(float value) {
  const auto lower = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  if (std::isinf(value)) return lower;
  const auto upper = static_cast<uint16_t>(lower + 1);  // one step away from zero
  const double to_lower = std::abs(value - value_of_bfloat16(lower));
  const double to_upper = std::abs(value - value_of_bfloat16(upper));
  if (to_lower != to_upper) return to_lower < to_upper ? lower : upper;
  return lower % 2 == 0 ? lower : upper;
}

void expect_rounds_to_nearest(uint32_t bits) {
  const auto value = std::bit_cast<float>(bits);
  if (std::isnan(value)) {
    EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(value)))) << std::hex << bits;
  } else {
    EXPECT_EQ(BFloat16(value).bits, nearest_bfloat16(value)) << std::hex << bits;
  }
}

TEST(BFloat16, RoundsEveryBorderToNearestEven) {
  for (uint32_t high = 0; high < 0x10000; ++high) {
    for (const uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      expect_rounds_to_nearest(high << 16 | low);
    }
  }
}

TEST(BFloat16, RoundsRandomNumbersToNearestEven) {
  Rng rng(1);
  for (int i = 0; i < 200000; ++i) expect_rounds_to_nearest(rng.bits());
}

TEST(BFloat16, OverflowsOnlyFromHalfAStepAboveTheLargest) {
  const float largest = 0x1.fep127f;
  EXPECT_EQ(static_cast<float>(BFloat16(largest)), largest);
  EXPECT_EQ(static_cast<float>(BFloat16(0x1.fefffep127f)), largest);
  EXPECT_EQ(static_cast<float>(BFloat16(0x1.ffp127f)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(static_cast<float>(BFloat16(-0x1.ffp127f)), -std::numeric_limits<float>::infinity());
}

TEST(BFloat16, EveryValueSurvivesThereAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    BFloat16 value;
    value.bits = static_cast<uint16_t>(bits);
    const auto wide = static_cast<float>(value);
    if (std::isnan(wide)) continue;
    EXPECT_EQ(BFloat16(wide).bits, bits);
  }
}

TEST(Half, EveryValueIsWhatIeeeSays) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto found = static_cast<float>(Half{static_cast<uint16_t>(bits)});
    const uint32_t exponent = (bits >> 10) & 0x1f;
    const uint32_t mantissa = bits & 0x3ff;
    EXPECT_EQ(std::signbit(found), bits >= 0x8000) << std::hex << bits;
    if (exponent == 31) {
      EXPECT_EQ(std::isinf(found), mantissa == 0) << std::hex << bits;
      EXPECT_EQ(std::isnan(found), mantissa != 0) << std::hex << bits;
      continue;
    }
    const double expected = exponent == 0
                                ? mantissa / std::pow(2.0, 24)
                                : (1 + mantissa / 1024.0) * std::pow(2.0, int(exponent) - 15);
    EXPECT_EQ(std::abs(found), expected) << std::hex << bits;
  }
}

TEST(Float8E4M3, EveryValueIsWhatItsBitsSay) {
  for (int bits = 0; bits < 256; ++bits) {
    const auto found = static_cast<float>(Float8E4M3{static_cast<uint8_t>(bits)});
    const int exponent = bits >> 3 & 15, mantissa = bits & 7;
    EXPECT_EQ(std::signbit(found), bits >= 128) << bits;
    if (exponent == 15 && mantissa == 7) {
      EXPECT_TRUE(std::isnan(found)) << bits;
      continue;
    }
    const double expected =
        exponent == 0 ? mantissa / 512.0 : (1 + mantissa / 8.0) * std::pow(2.0, exponent - 7);
    EXPECT_EQ(std::abs(found), expected) << bits;
  }
}

TEST(DType, SizesMatchTheTypes) {
  EXPECT_EQ(size_of(DTypeOf<float>::value), sizeof(float));
  EXPECT_EQ(size_of(DTypeOf<double>::value), sizeof(double));
  EXPECT_EQ(size_of(DTypeOf<BFloat16>::value), sizeof(BFloat16));
  EXPECT_EQ(size_of(DType::f16), sizeof(Half));
  EXPECT_EQ(size_of(DType::i64), sizeof(int64_t));
  EXPECT_EQ(size_of(DType::i8), sizeof(int8_t));
  EXPECT_EQ(size_of(DType::f8_e4m3), sizeof(Float8E4M3));
}

TEST(DType, EpsilonIsTheStepAboveOne) {
  EXPECT_EQ(epsilon_of(DType::f32), std::numeric_limits<float>::epsilon());
  EXPECT_EQ(epsilon_of(DType::f64), std::numeric_limits<double>::epsilon());
  BFloat16 above_one(1.0f);
  ++above_one.bits;
  EXPECT_EQ(epsilon_of(DType::bf16), static_cast<float>(above_one) - 1);
  EXPECT_EQ(epsilon_of(DType::f16), static_cast<float>(Half{0x3c01}) - 1);
}

}  // namespace
}  // namespace tidar
