#include "base/matrix.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace tidar {
namespace {

TEST(Matrix, RangesOfRowsAndColumnsAreViewsOfTheSameElements) {
  std::vector<float> values(5 * 7);
  std::iota(values.begin(), values.end(), 0.0f);
  const Matrix whole(values.data(), DType::f32, 5, 6, 7);  // one element of padding a row
  EXPECT_EQ(whole.bytes(), 5 * 6 * 4);
  EXPECT_EQ(whole.row<float>(2)[3], 2 * 7 + 3);

  const Matrix part = whole.row_range(1, 4).col_range(2, 5);
  EXPECT_EQ(part.rows, 3);
  EXPECT_EQ(part.cols, 3);
  for (int64_t row = 0; row < part.rows; ++row) {
    for (int64_t col = 0; col < part.cols; ++col) {
      EXPECT_EQ(part.row<float>(row)[col], static_cast<float>((row + 1) * 7 + col + 2));
    }
  }
}

TEST(MatrixDeathTest, RangesEndInside) {
  const Matrix empty(nullptr, DType::f32, 2, 3);
  EXPECT_DEATH(empty.row_range(0, 3), "to <= rows");
  EXPECT_DEATH(empty.col_range(0, 4), "to <= cols");
}

TEST(WithFloatType, CallsWithTheElementType) {
  const auto size = [](auto* element) { return sizeof(*element); };
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    EXPECT_EQ(with_float_type(dtype, size), size_of(dtype));
  }
  EXPECT_DEATH(with_float_type(DType::i32, size), "not a floating type");
}

}  // namespace
}  // namespace tidar
