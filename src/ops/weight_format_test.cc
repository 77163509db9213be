#include "ops/weight_format.h"

#include <gtest/gtest.h>

#include <vector>

#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

TEST(WeightFormat, TheTableIsInTheOrderOfTheEnumAndItsNamesAreDistinct) {
  for (size_t i = 0; i < kWeightFormats.size(); ++i) {
    const WeightFormatFacts& facts = kWeightFormats[i];
    EXPECT_EQ(static_cast<size_t>(facts.format), i);
    EXPECT_EQ(weight_format_named(facts.name), facts.format) << facts.name;
    if (facts.plain) {
      EXPECT_EQ(plain_format(*facts.plain), facts.format) << facts.name;
    }
    EXPECT_EQ(facts.group == 0, facts.scale_bits == 0) << facts.name;
  }
  EXPECT_EQ(weight_format_named("f16"), std::nullopt);
  EXPECT_EQ(weight_format_named(""), std::nullopt);
  EXPECT_EQ(plain_format(DType::f16), std::nullopt);
}

TEST(WeightFormat, PlainNumbersTakeTheBytesOfTheirTypeAndNoScales) {
  const WeightFormatFacts& f32 = facts_of(WeightFormat::f32);
  EXPECT_EQ(f32.plain, DType::f32);
  EXPECT_EQ(f32.bytes(3, 70), 3 * 70 * 4);
  EXPECT_EQ(f32.scales(70), 0);
  EXPECT_EQ(f32.scale_bytes(3, 70), 0);
  const WeightFormatFacts& bf16 = facts_of(WeightFormat::bf16);
  EXPECT_EQ(bf16.plain, DType::bf16);
  EXPECT_EQ(bf16.bytes(3, 70), 3 * 70 * 2);
  EXPECT_EQ(bf16.scale_bytes(3, 70), 0);
}

TEST(WeightFormat, CodesTakeTheirBitsAndHalfABitOfScale) {
  EXPECT_EQ(facts_of(WeightFormat::w8).bytes(3, 64), 3 * (64 + 2 * 2));
  EXPECT_EQ(facts_of(WeightFormat::w4).bytes(3, 64), 3 * (32 + 2 * 2));
  EXPECT_EQ(facts_of(WeightFormat::w8).zero_code(), 128);
  EXPECT_EQ(facts_of(WeightFormat::w4).zero_code(), 8);
}

TEST(WeightFormat, GroupsOfARowShareScales) {
  constexpr WeightFormatFacts kFour = {
      .format = {}, .name = "made up", .element_bits = 4, .group = 32, .scale_bits = 16};
  EXPECT_EQ(kFour.scales(64), 2);
  EXPECT_EQ(kFour.element_bytes(5, 64), 5 * 32);
  EXPECT_EQ(kFour.scale_bytes(5, 64), 5 * 2 * 2);
  EXPECT_EQ(kFour.bytes(5, 64), 5 * 36);  // 4.5 bits an element
  // Six elements behind the second group have a scale of their own.
  EXPECT_EQ(kFour.scales(70), 3);
  EXPECT_EQ(kFour.element_bytes(5, 70), 5 * 35);
  EXPECT_EQ(kFour.scale_bytes(5, 70), 5 * 3 * 2);
  // Each row begins at a byte.
  EXPECT_EQ(kFour.element_bytes(5, 71), 5 * 36);
  EXPECT_EQ(kFour.bytes(0, 71), 0);
  // Scales of less than a byte.
  constexpr WeightFormatFacts kTwo = {
      .format = {}, .name = "made up", .element_bits = 2, .group = 16, .scale_bits = 4};
  EXPECT_EQ(kTwo.scale_bytes(5, 48), 5 * 2);
  EXPECT_EQ(kTwo.bytes(5, 48), 5 * (12 + 2));
}

// The check is that of every backend.
TEST(WeightFormatDeathTest, PackingTakesAsManyScalesAsTheFormatHas) {
  const auto ops = make_ref_ops(DType::f32);
  const std::vector<float> numbers(6, 1.0f);
  const HostMatrix plain = {reinterpret_cast<const std::byte*>(numbers.data()), DType::f32, 2, 3};
  for (const WeightFormatFacts& facts : kWeightFormats) {
    const auto packed = ops->pack(PackOrder::stacked, {&plain, 1}, facts.format);
    EXPECT_EQ(packed->format, facts.format) << facts.name;
    // As the reference keeps them, whatever the format: floats.
    EXPECT_EQ(packed->bytes, 2 * (3 + facts.scales(3)) * 4) << facts.name;
  }
  HostMatrix scaled = plain;
  scaled.scales = {plain.data, 4};
  EXPECT_DEATH(ops->pack(PackOrder::stacked, {&scaled, 1}, WeightFormat::bf16), "scale_bytes");
}

}  // namespace
}  // namespace tidar
