#include "train/dynamic_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"

namespace tidar {

namespace {

constexpr int kDecades = 7;
constexpr int kZeroOfSigned = 127;  // the code of 0 where there are negative values

/// The values that are not negative, ascending.
std::vector<double> levels_of(CodeSign sign) {
  std::vector<double> levels = {0};
  for (int decade = 0; decade < kDecades; ++decade) {
    const int bins = 1 << (decade + (sign == CodeSign::positive ? 1 : 0));
    const double top = std::pow(10.0, decade - (kDecades - 1));
    for (int bin = 0; bin < bins; ++bin) levels.push_back(top * (0.1 + 0.9 * (bin + 0.5) / bins));
  }
  levels.push_back(1);
  return levels;
}

}  // namespace

DynamicCodes::DynamicCodes(CodeSign sign) : sign_(sign) {
  const std::vector<double> levels = levels_of(sign);
  TIDAR_CHECK_EQ(levels.size(), sign == CodeSign::positive ? 256u : 129u);
  set_levels(levels);
  const size_t zero = sign == CodeSign::positive ? 0 : kZeroOfSigned;
  for (size_t i = 0; i < levels.size(); ++i) values_[zero + i] = static_cast<float>(levels[i]);
  for (size_t i = 0; i < zero; ++i) values_[i] = -values_[2 * zero - i];
}

void DynamicCodes::set_levels(std::span<const double> levels) {
  borders_.fill(std::numeric_limits<float>::infinity());
  for (size_t i = 0; i + 1 < levels.size(); ++i) {
    borders_[i] = static_cast<float>((levels[i] + levels[i + 1]) / 2);
  }
  for (size_t i = 0, level = 0; i < levels_of_grid_.size(); ++i) {
    const auto point = static_cast<uint32_t>(i + (size_t{127 - kOctaves} << kFractionBits));
    const float magnitude = std::bit_cast<float>(point << (23 - kFractionBits));
    while (magnitude > borders_[level]) ++level;
    levels_of_grid_[i] = static_cast<uint8_t>(level);
  }
}

inline int DynamicCodes::level_of(float magnitude) const {
  const auto point = static_cast<int>(std::bit_cast<uint32_t>(magnitude) >> (23 - kFractionBits)) -
                     ((127 - kOctaves) << kFractionBits);
  const int below = levels_of_grid_[static_cast<size_t>(std::max(point, 0))];
  return below + (magnitude > borders_[static_cast<size_t>(below)] ? 1 : 0);
}

float DynamicCodes::encode(std::span<const float> numbers, uint8_t* codes) const {
  float scale = 0;
  for (const float number : numbers) scale = std::max(scale, std::abs(number));
  const float divisor = scale > 0 ? scale : 1;
  if (sign_ == CodeSign::positive) {
    for (size_t i = 0; i < numbers.size(); ++i) {
      const int level = level_of(numbers[i] / divisor);
      codes[i] = static_cast<uint8_t>(std::max(level, numbers[i] > 0 ? 1 : 0));
    }
    return scale;
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    const int level = level_of(std::abs(numbers[i]) / divisor);
    const int code =
        numbers[i] < 0 ? kZeroOfSigned - std::min(level, kZeroOfSigned) : kZeroOfSigned + level;
    codes[i] = static_cast<uint8_t>(code);
  }
  return scale;
}

void DynamicCodes::decode(const uint8_t* codes, float scale, std::span<float> numbers) const {
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = values_[codes[i]] * scale;
}

}  // namespace tidar
