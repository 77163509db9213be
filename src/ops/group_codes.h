#pragma once
// Numbers as whole-number codes and scales that groups of kGroup neighbours in a row share: what
// formats with scales keep (weight_format.h), and what operands become where they meet such
// weights.
//
// A product with them is, for each row and output, one chain in the order of the groups:
//
//   sum = fma(float(dot), operand scale * weight scale, sum),   beginning at 0
//
// where dot is the sum of operand code * (weight code - zero code) over the group, an exact whole
// number below 2^23, and the product of the scales is rounded once. Operands are rounded here, in
// float, whatever a backend's activations are. So all backends agree to the bit, but for the
// reference in float64, which differs in the chain alone.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "ops/ops.h"
#include "ops/weight_format.h"

namespace tidar {

/// A group of weights. Codes behind a short group's end are the zero code.
struct WeightGroup {
  std::array<uint8_t, kGroup> codes{};
  Half scale{};
};

/// Codes and scale for up to kGroup numbers, so that the sum of the squares of what is lost is
/// small. In eight bits the largest number becomes 127 or -127 from the zero code; in four some
/// scales are tried, each improved by least squares. Numbers that were decoded from such codes keep
/// them, if the largest is 127 from the zero code in eight bits, or 4 to 8 in four. A number that
/// is not finite makes the scale NaN; numbers so small that f16 has no scale for them become 0.
WeightGroup nearest_weights(WeightFormat format, std::span<const float> numbers);

/// The groups of one row of a matrix: as they are stored, where it is stored in this format
/// (HostMatrix::scales), else the nearest to its numbers. The matrix must outlive it.
class WeightRow {
 public:
  WeightRow(WeightFormat format, const HostMatrix& matrix, int64_t row);
  WeightGroup group(int64_t g) const;

 private:
  WeightFormat format_;
  const HostMatrix& matrix_;
  int64_t row_;
  std::vector<float> numbers_;  ///< empty where codes are stored
};

/// Writes codes such that number i is about scale * codes[i], and returns the scale:
/// (largest magnitude) / 127. Codes are x * (127 / largest magnitude), rounded to nearest even; all
/// 0 where that magnitude is below kLeastOperand. A number that is not finite makes the scale NaN,
/// and all codes 0. As many codes as numbers.
float nearest_codes(std::span<const float> numbers, std::span<int8_t> codes);

/// A group of operands.
struct OperandGroup {
  std::array<int8_t, kGroup> codes{};
  float scale = 0;
};

/// The nearest_codes() of up to kGroup numbers.
OperandGroup nearest_operands(std::span<const float> numbers);

/// What a row of a matrix becomes in this format, which has scales: out [cols].
void read_kept(const HostMatrix& matrix, int64_t row, WeightFormat format, std::span<float> out);

}  // namespace tidar
