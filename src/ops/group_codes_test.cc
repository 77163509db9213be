#include "ops/group_codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/half.h"
#include "base/rng.h"
#include "ops/backends_testing.h"
#include "ops/wrap/grid.h"

namespace tidar {
namespace {

constexpr WeightFormat kScaled[] = {WeightFormat::w8, WeightFormat::w4};

float kept(WeightFormat format, const WeightGroup& group, size_t i) {
  return static_cast<float>(group.scale) *
         static_cast<float>(group.codes[i] - facts_of(format).zero_code());
}

double squares_lost(WeightFormat format, std::span<const float> numbers, const WeightGroup& group) {
  double lost = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double difference = double{numbers[i]} - kept(format, group, i);
    lost += difference * difference;
  }
  return lost;
}

std::vector<float> normal_numbers(Rng& rng, size_t count, float size) {
  std::vector<float> numbers(count);
  for (float& number : numbers) number = size * rng.normal();
  return numbers;
}

TEST(NearestWeights, InEightBitsAreWithinHalfAStep) {
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    const auto numbers = normal_numbers(rng, 1 + static_cast<size_t>(rng.below(kGroup)), 0.1f);
    const WeightGroup group = nearest_weights(WeightFormat::w8, numbers);
    const auto scale = static_cast<float>(group.scale);
    for (size_t k = 0; k < numbers.size(); ++k) {
      // The scale is rounded to 11 bits: what is largest may be cut by so much.
      const float allowed = scale / 2 + 0x1p-11f * std::abs(numbers[k]) + 0x1p-20f * scale;
      EXPECT_LE(std::abs(kept(WeightFormat::w8, group, k) - numbers[k]), allowed);
    }
    for (size_t k = numbers.size(); k < kGroup; ++k) EXPECT_EQ(group.codes[k], 128);
  }
}

// The plain way, for which the largest number is -8 steps.
double squares_lost_by_rounding(std::span<const float> numbers) {
  float most = 0;
  for (const float number : numbers) {
    if (std::abs(number) > std::abs(most)) most = number;
  }
  const auto scale = static_cast<float>(nearest_half(-most / 8));
  double lost = 0;
  for (const float number : numbers) {
    const double code = std::min(7.0, std::max(-8.0, std::nearbyint(double{number} / scale)));
    lost += (number - code * scale) * (number - code * scale);
  }
  return lost;
}

TEST(NearestWeights, InFourBitsLoseLessThanRoundingByTheLargest) {
  Rng rng(2);
  double lost = 0, by_rounding = 0;
  for (int i = 0; i < 4000; ++i) {
    const auto numbers = normal_numbers(rng, 1 + static_cast<size_t>(rng.below(kGroup)), 0.05f);
    const double here =
        squares_lost(WeightFormat::w4, numbers, nearest_weights(WeightFormat::w4, numbers));
    const double plain = squares_lost_by_rounding(numbers);
    double squares = 0;
    for (const float number : numbers) squares += double{number} * number;
    // Never more, but for what rounding the scale to 11 bits does.
    EXPECT_LE(here, plain + 0x1p-9 * std::sqrt(squares * plain) + 0x1p-20 * squares);
    lost += here;
    by_rounding += plain;
  }
  EXPECT_LT(lost, 0.92 * by_rounding);
}

TEST(NearestWeights, KeepWhatWasDecodedFromSuchCodes) {
  Rng rng(3);
  for (int i = 0; i < 4000; ++i) {
    // Any scale of f16 that is no subnormal, of both signs.
    const Half scale = nearest_half(std::ldexp(1 + rng.uniform(), rng.below(24) - 13) *
                                    (rng.below(2) == 0 ? 1.0f : -1.0f));
    for (const WeightFormat format : kScaled) {
      const int zero = facts_of(format).zero_code();
      const int most = format == WeightFormat::w8 ? 127 : 4 + rng.below(5);
      std::vector<float> numbers(kGroup);
      for (float& number : numbers) {
        const int code = rng.below(2 * most) - most;
        number = static_cast<float>(std::min(code, zero - 1)) * static_cast<float>(scale);
      }
      numbers[static_cast<size_t>(rng.below(kGroup))] =
          static_cast<float>(-most) * static_cast<float>(scale);
      const WeightGroup group = nearest_weights(format, numbers);
      for (size_t k = 0; k < kGroup; ++k) {
        ASSERT_EQ(kept(format, group, k), numbers[k])
            << name_of(format) << " " << i << " " << k << " scale " << static_cast<float>(scale);
      }
    }
  }
}

