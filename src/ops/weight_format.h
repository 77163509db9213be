#pragma once
// In what format a backend keeps the weights of products: plain numbers, or few bits a number and
// scales that neighbours in a row share. What holds of a format on every backend stands in the one
// table here.
//
// A new format is
//   1. a name in WeightFormat and a line in kWeightFormats;
//   2. what it makes of numbers: a line of round_row() (ref/linear.cc), the truth for every
//   backend;
//   3. a packer, and its line of with_packer() (cpu/stores.cc);
//   4. a kernel (cpu/linear_kernel.cc), and its place in Kernels (cpu/kernels.h);
//   5. a line of product_with() (cpu/products.cc), which chooses it.
// With 1 alone nothing compiles until 2, 3 and 5 are there. Cases test it then, and --weights takes
// its name. Training computes in plain formats only.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/dtype.h"

namespace tidar {

enum class WeightFormat : uint8_t { f32, bf16 };

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

 private:
  static constexpr int64_t whole_bytes(int64_t bits) { return (bits + 7) / 8; }
};

constexpr WeightFormatFacts plain_facts(WeightFormat format, DType dtype) {
  return {.format = format,
          .name = name_of(dtype),
          .element_bits = 8 * static_cast<int>(size_of(dtype)),
          .plain = dtype};
}

/// In the order of the enum.
inline constexpr std::array kWeightFormats = {plain_facts(WeightFormat::f32, DType::f32),
                                              plain_facts(WeightFormat::bf16, DType::bf16)};

constexpr const WeightFormatFacts& facts_of(WeightFormat format) {
  return kWeightFormats[static_cast<size_t>(format)];
}

/// "f32", "bf16".
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
