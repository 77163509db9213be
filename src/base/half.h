#pragma once
// Rounding to half precision, in which scales of weights are kept.

#include <bit>
#include <cstdint>

#include "base/dtype.h"

namespace tidar {

/// Rounds to nearest even, past the largest number, 65504, to infinity; NaN stays NaN.
inline Half nearest_half(float value) {
  const uint32_t wide = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = wide & 0x7fffffffu;
  uint32_t rounded = 0;
  if (magnitude > 0x7f800000u) {
    rounded = 0x7e00u;
  } else if (magnitude >= 0x47800000u) {  // from 2^16 on
    rounded = 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // below 2^-14: in steps of 2^-24, which 0.5 has as well
    const float steps = std::bit_cast<float>(magnitude) + 0.5f;
    rounded = std::bit_cast<uint32_t>(steps) - 0x3f000000u;
  } else {
    rounded = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
  }
  return {static_cast<uint16_t>((wide >> 16 & 0x8000u) | rounded)};
}

}  // namespace tidar