TEST(NearestWeights, OfNumbersThatHaveNoScale) {
  for (const WeightFormat format : kScaled) {
    const auto zero = static_cast<uint8_t>(facts_of(format).zero_code());
    for (const float nothing : {0.0f, -0.0f, 1e-30f}) {
      const WeightGroup group = nearest_weights(format, std::vector<float>(kGroup, nothing));
      for (size_t i = 0; i < kGroup; ++i) EXPECT_EQ(group.codes[i], zero);
      EXPECT_EQ(static_cast<float>(group.scale), 0);
    }
    const WeightGroup huge = nearest_weights(format, std::vector<float>{1e30f, -1e30f});
    EXPECT_EQ(std::abs(static_cast<float>(huge.scale)), 65504);
    EXPECT_EQ(kept(format, huge, 0) > 0, true);
    EXPECT_EQ(kept(format, huge, 1) < 0, true);
    for (const float wrong :
         {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      const WeightGroup group = nearest_weights(format, std::vector<float>{1, wrong, 2});
      EXPECT_TRUE(std::isnan(static_cast<float>(group.scale)));
    }
  }
}

TEST(NearestOperands, AreWithinHalfAStepAndTiesAreEven) {
  Rng rng(4);
  for (int i = 0; i < 2000; ++i) {
    const auto numbers = normal_numbers(rng, 1 + static_cast<size_t>(rng.below(kGroup)), 3);
    const OperandGroup group = nearest_operands(numbers);
    int most = 0;
    for (size_t k = 0; k < kGroup; ++k) {
      const float number = k < numbers.size() ? numbers[k] : 0;
      const double step = group.scale;
      EXPECT_LE(std::abs(number - step * group.codes[k]), step * (0.5 + 0x1p-15));
      most = std::max(most, std::abs(int{group.codes[k]}));
    }
    EXPECT_EQ(most, 127);
  }
  const OperandGroup ties =
      nearest_operands(std::vector<float>{127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f});
  EXPECT_EQ(ties.scale, 1);
  const int expected[] = {127, 0, 2, 2, 0, -2};
  for (size_t k = 0; k < std::size(expected); ++k) EXPECT_EQ(ties.codes[k], expected[k]);
}

TEST(NearestCodes, OfRowsOfAnyLengthShareOneScale) {
  Rng rng(5);
  for (int i = 0; i < 500; ++i) {
    const auto numbers = normal_numbers(rng, 1 + static_cast<size_t>(rng.below(300)), 3);
    std::vector<int8_t> codes(numbers.size(), 99);
    const double step = nearest_codes(numbers, codes);
    double most = 0;
    for (const float number : numbers) most = std::max(most, std::abs(double{number}));
    EXPECT_EQ(step, static_cast<float>(most) / 127);
    for (size_t k = 0; k < codes.size(); ++k) {
      EXPECT_LE(std::abs(numbers[k] - step * codes[k]), step * (0.5 + 0x1p-15));
    }
  }
}

TEST(NearestOperands, OfNumbersThatHaveNoScale) {
  for (const float small : {0.0f, kLeastOperand / 2}) {
    const OperandGroup group = nearest_operands(std::vector<float>{small, -small});
    EXPECT_EQ(group.scale, 0);
    EXPECT_EQ(group.codes[0], 0);
  }
  EXPECT_EQ(nearest_operands(std::vector<float>{kLeastOperand}).codes[0], 127);
  const OperandGroup wrong = nearest_operands(std::vector<float>{1, NAN, 2});
  EXPECT_TRUE(std::isnan(wrong.scale));
  EXPECT_EQ(wrong.codes[0], 0);
}

/// The rows of a matrix as a backend has packed them.
Grid packed_rows(Ops& ops, const HostMatrix& matrix, WeightFormat format) {
  const auto packed = ops.pack(PackOrder::stacked, {&matrix, 1}, format);
  Pass pass;
  pass.begin_sequence();
  for (int32_t row = 0; row < matrix.rows; ++row)
    pass.add_row(row, 0, {{row, row + 1}, {}}, Keep::scratch);
  std::unique_ptr<PreparedPass> prepared;
  ops.prepare(pass, nullptr, prepared);
  const auto memory = ops.allocate(matrix.rows * matrix.cols * 8);
  const Matrix rows(memory->data, ops.activation(), matrix.rows, matrix.cols);
  ops.embed(*prepared, *packed, rows);
  Grid found(ops.activation(), matrix.rows, matrix.cols);
  ops.read(rows, found);
  return found;
}

// What a file holds in a format of ours is packed as it is.
class StoredCodes : public testing::TestWithParam<TestedBackend> {};

TEST_P(StoredCodes, ArePackedAsTheyAre) {
  Rng rng(5);
  constexpr int kRows = 21;
  for (const WeightFormat format : kScaled) {
    const WeightFormatFacts& facts = facts_of(format);
    for (const int64_t cols : {32, 70, 33}) {
      std::vector<uint8_t> codes(static_cast<size_t>(facts.element_bytes(kRows, cols)));
      for (uint8_t& byte : codes) byte = static_cast<uint8_t>(rng.below(256));
      std::vector<Half> scales;
      for (int64_t i = 0; i < kRows * facts.scales(cols); ++i)
        scales.push_back(nearest_half(0.1f * rng.normal()));
      HostMatrix matrix = {reinterpret_cast<const std::byte*>(codes.data()), DType::f32, kRows,
                           cols};
      matrix.scales = std::as_bytes(std::span(scales));

      Threads threads(2);
      const auto ops = GetParam().make(threads);
      const Grid found = packed_rows(*ops, matrix, format);
      for (int64_t r = 0; r < kRows; ++r) {
        for (int64_t k = 0; k < cols; ++k) {
          const uint8_t byte = codes[static_cast<size_t>(r * facts.element_bytes(1, cols) +
                                                         k * facts.element_bits / 8)];
          const int code = format == WeightFormat::w8 ? byte : (k % 2 == 0 ? byte & 15 : byte >> 4);
          const auto scale =
              static_cast<float>(scales[static_cast<size_t>(r * facts.scales(cols) + k / kGroup)]);
          ASSERT_EQ(element(found, r, k), scale * static_cast<float>(code - facts.zero_code()))
              << name_of(format) << " row " << r << " column " << k;
        }
      }
    }
  }
}

/// Rows of a matrix that stands elsewhere.
class RowsOf final : public MadeRows {
 public:
  RowsOf(const std::vector<float>& numbers, int64_t cols) : numbers_(numbers), cols_(cols) {}
  void read(int64_t row, std::span<float> out) const override {
    std::copy_n(numbers_.begin() + row * cols_, cols_, out.begin());
  }

 private:
  const std::vector<float>& numbers_;
  int64_t cols_;
};

TEST_P(StoredCodes, RowsThatAreMadeArePackedAsNumbersAre) {
  Rng rng(6);
  constexpr int64_t kRows = 19, kCols = 70;
  std::vector<float> numbers;
  for (int64_t i = 0; i < kRows * kCols; ++i) numbers.push_back(rng.normal());
  const RowsOf rows(numbers, kCols);
  const HostMatrix plain = {reinterpret_cast<const std::byte*>(numbers.data()), DType::f32, kRows,
                            kCols};
  const HostMatrix made = {.rows = kRows, .cols = kCols, .made = &rows};
  for (const WeightFormatFacts& facts : kWeightFormats) {
    Threads threads(2);
    const auto ops = GetParam().make(threads);
    const Grid expected = packed_rows(*ops, plain, facts.format);
    const Grid found = packed_rows(*ops, made, facts.format);
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t k = 0; k < kCols; ++k) {
        ASSERT_EQ(element(found, r, k), element(expected, r, k)) << facts.name << " row " << r;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, StoredCodes, testing::ValuesIn(tested_backends()),
                         name_of_backend);

}  // namespace
}  // namespace tidar
