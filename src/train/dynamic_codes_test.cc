#include "train/dynamic_codes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

constexpr CodeSign kSigns[] = {CodeSign::either, CodeSign::positive};

/// The map as the paper's authors describe it, by its bits: a sign where there is one, as many
/// zeros as the decade lies below the highest, a one, and the bin in what bits are left.
std::set<double> values_by_bits(CodeSign sign) {
  const int bits = sign == CodeSign::either ? 7 : 8;
  std::set<double> values = {0, 1};
  for (int zeros = 0; zeros < 7; ++zeros) {
    const int bins = 1 << (bits - 1 - zeros);
    for (int bin = 0; bin < bins; ++bin) {
      const double from = 0.1 + 0.9 * bin / bins, to = 0.1 + 0.9 * (bin + 1) / bins;
      const double value = std::pow(10, -zeros) * (from + to) / 2;
      values.insert(value);
      if (sign == CodeSign::either) values.insert(-value);
    }
  }
  return values;
}

/// The value nearest to x, looked for among all.
double nearest(const std::set<double>& values, double x) {
  double best = 0;
  for (const double value : values) {
    if (std::abs(value - x) < std::abs(best - x)) best = value;
  }
  return best;
}

std::vector<float> some_numbers(Rng& rng, CodeSign sign, size_t count) {
  std::vector<float> numbers(count);
  for (float& number : numbers) {
    number = rng.normal() * std::pow(10.0f, -9.0f * rng.uniform());
    if (rng.below(20) == 0) number = 0;
    if (sign == CodeSign::positive) number = std::abs(number);
  }
  return numbers;
}

TEST(DynamicCodes, ValuesAreThoseOfThePaper) {
  for (const CodeSign sign : kSigns) {
    const std::set<double> expected = values_by_bits(sign);
    ASSERT_EQ(expected.size(), 256u);
    const DynamicCodes codes(sign);
    size_t code = 0;
    for (const double value : expected) {
      EXPECT_FLOAT_EQ(codes.values()[code++], static_cast<float>(value));
    }
  }
}

TEST(DynamicCodes, EveryNumberBecomesTheNearestValue) {
  Rng rng(1);
  for (const CodeSign sign : kSigns) {
    const std::set<double> values = values_by_bits(sign);
    const DynamicCodes codes(sign);
    for (int round = 0; round < 200; ++round) {
      const size_t count = 1 + rng.below(kMomentBlock);
      std::vector<float> numbers = some_numbers(rng, sign, count), found(count);
      const float unit = std::pow(10.0f, 20 * rng.uniform() - 15);
      for (float& number : numbers) number *= unit;
      std::vector<uint8_t> bytes(count);
      const float scale = codes.encode(numbers, bytes.data());
      codes.decode(bytes.data(), scale, found);
      float largest = 0;
      for (const float number : numbers) largest = std::max(largest, std::abs(number));
      ASSERT_EQ(scale, largest);
      for (size_t i = 0; i < count; ++i) {
        const double x = largest > 0 ? double{numbers[i]} / double{largest} : 0;
        double expected = nearest(values, x);
        // What is not 0 stays so where there is no sign.
        if (sign == CodeSign::positive && x > 0 && expected == 0) expected = *values.upper_bound(0);
        const double reached = largest > 0 ? double{found[i]} / double{largest} : 0;
        // Numbers as near to a border as float32 may fall on either side.
        const double slack = 4 * 0x1p-24 * (std::abs(x) + std::abs(reached));
        ASSERT_LE(std::abs(reached - x), std::abs(expected - x) + slack) << x;
        ASSERT_EQ(found[i] == 0, expected == 0) << x;
      }
    }
  }
}

// Half of the widest bin, near the block's largest; and in proportion in each decade below.
TEST(DynamicCodes, ErrorsAreBoundedByTheBlock) {
  Rng rng(2);
  for (const CodeSign sign : kSigns) {
    const DynamicCodes codes(sign);
    const double bins = sign == CodeSign::either ? 64 : 128;
    for (int round = 0; round < 200; ++round) {
      std::vector<float> numbers = some_numbers(rng, sign, kMomentBlock), found(kMomentBlock);
      std::vector<uint8_t> bytes(kMomentBlock);
      const float scale = codes.encode(numbers, bytes.data());
      codes.decode(bytes.data(), scale, found);
      for (size_t i = 0; i < numbers.size(); ++i) {
        const double error = std::abs(double{found[i]} - double{numbers[i]});
        ASSERT_LE(error, 0.9 / bins / 2 * 1.0001 * double{scale});
        const double share = std::abs(double{numbers[i]}) / double{scale};
        const int decade = static_cast<int>(-std::log10(std::max(share, 1e-7)));
        const double width = 0.9 * std::pow(10, -decade) / (bins / (1 << decade));
        if (share > 1e-6) {
          ASSERT_LE(error, width / 2 * 1.01 * double{scale}) << share;
        }
      }
    }
  }
}

TEST(DynamicCodes, ZerosAndTheLargestAreExact) {
  for (const CodeSign sign : kSigns) {
    const DynamicCodes codes(sign);
    std::vector<float> numbers(kMomentBlock), found(kMomentBlock, 1.0f);
    std::vector<uint8_t> bytes(kMomentBlock);
    EXPECT_EQ(codes.encode(numbers, bytes.data()), 0);
    codes.decode(bytes.data(), 0, found);
    EXPECT_EQ(found, numbers);
    numbers[7] = 3e-39f;  // smaller than any normal number
    const float scale = codes.encode(numbers, bytes.data());
    codes.decode(bytes.data(), scale, found);
    EXPECT_EQ(found, numbers);
  }
}

}  // namespace
}  // namespace tidar
