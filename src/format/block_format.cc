#include "format/block_format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "format/tensors.h"

namespace tidar {

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

namespace {

constexpr std::array<std::pair<uint32_t, std::string_view>, 21> kForeign = {{
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},  {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"}, {22, "IQ2_S"}, {23, "IQ4_XS"},  {24, "I8"},
    {25, "I16"},     {26, "I32"},   {27, "I64"},   {28, "F64"},   {29, "IQ1_M"},   {34, "TQ1_0"},
    {35, "TQ2_0"},   {39, "MXFP4"}, {40, "NVFP4"},
}};

/// What the codes of IQ4_NL stand for.
constexpr std::array<int8_t, 16> kNonLinear = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

/// Elements of a block of the smaller formats. Byte i of their codes holds that of element i in its
/// low half, and that of element i + 16 in its high one.
constexpr int kSmall = 32;
constexpr int kHalf = kSmall / 2;

/// Elements of a block of the larger ones: 8 runs that have a scale each (Q6_K: 16).
constexpr int kLarge = 256;

float half_at(const std::byte* at) {
  Half half;
  std::memcpy(&half.bits, at, sizeof half.bits);
  return static_cast<float>(half);
}

int byte_at(const std::byte* at, int i) { return std::to_integer<int>(at[i]); }
int signed_at(const std::byte* at, int i) { return static_cast<int8_t>(byte_at(at, i)); }

/// Code i of a small block.
int nibble(const std::byte* codes, int i) {
  return i < kHalf ? byte_at(codes, i) & 15 : byte_at(codes, i - kHalf) >> 4;
}

void decode_q8_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(signed_at(block + 2, i));
}

void decode_q4_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(nibble(block + 2, i) - 8);
}

void decode_q4_1(const std::byte* block, float* out) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(nibble(block + 4, i)) + m;
}

/// Code i with its fifth bit; the four bytes of fifth bits stand before the codes.
int five_bits(const std::byte* fifth, int i) {
  uint32_t bits = 0;
  std::memcpy(&bits, fifth, sizeof bits);
  return nibble(fifth + 4, i) | static_cast<int>((bits >> i & 1) << 4);
}

void decode_q5_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(five_bits(block + 2, i) - 16);
}

void decode_q5_1(const std::byte* block, float* out) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(five_bits(block + 4, i)) + m;
}

void decode_iq4_nl(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i) {
    out[i] = d * static_cast<float>(kNonLinear[static_cast<size_t>(nibble(block + 2, i))]);
  }
}

struct ScaleAndMinimum {
  int scale, minimum;
};

/// Those of run i of 8, six bits each in twelve bytes: of runs 0 to 3 in the low bits of the first
/// eight bytes; of runs 4 to 7 four bits in the last four bytes, and two above those of i - 4.
ScaleAndMinimum six_bits(const std::byte* packed, int i) {
  if (i < 4) return {byte_at(packed, i) & 63, byte_at(packed, i + 4) & 63};
  const int low = byte_at(packed, i + 4);
  return {(low & 15) | (byte_at(packed, i - 4) >> 6 << 4),
          low >> 4 | (byte_at(packed, i) >> 6 << 4)};
}

/// Q4_K, and with the bytes of fifth bits Q5_K: bit i of byte j belongs to element j of run i. Two
/// runs share 32 bytes of codes.
void decode_runs(const std::byte* block, const std::byte* fifth, const std::byte* codes,
                 float* out) {
  constexpr int kRun = 32;
  const float d = half_at(block), m = half_at(block + 2);
  for (int run = 0; run < kLarge / kRun; ++run) {
    const auto [scale, minimum] = six_bits(block + 4, run);
    const float step = d * static_cast<float>(scale), least = m * static_cast<float>(minimum);
    for (int i = 0; i < kRun; ++i) {
      int code = byte_at(codes, run / 2 * kRun + i) >> (run % 2 * 4) & 15;
      if (fifth != nullptr) code |= (byte_at(fifth, i) >> run & 1) << 4;
      out[run * kRun + i] = step * static_cast<float>(code) - least;
    }
  }
}

void decode_q4_k(const std::byte* block, float* out) {
  decode_runs(block, nullptr, block + 16, out);
}
void decode_q5_k(const std::byte* block, float* out) {
  decode_runs(block, block + 16, block + 48, out);
}

