#include "format/quantized_matrix.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/half.h"
#include "base/rng.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

/// A tensor and its bytes.
struct Owned {
  template <class T>
  Owned(DType dtype, std::vector<int64_t> shape, const std::vector<T>& values)
      : bytes(values.size() * sizeof(T)) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    tensor = {.name = "t", .dtype = dtype, .shape = std::move(shape), .data = bytes, .file = "f"};
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  std::vector<std::byte> bytes;
  StoredTensor tensor;
};

using Words = std::vector<uint32_t>;
using Floats = std::vector<float>;

std::vector<int> row_of(const PackedCodes& codes, int64_t row, int64_t cols) {
  std::vector<int> found;
  for (int64_t col = 0; col < cols; ++col) found.push_back(codes.at(row, col));
  return found;
}

// One word each; what its hexadecimal digits say from the right.

TEST(CodePackings, CompressedCodesStandAlongInputs) {
  const Owned words(DType::i32, {2, 1}, Words{0x76543210, 0xfedcba98});
  const PackedCodes codes{.words = &words.tensor, .bits = 4, .packing = kCompressedCodes};
  EXPECT_TRUE(codes.check(2, 8).ok());
  EXPECT_EQ(row_of(codes, 0, 8), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(row_of(codes, 1, 8), (std::vector<int>{8, 9, 10, 11, 12, 13, 14, 15}));
}

TEST(CodePackings, GptqCodesStandAlongInputsOfAColumn) {
  const Owned words(DType::i32, {1, 2}, Words{0x76543210, 0xfedcba98});
  const PackedCodes codes{.words = &words.tensor, .bits = 4, .packing = kGptqCodes};
  EXPECT_TRUE(codes.check(2, 8).ok());
  EXPECT_EQ(row_of(codes, 0, 8), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(row_of(codes, 1, 8), (std::vector<int>{8, 9, 10, 11, 12, 13, 14, 15}));
}

TEST(CodePackings, GptqZerosStandAlongOutputs) {
  const Owned words(DType::i32, {2, 1}, Words{0x76543210, 0xfedcba98});
  const PackedCodes codes{.words = &words.tensor, .bits = 4, .packing = kGptqZeros};
  EXPECT_TRUE(codes.check(8, 2).ok());
  EXPECT_EQ(row_of(codes, 5, 2), (std::vector<int>{5, 13}));
}

TEST(CodePackings, AwqPutsEvenOutputsFirst) {
  const Owned words(DType::i32, {1, 1}, Words{0x76543210});
  const PackedCodes codes{.words = &words.tensor, .bits = 4, .packing = kAwq};
  EXPECT_TRUE(codes.check(8, 1).ok());
  std::vector<int> outputs;
  for (int64_t row = 0; row < 8; ++row) outputs.push_back(codes.at(row, 0));
  // Nibble 0 is output 0, nibble 1 output 2, … nibble 4 output 1.
  EXPECT_EQ(outputs, (std::vector<int>{0, 4, 1, 5, 2, 6, 3, 7}));
}

TEST(CodePackings, OfEightBitsAreFourAWord) {
  const Owned words(DType::i32, {1, 1}, Words{0xffa00201});
  const PackedCodes codes{.words = &words.tensor, .bits = 8, .packing = kCompressedCodes};
  EXPECT_TRUE(codes.check(1, 4).ok());
  EXPECT_EQ(row_of(codes, 0, 4), (std::vector<int>{1, 2, 0xa0, 0xff}));
}

Floats decoded(const QuantizedMatrix& matrix, int64_t row) {
  EXPECT_TRUE(matrix.check().ok());
  Floats values(static_cast<size_t>(matrix.cols));
  matrix.decode_row(row, values);
  return values;
}

TEST(QuantizedMatrices, OfBytesHaveAScaleARow) {
  const Owned bytes(DType::i8, {2, 3}, std::vector<int8_t>{1, -2, 127, -128, 0, 5});
  const Owned scales(DType::f32, {2, 1}, Floats{0.5f, 2});
  QuantizedMatrix matrix{.rows = 2, .cols = 3, .bytes = &bytes.tensor};
  matrix.scales = {.values = &scales.tensor, .block_cols = 3};
  EXPECT_EQ(decoded(matrix, 0), (Floats{0.5f, -1, 63.5f}));
  EXPECT_EQ(decoded(matrix, 1), (Floats{-256, 0, 10}));
}

TEST(QuantizedMatrices, OfFloatsHaveAScaleABlock) {
  // 1, 2, -1.5 and 448, and the smallest.
  const Owned bytes(DType::f8_e4m3, {3, 3},
                    std::vector<uint8_t>{0x38, 0x40, 0xbc, 0x7e, 0x01, 0x00, 0x38, 0x38, 0x38});
  const Owned scales(DType::f32, {2, 2}, Floats{1, 10, 100, 1000});
  QuantizedMatrix matrix{.rows = 3, .cols = 3, .bytes = &bytes.tensor};
  matrix.scales = {.values = &scales.tensor, .block_rows = 2, .block_cols = 2};
  EXPECT_EQ(decoded(matrix, 0), (Floats{1, 2, -15}));
  EXPECT_EQ(decoded(matrix, 1), (Floats{448, 0x1p-9f, 0}));
  EXPECT_EQ(decoded(matrix, 2), (Floats{100, 100, 1000}));
}

TEST(QuantizedMatrices, OfWordsHaveZerosAGroup) {
  const Owned words(DType::i32, {2, 8}, Words(16, 0x99999999));    // [inputs / 8, outputs]
  const Owned zeros(DType::i32, {2, 1}, Words{0x00000070, 0x80});  // [groups, outputs / 8]
  Floats values(16, 1);
  values[1] = 0.5f, values[8 + 1] = 2;  // [groups, outputs]
  const Owned scales(DType::f32, {2, 8}, values);
  QuantizedMatrix matrix{.rows = 8, .cols = 16};
  matrix.codes = {.words = &words.tensor, .bits = 4, .packing = kGptqCodes};
  matrix.zeros = {.words = &zeros.tensor, .bits = 4, .packing = kGptqZeros};
  matrix.zero = 1;
  matrix.scales = {.values = &scales.tensor, .transposed = true, .block_cols = 8};
  Floats expected(16, 0.5f * (9 - 8));
  std::fill(expected.begin() + 8, expected.end(), 2 * (9 - 9.0f));
  EXPECT_EQ(decoded(matrix, 1), expected);
  EXPECT_EQ(decoded(matrix, 0), Floats(16, 8));
}

TEST(QuantizedMatrices, SayWhichTensorDoesNotFit) {
  const Owned bytes(DType::i8, {2, 2}, std::vector<int8_t>(4));
  const Owned scales(DType::f32, {2, 1}, Floats{1, 1});
  QuantizedMatrix matrix{.rows = 2, .cols = 2, .bytes = &bytes.tensor};
  matrix.scales = {.values = &scales.tensor, .block_cols = 2};
  EXPECT_TRUE(matrix.check().ok());
  matrix.cols = 3;
  EXPECT_TRUE(says(matrix.check().error().message,
                   "f: tensor 't' is F32 of shape [2, 1]; expected "
                   "F32, BF16 or F16 of shape [2, 2]"));
  matrix.scales.block_cols = 3;
  EXPECT_TRUE(says(matrix.check().error().message,
                   "is I8 of shape [2, 2]; expected I8 or F8_E4M3 of shape [2, 3]"));
  const Owned infinite(DType::f32, {2, 1}, Floats{1, INFINITY});
  matrix.scales.values = &infinite.tensor;
  EXPECT_TRUE(says(matrix.check().error().message, "element 1 is not a finite number"));
  const Owned nan(DType::f8_e4m3, {2, 2}, std::vector<uint8_t>{0, 0, 0xff, 0});
  QuantizedMatrix floats{.rows = 2, .cols = 2, .bytes = &nan.tensor};
  floats.scales = {.values = &scales.tensor, .block_cols = 2};
  EXPECT_TRUE(says(floats.check().error().message, "element 2 is not a finite number"));
  const Owned words(DType::i32, {1, 1}, Words{0});
  const PackedCodes codes{.words = &words.tensor, .bits = 4, .packing = kGptqCodes};
  EXPECT_TRUE(says(codes.check(8, 16).error().message, "expected I32 of shape [2, 8]"));
}

// ---- even codes ----

/// The codes of a row, against what it decodes to.
void expect_codes(const QuantizedMatrix& matrix, int bits) {
  ASSERT_TRUE(matrix.check().ok());
  ASSERT_EQ(matrix.even_codes(), bits);
  std::vector<uint8_t> codes(static_cast<size_t>(bytes_of_codes(matrix.cols, bits)));
  std::vector<Half> scales(static_cast<size_t>(scales_of_codes(matrix.cols)));
  for (int64_t row = 0; row < matrix.rows; ++row) {
    const Floats numbers = decoded(matrix, row);
    matrix.read_codes(row, {codes, scales});
    for (size_t i = 0; i < numbers.size(); ++i) {
      const int code = bits == 8 ? codes[i] : codes[i / 2] >> (i % 2 * 4) & 15;
      const float number =
          static_cast<float>(scales[i / 32]) * static_cast<float>(code - (1 << (bits - 1)));
      ASSERT_EQ(number, numbers[i]) << "row " << row << " column " << i;
    }
  }
}

/// Scales that f16 holds.
Floats random_scales(Rng& rng, size_t count) {
  Floats scales;
  for (size_t i = 0; i < count; ++i) {
    scales.push_back(static_cast<float>(nearest_half(0.01f * (1 + rng.uniform()))));
  }
  return scales;
}

Words random_words(Rng& rng, size_t count) {
  Words words;
  for (size_t i = 0; i < count; ++i) words.push_back(static_cast<uint32_t>(rng.bits()));
  return words;
}

TEST(EvenCodes, OfBytes) {
  Rng rng(1);
  constexpr int64_t kRows = 3, kCols = 45;
  std::vector<int8_t> values;
  for (int i = 0; i < kRows * kCols; ++i) values.push_back(static_cast<int8_t>(rng.bits()));
  const Owned bytes(DType::i8, {kRows, kCols}, values);
  const Owned scales(DType::f32, {kRows, 1}, random_scales(rng, kRows));
  QuantizedMatrix matrix{.rows = kRows, .cols = kCols, .bytes = &bytes.tensor};
  matrix.scales = {.values = &scales.tensor, .block_cols = kCols};
  expect_codes(matrix, 8);
}

TEST(EvenCodes, OfWordsInGroups) {
  Rng rng(2);
  constexpr int64_t kRows = 5, kCols = 256;
  for (const int bits : {4, 8}) {
    for (const int64_t group : {32, 64, 128}) {
      const Owned words(DType::i32, {kRows, kCols * bits / 32},
                        random_words(rng, static_cast<size_t>(kRows * kCols * bits / 32)));
      const Owned scales(DType::f32, {kRows, kCols / group},
                         random_scales(rng, static_cast<size_t>(kRows * kCols / group)));
      QuantizedMatrix matrix{.rows = kRows, .cols = kCols};
      matrix.codes = {.words = &words.tensor, .bits = bits, .packing = kCompressedCodes};
      matrix.zero = 1 << (bits - 1);
      matrix.scales = {.values = &scales.tensor, .block_cols = group};
      expect_codes(matrix, bits);
      matrix.zero += 1;
      EXPECT_EQ(matrix.even_codes(), 0) << "another middle";
    }
  }
}

TEST(EvenCodes, OfWordsWhoseZerosAreAllTheMiddle) {
  Rng rng(3);
  constexpr int64_t kRows = 8, kCols = 64;
  const Owned words(DType::i32, {kCols / 8, kRows}, random_words(rng, kRows * kCols / 8));
  const Owned scales(DType::f32, {2, kRows}, random_scales(rng, 2 * kRows));
  for (const uint32_t other : {0u, 1u}) {
    const Owned zeros(DType::i32, {2, 1}, Words{0x77777777, 0x77777777 - other});
    QuantizedMatrix matrix{.rows = kRows, .cols = kCols};
    matrix.codes = {.words = &words.tensor, .bits = 4, .packing = kGptqCodes};
    matrix.zeros = {.words = &zeros.tensor, .bits = 4, .packing = kGptqZeros};
    matrix.zero = 1;
    matrix.scales = {.values = &scales.tensor, .transposed = true, .block_cols = 32};
    if (other == 0) expect_codes(matrix, 4);
    EXPECT_EQ(matrix.even_codes(), other == 0 ? 4 : 0);
  }
}

TEST(EvenCodes, NeedScalesThatFit) {
  const Owned bytes(DType::i8, {1, 64}, std::vector<int8_t>(64, 3));
  const auto bits_with = [&](float scale, int64_t group) {
    const Owned scales(DType::f32, {1, 64 / group}, Floats(static_cast<size_t>(64 / group), scale));
    QuantizedMatrix matrix{.rows = 1, .cols = 64, .bytes = &bytes.tensor};
    matrix.scales = {.values = &scales.tensor, .block_cols = group};
    return matrix.even_codes();
  };
  EXPECT_EQ(bits_with(0.1f, 32), 8);
  EXPECT_EQ(bits_with(-65504, 64), 8);
  EXPECT_EQ(bits_with(0, 64), 8);
  EXPECT_EQ(bits_with(0.1f, 16), 0) << "more scales than one for 32";
  EXPECT_EQ(bits_with(65536, 32), 0);
  EXPECT_EQ(bits_with(0x1p-15f, 32), 0);
  const Owned floats(DType::f8_e4m3, {1, 64}, std::vector<uint8_t>(64, 3));
  const Owned one(DType::f32, {1, 1}, Floats{1});
  QuantizedMatrix matrix{.rows = 1, .cols = 64, .bytes = &floats.tensor};
  matrix.scales = {.values = &one.tensor, .block_cols = 64};
  EXPECT_EQ(matrix.even_codes(), 0) << "floats";
}

}  // namespace
}  // namespace tidar
