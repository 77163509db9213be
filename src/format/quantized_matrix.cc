#include "format/quantized_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/dtype.h"
#include "base/half.h"
#include "format/files.h"
#include "format/tensor_header.h"

namespace tidar {
namespace {

constexpr int kWordBits = 32;

int64_t blocks_of(int64_t size, int64_t block) { return (size + block - 1) / block; }

template <class T>
T element(const StoredTensor& tensor, int64_t at) {
  T value;
  std::memcpy(&value, tensor.data.data() + static_cast<size_t>(at) * sizeof value, sizeof value);
  return value;
}

Error wrong(const StoredTensor& tensor, std::string_view type, const std::vector<int64_t>& shape) {
  return error("{}: tensor {} is {} of shape {}; expected {} of shape {}", tensor.file,
               in_quotes(tensor.name), header_name(tensor.dtype), shape_text(tensor.shape), type,
               shape_text(shape));
}

}  // namespace

Result<void> PackedCodes::check(int64_t rows, int64_t cols) const {
  if (packing.transposed) std::swap(rows, cols);
  std::vector<int64_t> shape = {rows, cols};
  int64_t& packed = shape[static_cast<size_t>(packing.packed_axis)];
  packed = blocks_of(packed, kWordBits / bits);
  if (words->dtype == DType::i32 && words->shape == shape) return {};
  return wrong(*words, "I32", shape);
}

int PackedCodes::at(int64_t row, int64_t col) const {
  if (packing.transposed) std::swap(row, col);
  const int64_t in_word = kWordBits / bits, width = words->shape[1];
  const bool along_cols = packing.packed_axis == 1;
  const int64_t along = along_cols ? col : row;
  const int64_t word = along_cols ? row * width + col / in_word : row / in_word * width + col;
  const int place = packing.places[static_cast<size_t>(along % in_word)];
  const auto value = element<uint32_t>(*words, word);
  return static_cast<int>(value >> (bits * place) & ((1u << bits) - 1));
}

Result<void> BlockScales::check(int64_t rows, int64_t cols) const {
  std::vector<int64_t> shape = {blocks_of(rows, block_rows), blocks_of(cols, block_cols)};
  if (transposed) std::swap(shape[0], shape[1]);
  const DType type = values->dtype;
  const bool type_fits = type == DType::f32 || type == DType::f16 || type == DType::bf16;
  // One of a row, or of all, may be of fewer dimensions.
  const int64_t count = shape[0] * shape[1];
  const bool flat = shape[1] == 1 && (values->shape == std::vector<int64_t>{count} ||
                                      (count == 1 && values->shape.empty()));
  if (!type_fits || (values->shape != shape && !flat)) {
    return wrong(*values, "F32, BF16 or F16", shape);
  }
  if (const auto at = first_not_finite(*values)) {
    return error("{}: tensor {}: element {} is not a finite number; the file is broken",
                 values->file, in_quotes(values->name), *at);
  }
  return {};
}

float BlockScales::at(int64_t block_row, int64_t block_col) const {
  if (transposed) std::swap(block_row, block_col);
  const int64_t width = values->shape.size() == 2 ? values->shape[1] : 1;
  const int64_t index = block_row * width + block_col;
  switch (values->dtype) {
    case DType::f32:
      return element<float>(*values, index);
    case DType::f16:
      return static_cast<float>(element<Half>(*values, index));
    default:
      return static_cast<float>(element<BFloat16>(*values, index));
  }
}

Result<void> QuantizedMatrix::check() const {
  TIDAR_CHECK((bytes != nullptr) != codes.has_value());
  TIDAR_TRY_VOID(scales.check(rows, cols));
  if (codes) TIDAR_TRY_VOID(codes->check(rows, cols));
  if (zeros) TIDAR_TRY_VOID(zeros->check(rows, blocks_of(cols, scales.block_cols)));
  if (bytes == nullptr) return {};
  const bool is_float = bytes->dtype == DType::f8_e4m3;
  if ((!is_float && bytes->dtype != DType::i8) ||
      bytes->shape != std::vector<int64_t>{rows, cols}) {
    return wrong(*bytes, "I8 or F8_E4M3", {rows, cols});
  }
  if (!is_float) return {};
  if (const auto at = first_not_finite(*bytes)) {
    return error("{}: tensor {}: element {} is not a finite number; the file is broken",
                 bytes->file, in_quotes(bytes->name), *at);
  }
  return {};
}

void QuantizedMatrix::decode_row(int64_t row, std::span<float> out) const {
  TIDAR_CHECK_EQ(static_cast<int64_t>(out.size()), cols);
  for (int64_t begin = 0; begin < cols; begin += scales.block_cols) {
    const int64_t block = begin / scales.block_cols;
    const int64_t end = std::min(cols, begin + scales.block_cols);
    const float scale = scales.at(row / scales.block_rows, block);
    const int here = zero + (zeros ? zeros->at(row, block) : 0);
    for (int64_t col = begin; col < end; ++col) {
      float code = 0;
      if (codes) {
        code = static_cast<float>(codes->at(row, col) - here);
      } else if (bytes->dtype == DType::i8) {
        code = static_cast<float>(element<int8_t>(*bytes, row * cols + col) - here);
      } else {
        code = static_cast<float>(element<Float8E4M3>(*bytes, row * cols + col));
      }
      out[static_cast<size_t>(col)] = code * scale;
    }
  }
}

namespace {

bool fits_half(float scale) {
  constexpr float kSmallest = 0x1p-14f, kLargest = 65504;  // below and above, f16 loses more
  const float size = std::abs(scale);
  return scale == 0 || (size >= kSmallest && size <= kLargest);
}

}  // namespace

int QuantizedMatrix::even_codes() const {
  if (bytes != nullptr && bytes->dtype != DType::i8) return 0;
  const int bits = codes ? codes->bits : 8;
  const int middle = codes ? 1 << (bits - 1) : 0;
  if (scales.block_cols % kCodesOfScale != 0 && scales.block_cols < cols) return 0;
  const int64_t row_blocks = blocks_of(rows, scales.block_rows),
                col_blocks = blocks_of(cols, scales.block_cols);
  for (int64_t row = 0; row < row_blocks; ++row) {
    for (int64_t block = 0; block < col_blocks; ++block) {
      if (!fits_half(scales.at(row, block))) return 0;
    }
  }
  if (!zeros) return zero == middle ? bits : 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t block = 0; block < col_blocks; ++block) {
      if (zero + zeros->at(row, block) != middle) return 0;
    }
  }
  return bits;
}

void QuantizedMatrix::read_codes(int64_t row, const GroupCodes& out) const {
  const int bits = codes ? codes->bits : 8;
  TIDAR_CHECK_EQ(static_cast<int64_t>(out.codes.size()), bytes_of_codes(cols, bits));
  TIDAR_CHECK_EQ(static_cast<int64_t>(out.scales.size()), scales_of_codes(cols));
  for (int64_t group = 0; group < scales_of_codes(cols); ++group) {
    const int64_t block = group * kCodesOfScale / scales.block_cols;
    out.scales[static_cast<size_t>(group)] =
        nearest_half(scales.at(row / scales.block_rows, block));
  }
  std::fill(out.codes.begin(), out.codes.end(), uint8_t{0});
  for (int64_t col = 0; col < cols; ++col) {
    const int here = codes ? codes->at(row, col)
                           : static_cast<uint8_t>(element<int8_t>(*bytes, row * cols + col)) ^ 0x80;
    uint8_t& byte = out.codes[static_cast<size_t>(col * bits / 8)];
    byte = static_cast<uint8_t>(byte | here << (col * bits % 8));
  }
}

}  // namespace tidar
