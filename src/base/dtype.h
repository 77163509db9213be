#pragma once
// The number formats of tensors, and the two 16-bit ones that C++20 lacks. Elements lie in memory
// as the processor has them, which is little-endian, as in safetensors files.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidar {

/// Activations are f32 (f64 in the reference), cached keys f32, bf16 or i8 codes with scales. Files
/// may hold the others, too: f16 becomes float when it is read, and integers and f8 (of 4 bits of
/// exponent) are the codes of quantised weights.
enum class DType : uint8_t { f32, f64, bf16, f16, i32, i64, i8, f8_e4m3 };

/// Bytes of one element.
constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::i8:
    case DType::f8_e4m3:
      return 1;
  }
  return 0;
}

/// "f32", "bf16", …: the words of flags, of messages and of our JSON. Hugging Face's are others.
constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "f16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::i8:
      return "i8";
    case DType::f8_e4m3:
      return "f8_e4m3";
  }
  return "?";
}

/// Distance from 1 to the next larger number; the unit of every tolerance in the tests. Rounding to
/// nearest is wrong by half of it at most, relative to the number. 0 for integers and f8, to which
/// nothing is rounded.
constexpr double epsilon_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 0x1p-23;
    case DType::f64:
      return 0x1p-52;
    case DType::bf16:
      return 0x1p-7;
    case DType::f16:
      return 0x1p-10;
    default:
      return 0;
  }
}

/// The upper half of a float32: its sign, its 8 bits of exponent and 7 of its 23 bits of mantissa,
/// so that the range is that of float32. Conversion rounds to nearest even, past the largest number
/// to infinity; NaN stays NaN.
struct BFloat16 {
  uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const uint32_t wide = std::bit_cast<uint32_t>(value);
    if ((wide & 0x7fffffffu) > 0x7f800000u) {
      // NaN: the quiet bit is set, lest the lower half held all of its mantissa.
      bits = static_cast<uint16_t>((wide >> 16) | 0x40u);
    } else {
      // Half of what is cut off is added, less one where the last bit kept is even.
      bits = static_cast<uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

/// IEEE 754 half precision: 5 bits of exponent, 10 of mantissa. In files, and for scales of
/// weights; nearest_half() (base/half.h) rounds to it.
struct Half {
  uint16_t bits = 0;

  explicit operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fu;
    const uint32_t mantissa = bits & 0x3ffu;
    if (exponent == 0) {  // zero and subnormal numbers, in steps of 2^-24
      const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
      return sign ? -magnitude : magnitude;
    }
    // 31 stands for infinity and NaN; other exponents count from 15, and from 127 in float32.
    const uint32_t wide = exponent == 31 ? 0x7f800000u : (exponent + 112) << 23;
    return std::bit_cast<float>(sign | wide | (mantissa << 13));
  }
};

/// 4 bits of exponent and 3 of mantissa, without infinities; all bits set is NaN. For reading files
/// only.
struct Float8E4M3 {
  uint8_t bits = 0;

  explicit operator float() const {
    const uint32_t exponent = (bits >> 3) & 0xfu;
    const uint32_t mantissa = bits & 0x7u;
    const uint32_t sign = static_cast<uint32_t>(bits & 0x80u) << 24;
    if ((bits & 0x7fu) == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
    if (exponent == 0) {  // zero and subnormal numbers, in steps of 2^-9
      const float magnitude = std::ldexp(static_cast<float>(mantissa), -9);
      return sign ? -magnitude : magnitude;
    }
    return std::bit_cast<float>(sign | (exponent + 120) << 23 | mantissa << 20);
  }
};

/// DTypeOf<T>::value is the DType of a C++ type that something computes with.
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};

}  // namespace tidar
