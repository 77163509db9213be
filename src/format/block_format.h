#pragma once
// The number formats of tensors in GGUF files: plain numbers, and blocks of neighbours in a row
// that share scales.
//
// A block is a few bytes in which d (and m, the minimum) are f16; c is a code:
//   Q8_0         d c[32]: 8 bits                   d c
//   Q4_0 Q4_1    d (m) c[32]: 4 bits               d (c - 8), d c + m
//   Q5_0 Q5_1    d (m) fifth bits, c[32]: 4 bits   d (c - 16), d c + m
//   IQ4_NL       d c[32]: 4 bits                   d times an entry of a table of 16
//   Q4_K Q5_K    d m, 8 scales s and minima t of 6 bits, (fifth bits,) c[256]: 4 bits
//                                                  d s c - m t
//   Q6_K         c[256]: 4 bits, upper 2 bits, 16 scales s of 8 bits, d
//                                                  d s (c - 32)
// Every product here is exact in f32, so that a decoder rounds once at most.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/dtype.h"
#include "format/group_codes.h"

namespace tidar {

enum class BlockFormat : uint8_t {
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
};

struct BlockFormatFacts {
  BlockFormat format;
  std::string_view name;         ///< as llama.cpp writes it: "Q4_K"
  uint32_t number;               ///< in files
  int elements;                  ///< of a block; rows are whole blocks
  int bytes;                     ///< of a block
  std::optional<DType> plain{};  ///< type of the elements where each is a number by itself
  int even_codes = 0;            ///< bits of a code, where blocks are just GroupCodes of them
};

/// In the order of the enum.
inline constexpr std::array<BlockFormatFacts, 12> kBlockFormats = {{
    {BlockFormat::f32, "F32", 0, 1, 4, DType::f32},
    {BlockFormat::f16, "F16", 1, 1, 2, DType::f16},
    {BlockFormat::bf16, "BF16", 30, 1, 2, DType::bf16},
    {BlockFormat::q8_0, "Q8_0", 8, 32, 34, {}, 8},
    {BlockFormat::q4_0, "Q4_0", 2, 32, 18, {}, 4},
    {BlockFormat::q4_1, "Q4_1", 3, 32, 20},
    {BlockFormat::q5_0, "Q5_0", 6, 32, 22},
    {BlockFormat::q5_1, "Q5_1", 7, 32, 24},
    {BlockFormat::q4_k, "Q4_K", 12, 256, 144},
    {BlockFormat::q5_k, "Q5_K", 13, 256, 176},
    {BlockFormat::q6_k, "Q6_K", 14, 256, 210},
    {BlockFormat::iq4_nl, "IQ4_NL", 20, 32, 18},
}};

constexpr const BlockFormatFacts& facts_of(BlockFormat format) {
  return kBlockFormats[static_cast<size_t>(format)];
}

/// The format of this number in files; nothing when it is not one of ours.
std::optional<BlockFormat> block_format_numbered(uint32_t number);

/// What files may hold besides, by its number: "IQ2_XS"; "" for a number without a meaning.
std::string_view foreign_block_format(uint32_t number);

/// The numbers that whole blocks stand for, as many as `out` holds. `blocks` may be unaligned and
/// must be the bytes of just those blocks.
void decode_blocks(BlockFormat format, std::span<const std::byte> blocks, std::span<float> out);

/// The codes of whole blocks of a format that is GroupCodes.
void read_group_codes(BlockFormat format, std::span<const std::byte> blocks, const GroupCodes& out);

/// Index of the first element that is not a finite number, as its block has a scale that is none;
/// nothing where all are finite. Looks at scales alone, where there are any.
std::optional<int64_t> first_not_finite(BlockFormat format, std::span<const std::byte> blocks);

}  // namespace tidar
