#include "ops/group_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/half.h"
#include "ops/host_matrix.h"

namespace tidar {

namespace {

using Numbers = std::array<float, kGroup>;

// To nearest even, for magnitudes below 2^22: what the addition cannot hold is rounded away. Loops
// of it become vectors, unlike those of nearbyint().
constexpr float kRounder = 0x1.8p23f;
float nearest_whole(float value) { return (value + kRounder) - kRounder; }

// Of a product, in a fixed order that vectors can follow.
float sum_of(const Numbers& a, const Numbers& b) {
  constexpr size_t kLanes = 8;
  std::array<float, kLanes> sums{};
  for (size_t i = 0; i < kGroup; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (const float part : sums) sum += part;
  return sum;
}

// The whole numbers from least to most that are nearest to x * factor.
void whole_numbers(const Numbers& x, float factor, float least, float most, Numbers& whole) {
  for (size_t i = 0; i < kGroup; ++i) {
    whole[i] = std::min(most, std::max(least, nearest_whole(x[i] * factor)));
  }
}

// The element that is largest in magnitude, with its sign; NaN where one is not finite.
template <class Row>
float largest(const Row& x) {
  float most = 0, zero = 0;
  for (const float value : x) {
    if (std::abs(value) > std::abs(most)) most = value;
    zero += value * 0;
  }
  return zero == 0 ? most : std::numeric_limits<float>::quiet_NaN();
}

// Scales by which the largest number of a group becomes -n, before least squares. On normal numbers
// those from 7 to 9 lose 10 % less than 8 alone, which is what Q4_0 does, and steps of 0.1 from 4
// to 13 would lose 1 % less than they. 4 to 6 are for numbers that were codes before.
constexpr float kTried[] = {8, 7, 7.5f, 8.5f, 9, 6, 5, 4};

// The scale in four bits for which least is lost: sum of squares less (x q)² / q².
float best_scale(const Numbers& x, float most) {
  Numbers whole;
  float best_kept = 0, scale = 0;
  for (const float tried : kTried) {
    whole_numbers(x, -tried / most, -8, 7, whole);
    const float squares = sum_of(whole, whole), product = sum_of(x, whole);
    const float kept = product / squares * product;
    if (kept > best_kept) {
      best_kept = kept;
      scale = product / squares;
    }
  }
  return scale;
}

Half half_scale(float scale) {
  constexpr float kLargest = 65504;
  return nearest_half(std::min(kLargest, std::max(-kLargest, scale)));
}

}  // namespace

WeightGroup nearest_weights(WeightFormat format, std::span<const float> numbers) {
  const int zero = facts_of(format).zero_code();
  TIDAR_CHECK(facts_of(format).group == kGroup && numbers.size() <= kGroup);
  WeightGroup group;
  group.codes.fill(static_cast<uint8_t>(zero));
  Numbers x{};
  std::copy(numbers.begin(), numbers.end(), x.begin());
  const float most = largest(x);
  if (std::isnan(most)) {
    group.scale = nearest_half(most);
    return group;
  }
  // Where the smallest scale of f16 is too large by far, nothing is left.
  constexpr float kLeast = 0x1p-26f;
  if (std::abs(most) < kLeast) return group;
  group.scale = half_scale(zero == 8 ? best_scale(x, most) : std::abs(most) / 127);
  const auto scale = static_cast<float>(group.scale);
  if (scale == 0) return group;
  Numbers whole;
  const float least = zero == 8 ? -8 : -127;
  whole_numbers(x, 1 / scale, least, static_cast<float>(zero - 1), whole);
  for (size_t i = 0; i < kGroup; ++i) {
    group.codes[i] = static_cast<uint8_t>(static_cast<int>(whole[i]) + zero);
  }
  return group;
}

namespace {

WeightGroup stored_weights(WeightFormat format, const HostMatrix& matrix, int64_t row,
                           int64_t group) {
  const WeightFormatFacts& facts = facts_of(format);
  WeightGroup stored;
  const auto at = static_cast<size_t>(row * facts.scales(matrix.cols) + group);
  std::memcpy(&stored.scale, matrix.scales.data() + at * sizeof(Half), sizeof(Half));
  const auto* const codes =
      reinterpret_cast<const uint8_t*>(matrix.data) + row * facts.element_bytes(1, matrix.cols);
  const int per_byte = 8 / facts.element_bits;
  const int mask = (1 << facts.element_bits) - 1;
  stored.codes.fill(static_cast<uint8_t>(facts.zero_code()));
  const int64_t first = group * kGroup, end = std::min(first + kGroup, matrix.cols);
  for (int64_t i = first; i < end; ++i) {
    const int shift = static_cast<int>(i % per_byte) * facts.element_bits;
    stored.codes[static_cast<size_t>(i - first)] =
        static_cast<uint8_t>(codes[i / per_byte] >> shift & mask);
  }
  return stored;
}

}  // namespace

WeightRow::WeightRow(WeightFormat format, const HostMatrix& matrix, int64_t row)
    : format_(format), matrix_(matrix), row_(row) {
  if (!matrix.scales.empty()) return;
  numbers_.resize(static_cast<size_t>(matrix.cols));
  read_row(matrix, row, numbers_.data());
}

WeightGroup WeightRow::group(int64_t g) const {
  if (numbers_.empty()) return stored_weights(format_, matrix_, row_, g);
  const auto first = static_cast<size_t>(g) * kGroup;
  const size_t count = std::min<size_t>(kGroup, numbers_.size() - first);
  return nearest_weights(format_, std::span(numbers_).subspan(first, count));
}

float nearest_codes(std::span<const float> numbers, std::span<int8_t> codes) {
  TIDAR_CHECK_EQ(numbers.size(), codes.size());
  std::fill(codes.begin(), codes.end(), int8_t{0});
  const float most = std::abs(largest(numbers));
  if (std::isnan(most)) return most;
  if (most < kLeastOperand) return 0;
  const float factor = 127 / most;
  for (size_t i = 0; i < numbers.size(); ++i) {
    codes[i] = static_cast<int8_t>(nearest_whole(numbers[i] * factor));
  }
  return most / 127;
}

OperandGroup nearest_operands(std::span<const float> numbers) {
  TIDAR_CHECK_LE(numbers.size(), size_t{kGroup});
  OperandGroup group;
  group.scale = nearest_codes(numbers, std::span(group.codes).first(numbers.size()));
  return group;
}

void read_kept(const HostMatrix& matrix, int64_t row, WeightFormat format, std::span<float> out) {
  const int zero = facts_of(format).zero_code();
  const WeightRow groups(format, matrix, row);
  for (int64_t g = 0; g < groups_of(matrix.cols); ++g) {
    const WeightGroup group = groups.group(g);
    const auto first = static_cast<size_t>(g) * kGroup;
    for (size_t i = 0; i < std::min<size_t>(kGroup, out.size() - first); ++i) {
      out[first + i] = static_cast<float>(group.scale) * static_cast<float>(group.codes[i] - zero);
    }
  }
}

}  // namespace tidar
