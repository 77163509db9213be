#pragma once
// Numbers as even codes: those of kCodesOfScale neighbours in a row share a scale, and a code c of
// b bits stands for (c - 2^(b-1)) times it. Files hold weights so in several ways; this is one that
// all of those become.

#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace tidar {

inline constexpr int64_t kCodesOfScale = 32;

/// Bytes of the codes of a row, and its scales; the last may be of fewer codes.
constexpr int64_t bytes_of_codes(int64_t cols, int bits) { return (cols * bits + 7) / 8; }
constexpr int64_t scales_of_codes(int64_t cols) {
  return (cols + kCodesOfScale - 1) / kCodesOfScale;
}

/// Room for one row, or for some. Of 4 bits, a byte holds an earlier code in its lower half and the
/// next one in its upper half.
struct GroupCodes {
  std::span<uint8_t> codes;
  std::span<Half> scales;
};

}  // namespace tidar
