#pragma once
// Matrices of quantised Hugging Face folders: codes of a few bits, and scales that neighbours
// share.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "format/group_codes.h"
#include "format/tensors.h"

namespace tidar {

/// How the codes of a matrix [rows, cols] lie in 32-bit words, each of 32 / bits codes.
struct CodePacking {
  bool transposed = false;  ///< the words are those of [cols, rows]
  int packed_axis = 1;      ///< the dimension of that matrix along which codes share a word
  /// Code k of a word stands at bits × places[k], from the lowest bit on.
  std::array<uint8_t, 8> places = {0, 1, 2, 3, 4, 5, 6, 7};
};

/// weight_packed [outputs, inputs / n].
inline constexpr CodePacking kCompressedCodes = {};
/// qweight [inputs / n, outputs] and qzeros [groups, outputs / n].
inline constexpr CodePacking kGptqCodes = {.transposed = true, .packed_axis = 0},
                             kGptqZeros = {.transposed = true};
/// qweight [inputs, outputs / 8] and qzeros [groups, outputs / 8]: of four bits, the even outputs
/// of a word first.
inline constexpr CodePacking kAwq = {.transposed = true, .places = {0, 4, 1, 5, 2, 6, 3, 7}};

/// Codes in words. A view of a tensor.
struct PackedCodes {
  const StoredTensor* words = nullptr;
  int bits = 4;
  CodePacking packing{};

  /// An Error unless the words are I32 and just those of `rows` × `cols` codes.
  Result<void> check(int64_t rows, int64_t cols) const;
  /// Unsigned.
  int at(int64_t row, int64_t col) const;
};

/// Scales that blocks of a matrix share: f32, f16 or bf16.
struct BlockScales {
  const StoredTensor* values = nullptr;
  bool transposed = false;  ///< of [column blocks, row blocks]
  int64_t block_rows = 1;
  int64_t block_cols = 1;

  /// An Error unless there is one, finite, for each block of `rows` × `cols`.
  Result<void> check(int64_t rows, int64_t cols) const;
  float at(int64_t block_row, int64_t block_col) const;
};

/// A matrix whose element is (code - zero) × scale. A view of tensors, which must outlive it.
struct QuantizedMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  const StoredTensor* bytes = nullptr;  ///< I8 or F8_E4M3 [rows, cols]; or
  std::optional<PackedCodes> codes{};   ///< words
  std::optional<PackedCodes> zeros{};   ///< of [rows, column blocks], where each has its own
  int zero = 0;                         ///< else that of all; otherwise added to each
  BlockScales scales{};

  /// All tensors against the shape, and bytes for NaN. Errors name tensor, found and expected.
  Result<void> check() const;
  /// [cols] numbers.
  void decode_row(int64_t row, std::span<float> out) const;

  /// Bits of a code, where the matrix is GroupCodes: whole numbers around the middle of what they
  /// can be, and scales of 32 neighbours, or of a multiple of it, that f16 can hold. 0: it is not.
  int even_codes() const;
  /// Then: the codes of a row. Scales that are not f16 are rounded to it.
  void read_codes(int64_t row, const GroupCodes& out) const;
};

}  // namespace tidar
