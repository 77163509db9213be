#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tidar {
namespace {

// Every half is its own nearest, and between neighbours the border is in the middle, where the even
// one wins.
TEST(NearestHalf, RoundsToNearestEven) {
  for (uint16_t bits = 0; bits < 0x7c00; ++bits) {
    const auto above = static_cast<uint16_t>(bits + 1);
    const auto value = static_cast<float>(std::bit_cast<Half>(bits));
    const float next = bits == 0x7bff ? 65536.0f : static_cast<float>(std::bit_cast<Half>(above));
    const float middle = value + (next - value) / 2;  // exact: a float has 13 bits more
    EXPECT_EQ(nearest_half(value).bits, bits);
    EXPECT_EQ(nearest_half(-value).bits, bits | 0x8000);
    EXPECT_EQ(nearest_half(std::nextafter(middle, 0.0f)).bits, bits) << std::hex << bits;
    EXPECT_EQ(nearest_half(std::nextafter(middle, 1e9f)).bits, above) << std::hex << bits;
    EXPECT_EQ(nearest_half(middle).bits, bits % 2 == 0 ? bits : above) << std::hex << bits;
  }
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(static_cast<float>(nearest_half(kInfinity)), kInfinity);
  EXPECT_EQ(static_cast<float>(nearest_half(-3e38f)), -kInfinity);
  EXPECT_TRUE(
      std::isnan(static_cast<float>(nearest_half(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace tidar
