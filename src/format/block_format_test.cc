#include "format/block_format.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/rng.h"
#include "format/files_testing.h"
#include "format/gguf.h"

namespace tidar {
namespace {

std::vector<float> decoded(BlockFormat format, std::span<const std::byte> blocks) {
  const BlockFormatFacts& facts = facts_of(format);
  std::vector<float> values(blocks.size() / static_cast<size_t>(facts.bytes) *
                            static_cast<size_t>(facts.elements));
  decode_blocks(format, blocks, values);
  return values;
}

std::vector<float> decoded(BlockFormat format, const std::string& block) {
  return decoded(format, std::as_bytes(std::span(block)));
}

// f16 numbers as bytes.
const std::string kHalf("\x00\x38", 2), kOne("\x00\x3c", 2), kTwo("\x00\x40", 2),
    kMinusOne("\x00\xbc", 2);

TEST(BlockFormats, AreInTheOrderOfTheEnum) {
  for (size_t i = 0; i < kBlockFormats.size(); ++i) {
    EXPECT_EQ(static_cast<size_t>(kBlockFormats[i].format), i);
    EXPECT_EQ(block_format_numbered(kBlockFormats[i].number), kBlockFormats[i].format);
    EXPECT_EQ(foreign_block_format(kBlockFormats[i].number), "");
  }
  EXPECT_EQ(block_format_numbered(17), std::nullopt);
  EXPECT_EQ(foreign_block_format(17), "IQ2_XS");
  EXPECT_EQ(foreign_block_format(255), "");
}

// The following are worked out by hand.

TEST(BlockFormats, PlainNumbers) {
  EXPECT_EQ(decoded(BlockFormat::f16, kHalf + kMinusOne), (std::vector<float>{0.5f, -1.0f}));
  EXPECT_EQ(decoded(BlockFormat::bf16, std::string("\x40\x40\x80\xbf", 4)),
            (std::vector<float>{3.0f, -1.0f}));
  EXPECT_EQ(decoded(BlockFormat::f32, std::string("\x00\x00\x20\xc0", 4)),
            (std::vector<float>{-2.5f}));
}

TEST(BlockFormats, Q8_0) {
  std::string block = kHalf + std::string(32, '\0');
  block[2] = '\x7f';
  block[33] = '\x80';
  const auto values = decoded(BlockFormat::q8_0, block);
  EXPECT_EQ(values.front(), 63.5f);
  EXPECT_EQ(values[1], 0.0f);
  EXPECT_EQ(values.back(), -64.0f);
}

// Codes and scales, against the numbers that the blocks stand for.
TEST(BlockFormats, EvenCodesAreReadAsTheyAre) {
  Rng rng(8);
  int formats = 0;
  for (const BlockFormatFacts& facts : kBlockFormats) {
    if (facts.even_codes == 0) continue;
    ++formats;
    constexpr size_t kBlocks = 7;
    std::vector<std::byte> blocks(kBlocks * static_cast<size_t>(facts.bytes));
    // Bytes below 0x40 make no exponent of an f16 full; codes may be any.
    for (std::byte& byte : blocks) byte = static_cast<std::byte>(rng.bits() & 0xffu);
    for (size_t b = 0; b < kBlocks; ++b) {
      blocks[b * static_cast<size_t>(facts.bytes) + 1] &= std::byte{0xbf};
    }
    const std::vector<float> numbers = decoded(facts.format, blocks);
    std::vector<uint8_t> codes(static_cast<size_t>(
        bytes_of_codes(static_cast<int64_t>(numbers.size()), facts.even_codes)));
    std::vector<Half> scales(kBlocks);
    read_group_codes(facts.format, blocks, {codes, scales});
    for (size_t i = 0; i < numbers.size(); ++i) {
      const int code = facts.even_codes == 8 ? codes[i] : codes[i / 2] >> (i % 2 * 4) & 15;
      const auto scale = static_cast<float>(scales[i / 32]);
      ASSERT_EQ(scale * static_cast<float>(code - (1 << (facts.even_codes - 1))), numbers[i])
          << facts.name << " element " << i;
    }
  }
  EXPECT_EQ(formats, 2);
}

TEST(BlockFormats, FourBits) {
  std::string codes(16, '\x80');  // low 0, high 8
  codes[1] = '\x3f';
  const auto centred = decoded(BlockFormat::q4_0, kTwo + codes);
  EXPECT_EQ(centred[0], -16.0f);   // 2 (0 - 8)
  EXPECT_EQ(centred[1], 14.0f);    // 2 (15 - 8)
  EXPECT_EQ(centred[16], 0.0f);    // 2 (8 - 8)
  EXPECT_EQ(centred[17], -10.0f);  // 2 (3 - 8)
  const auto above = decoded(BlockFormat::q4_1, kTwo + kMinusOne + codes);
  EXPECT_EQ(above[0], -1.0f);   // 2 * 0 - 1
  EXPECT_EQ(above[1], 29.0f);   // 2 * 15 - 1
  EXPECT_EQ(above[16], 15.0f);  // 2 * 8 - 1
  EXPECT_EQ(above[17], 5.0f);   // 2 * 3 - 1
  const auto curved = decoded(BlockFormat::iq4_nl, kTwo + codes);
  EXPECT_EQ(curved[0], -254.0f);
  EXPECT_EQ(curved[1], 226.0f);
  EXPECT_EQ(curved[16], 2.0f);
  EXPECT_EQ(curved[17], -130.0f);
}

TEST(BlockFormats, FiveBits) {
  const std::string fifth("\x02\x00\x01\x80", 4);  // of elements 1, 16 and 31
  const std::string codes(16, '\x21');
  const auto centred = decoded(BlockFormat::q5_0, kTwo + fifth + codes);
  EXPECT_EQ(centred[0], -30.0f);   // 2 (1 - 16)
  EXPECT_EQ(centred[1], 2.0f);     // 2 (17 - 16)
  EXPECT_EQ(centred[16], 4.0f);    // 2 (18 - 16)
  EXPECT_EQ(centred[17], -28.0f);  // 2 (2 - 16)
  EXPECT_EQ(centred[31], 4.0f);
  const auto above = decoded(BlockFormat::q5_1, kTwo + kMinusOne + fifth + codes);
  EXPECT_EQ(above[0], 1.0f);
  EXPECT_EQ(above[1], 33.0f);
  EXPECT_EQ(above[31], 35.0f);
}

// Run 0 has scale 3 and minimum 5; run 4 scale 0x2a = 42 and minimum 0x15 = 21.
std::string six_bits() {
  std::string packed(12, '\0');
  packed[0] = static_cast<char>(3 | 2 << 6);  // and the upper bits of run 4's scale: 10
  packed[4] = static_cast<char>(5 | 1 << 6);  // and of its minimum: 01
  packed[8] = static_cast<char>(0xa | 5 << 4);
  return packed;
}

TEST(BlockFormats, Q4_K) {
  std::string codes(128, '\0');
  codes[0] = '\x07';       // element 0: code 7
  codes[64 + 1] = '\x09';  // run 4, element 1: code 9
  const auto values = decoded(BlockFormat::q4_k, kHalf + kTwo + six_bits() + codes);
  EXPECT_EQ(values[0], 0.5f * 3 * 7 - 2 * 5);
  EXPECT_EQ(values[1], -2.0f * 5);
  EXPECT_EQ(values[32], 0.0f);  // run 1 has neither
  EXPECT_EQ(values[129], 0.5f * 42 * 9 - 2 * 21);
}

TEST(BlockFormats, Q5_K) {
  std::string fifth(32, '\0');
  fifth[0] = '\x01';  // run 0, element 0
  fifth[1] = '\x10';  // run 4, element 1
  std::string codes(128, '\0');
  codes[0] = '\x07';
  codes[64 + 1] = '\x09';
  const auto values = decoded(BlockFormat::q5_k, kHalf + kTwo + six_bits() + fifth + codes);
  EXPECT_EQ(values[0], 0.5f * 3 * 23 - 2 * 5);
  EXPECT_EQ(values[1], -2.0f * 5);
  EXPECT_EQ(values[129], 0.5f * 42 * 25 - 2 * 21);
}

TEST(BlockFormats, Q6_K) {
  std::string low(128, '\0'), high(64, '\0'), scales(16, '\0');
  low[0] = '\xb5';                         // element 0: 5; quarter 2, element 64: 11
  high[0] = '\x31';                        // upper bits 1 of element 0, 3 of element 64
  scales[0] = '\x02', scales[4] = '\xfd';  // -3
  low[64 + 32 + 31] = '\x40';              // second half, quarter 3, element 255: 4
  high[32 + 31] = '\x80';                  // its upper bits: 2
  scales[15] = '\x07';
  const auto values = decoded(BlockFormat::q6_k, low + high + scales + kTwo);
  EXPECT_EQ(values[0], 2.0f * 2 * (21 - 32));
  EXPECT_EQ(values[1], 2.0f * 2 * -32);
  EXPECT_EQ(values[16], 0.0f);  // scale 1 is 0
  EXPECT_EQ(values[64], 2.0f * -3 * (59 - 32));
  EXPECT_EQ(values[255], 2.0f * 7 * (36 - 32));
}

// tests/fixtures/gguf/blocks.gguf, made by tools/llama_cpp/make_blocks.py.
TEST(BlockFormats, EqualLlamaCppsToTheBit) {
  const auto file = GgufFile::open(TIDAR_FIXTURES "/gguf/blocks.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  int compared = 0;
  for (const BlockFormatFacts& facts : kBlockFormats) {
    if (facts.plain) continue;
    const GgufTensor* blocks = file->content().find(facts.name);
    const GgufTensor* expected = file->content().find(std::string(facts.name) + ".values");
    ASSERT_TRUE(blocks != nullptr && expected != nullptr) << facts.name;
    const std::vector<float> values = decoded(facts.format, blocks->data);
    ASSERT_EQ(values.size() * sizeof(float), expected->data.size());
    for (size_t i = 0; i < values.size(); ++i) {
      float theirs = 0;
      std::memcpy(&theirs, expected->data.data() + i * sizeof theirs, sizeof theirs);
      ASSERT_EQ(values[i], theirs) << facts.name << " " << i;
    }
    EXPECT_GT(*std::max_element(values.begin(), values.end()), 1);
    ++compared;
  }
  EXPECT_EQ(compared, 9);
}

TEST(BlockFormats, FindWhatIsNotFinite) {
  for (const BlockFormatFacts& facts : kBlockFormats) {
    const auto bytes = static_cast<size_t>(facts.bytes);
    std::string blocks(3 * bytes, '\0');
    EXPECT_EQ(first_not_finite(facts.format, std::as_bytes(std::span(blocks))), std::nullopt);
    // An f16 that is infinite stands nowhere but in scales; so it must be found wherever it makes
    // a number infinite, and nowhere else.
    for (size_t at = 0; at + 2 <= bytes && !facts.plain; at += 2) {
      std::string broken = blocks;
      broken[bytes + at] = '\0';
      broken[bytes + at + 1] = '\x7c';
      for (size_t i = bytes; i < 2 * bytes; ++i) {
        if (i != bytes + at && i != bytes + at + 1) broken[i] = '\x01';
      }
      const auto values = decoded(facts.format, broken);
      const bool all_finite =
          std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
      const auto found = first_not_finite(facts.format, std::as_bytes(std::span(broken)));
      EXPECT_EQ(found.has_value(), !all_finite) << facts.name << " " << at;
      EXPECT_EQ(found.value_or(facts.elements), facts.elements);
    }
  }
}

}  // namespace
}  // namespace tidar