/// Elements lie in two halves of four quarters of 32. A quarter q has its low bits in half a byte
/// of 64 that the half has (quarters 0 and 2, 1 and 3 share bytes), and its upper two in bits 2 q
/// of the half's 32 bytes.
void decode_q6_k(const std::byte* block, float* out) {
  constexpr int kQuarter = 32, kScaleBytes = 128 + 64, kScaleAt = 208;
  const float d = half_at(block + kScaleAt);
  for (int i = 0; i < kLarge; ++i) {
    const int half = i / 128, quarter = i % 128 / kQuarter, at = i % kQuarter;
    const int low = byte_at(block, half * 64 + quarter % 2 * kQuarter + at) >> (quarter / 2 * 4);
    const int high = byte_at(block, 128 + half * kQuarter + at) >> (2 * quarter) & 3;
    const int scale = signed_at(block, kScaleBytes + i / 16);
    out[i] = d * static_cast<float>(scale) * static_cast<float>(((low & 15) | high << 4) - 32);
  }
}

template <class T>
void decode_plain(const std::byte* element, float* out) {
  T value;
  std::memcpy(&value, element, sizeof value);
  *out = static_cast<float>(value);
}

/// How a block becomes numbers, and where in it its scales stand.
struct Decoder {
  void (*decode)(const std::byte*, float*);
  std::array<int, 2> scales_at = {-1, -1};
};

/// In the order of the enum.
constexpr std::array<Decoder, kBlockFormats.size()> kDecoders = {{
    {decode_plain<float>},
    {decode_plain<Half>},
    {decode_plain<BFloat16>},
    {decode_q8_0, {0, -1}},
    {decode_q4_0, {0, -1}},
    {decode_q4_1, {0, 2}},
    {decode_q5_0, {0, -1}},
    {decode_q5_1, {0, 2}},
    {decode_q4_k, {0, 2}},
    {decode_q5_k, {0, 2}},
    {decode_q6_k, {208, -1}},
    {decode_iq4_nl, {0, -1}},
}};

bool is_finite_half(const std::byte* at) {
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return (bits & 0x7c00u) != 0x7c00u;
}

}  // namespace

std::optional<BlockFormat> block_format_numbered(uint32_t number) {
  for (const BlockFormatFacts& facts : kBlockFormats) {
    if (facts.number == number) return facts.format;
  }
  return std::nullopt;
}

std::string_view foreign_block_format(uint32_t number) {
  for (const auto& [known, name] : kForeign) {
    if (known == number) return name;
  }
  return "";
}

void decode_blocks(BlockFormat format, std::span<const std::byte> blocks, std::span<float> out) {
  const BlockFormatFacts& facts = facts_of(format);
  const auto elements = static_cast<size_t>(facts.elements),
             bytes = static_cast<size_t>(facts.bytes);
  TIDAR_CHECK_EQ(out.size() % elements, 0u);
  TIDAR_CHECK_EQ(blocks.size(), out.size() / elements * bytes);
  const auto decode = kDecoders[static_cast<size_t>(format)].decode;
  for (size_t block = 0; block < out.size() / elements; ++block) {
    decode(blocks.data() + block * bytes, out.data() + block * elements);
  }
}

void read_group_codes(BlockFormat format, std::span<const std::byte> blocks,
                      const GroupCodes& out) {
  const BlockFormatFacts& facts = facts_of(format);
  const auto bytes = static_cast<size_t>(facts.bytes);
  TIDAR_CHECK_EQ(out.scales.size(), blocks.size() / bytes);
  TIDAR_CHECK_EQ(out.codes.size() * 8,
                 out.scales.size() * static_cast<size_t>(kSmall * facts.even_codes));
  uint8_t* code = out.codes.data();
  for (size_t b = 0; b < out.scales.size(); ++b) {
    const std::byte* const block = blocks.data() + b * bytes;
    std::memcpy(&out.scales[b].bits, block, sizeof(Half));
    if (facts.even_codes == 8) {
      for (int i = 0; i < kSmall; ++i) {
        *code++ = static_cast<uint8_t>(byte_at(block + 2, i) ^ 0x80);
      }
    } else {
      for (int i = 0; i < kSmall; i += 2) {
        *code++ = static_cast<uint8_t>(nibble(block + 2, i) | nibble(block + 2, i + 1) << 4);
      }
    }
  }
}

std::optional<int64_t> first_not_finite(BlockFormat format, std::span<const std::byte> blocks) {
  const BlockFormatFacts& facts = facts_of(format);
  if (facts.plain) {
    StoredTensor plain;
    plain.dtype = *facts.plain;
    plain.data = blocks;
    return first_not_finite(plain);
  }
  const auto bytes = static_cast<size_t>(facts.bytes);
  for (size_t block = 0; block < blocks.size() / bytes; ++block) {
    for (const int at : kDecoders[static_cast<size_t>(format)].scales_at) {
      if (at < 0 || is_finite_half(blocks.data() + block * bytes + at)) continue;
      return static_cast<int64_t>(block) * facts.elements;
    }
  }
  return std::nullopt;
}

}  // namespace tidar
