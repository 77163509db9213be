#pragma once
// In what format a backend keeps the weights of products: plain numbers, or few bits a number and
// scales that neighbours in a row share. What holds of a format on every backend stands in the one
// table here.
//
// A new format is
//   1. a name in WeightFormat and a line in kWeightFormats;
//   2. what it makes of numbers: a line of keep_row() (ref/linear.cc), the truth for every
//   backend;
//   3. a packer, and its line of with_packer() (cpu/stores.cc);
//   4. a kernel (cpu/linear_kernel.cc; linear_codes_kernel.cc if it has scales), and its place in
//   Kernels (cpu/kernels.h);
//   5. a line of product_with() (cpu/products.cc), which chooses it.
// With 1 alone nothing compiles until 2, 3 and 5 are there. Cases test it then, and --weights takes
// its name. Training and GPUs compute in plain formats only.
//
// Formats with scales keep a code c of b bits, 0 to 2^b - 1, for each number: it stands for
// (c - 2^(b-1)) times the f16 scale of its group, which is exact in f32. Codes of less than a byte
// share one, that of the earlier number in its lower half. Products are whole numbers within a
// group (group_codes.h).

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/dtype.h"

namespace tidar {

enum class WeightFormat : uint8_t { f32, bf16, w8, w4 };

struct WeightFormatFacts {
  WeightFormat format;
  std::string_view name;
  int element_bits = 0;
  int group = 0;       ///< neighbours in a row that share a scale, at its end fewer; 0: no scales
  int scale_bits = 0;  ///< of one scale
  std::optional<DType> plain{};  ///< type of the elements where each is a number by itself

  /// Scales of a row of K elements.
  constexpr int64_t scales(int64_t cols) const {
    return group == 0 ? 0 : (cols + group - 1) / group;
  }
  /// Bytes of a matrix [N, K]: of its elements and of its scales [N, scales(K)]; rows begin at a
  /// byte in both.
  constexpr int64_t element_bytes(int64_t rows, int64_t cols) const {
    return rows * whole_bytes(cols * element_bits);
  }
  constexpr int64_t scale_bytes(int64_t rows, int64_t cols) const {
    return rows * whole_bytes(scales(cols) * scale_bits);
  }
  constexpr int64_t bytes(int64_t rows, int64_t cols) const {
    return element_bytes(rows, cols) + scale_bytes(rows, cols);
  }
  /// With scales: the code that stands for 0.
  constexpr int zero_code() const { return 1 << (element_bits - 1); }

 private:
  static constexpr int64_t whole_bytes(int64_t bits) { return (bits + 7) / 8; }
};

constexpr WeightFormatFacts plain_facts(WeightFormat format, DType dtype) {
  return {.format = format,
          .name = name_of(dtype),
          .element_bits = 8 * static_cast<int>(size_of(dtype)),
          .plain = dtype};
}

/// Neighbours that share a scale, in weights and in the operands that meet them.
inline constexpr int kGroup = 32;
/// Groups of a row of so many numbers; the last may be short.
constexpr int64_t groups_of(int64_t cols) { return (cols + kGroup - 1) / kGroup; }
/// A group of operands counts as zeros where the largest is smaller than this, in magnitude.
inline constexpr float kLeastOperand = 0x1p-100f;

constexpr WeightFormatFacts group_facts(WeightFormat format, std::string_view name, int bits) {
  return {.format = format, .name = name, .element_bits = bits, .group = kGroup, .scale_bits = 16};
}

/// In the order of the enum.
inline constexpr std::array kWeightFormats = {
    plain_facts(WeightFormat::f32, DType::f32), plain_facts(WeightFormat::bf16, DType::bf16),
    group_facts(WeightFormat::w8, "w8", 8), group_facts(WeightFormat::w4, "w4", 4)};

constexpr const WeightFormatFacts& facts_of(WeightFormat format) {
  return kWeightFormats[static_cast<size_t>(format)];
}

/// "f32", "bf16", "w8", "w4".
constexpr std::string_view name_of(WeightFormat format) { return facts_of(format).name; }

constexpr std::optional<WeightFormat> weight_format_named(std::string_view name) {
  for (const WeightFormatFacts& facts : kWeightFormats) {
    if (facts.name == name) return facts.format;
  }
  return std::nullopt;
}

/// The format whose elements are numbers of this type.
constexpr std::optional<WeightFormat> plain_format(DType dtype) {
  for (const WeightFormatFacts& facts : kWeightFormats) {
    if (facts.plain == dtype) return facts.format;
  }
  return std::nullopt;
}

}  // namespace tidar
