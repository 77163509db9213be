#pragma once
// Matrices that own their elements, and reading any matrix as numbers, for wrappers and cases.

#include <cmath>
#include <vector>

#include "base/matrix.h"

namespace tidar {

/// Element (r, c) of a matrix of any floating type; exact.
inline double element(Matrix matrix, int64_t r, int64_t c) {
  return with_float_type(matrix.dtype, [&]<class T>(T*) -> double {
    if constexpr (sizeof(T) == 2)
      return static_cast<float>(matrix.row<T>(r)[c]);
    else
      return matrix.row<T>(r)[c];
  });
}

/// Sets element (r, c), rounded to the matrix's type (f32, f64, bf16).
inline void set_element(Matrix matrix, int64_t r, int64_t c, double value) {
  switch (matrix.dtype) {
    case DType::f64:
      matrix.row<double>(r)[c] = value;
      break;
    case DType::f32:
      matrix.row<float>(r)[c] = static_cast<float>(value);
      break;
    case DType::bf16:
      matrix.row<BFloat16>(r)[c] = BFloat16(static_cast<float>(value));
      break;
    default:
      fail_check(__FILE__, __LINE__, "not a type of activations");
  }
}

/// Euclidean norm of elements [from, to) of a row.
inline double norm_of(Matrix matrix, int64_t r, int64_t from, int64_t to) {
  double squares = 0;
  for (int64_t c = from; c < to; ++c) squares += element(matrix, r, c) * element(matrix, r, c);
  return std::sqrt(squares);
}

/// A matrix [rows, cols] of zeros, in host memory, that owns its elements. Moves; the view that it
/// gave before stays good, since the elements stay where they are.
class Grid {
 public:
  Grid() = default;
  Grid(DType dtype, int64_t rows, int64_t cols)
      : bytes_(static_cast<size_t>(rows * cols) * size_of(dtype)),
        view_(bytes_.data(), dtype, rows, cols) {}

  /// The elements of `other`, converted.
  static Grid copy(Matrix other, DType dtype) {
    Grid grid(dtype, other.rows, other.cols);
    for (int64_t r = 0; r < other.rows; ++r) {
      for (int64_t c = 0; c < other.cols; ++c) set_element(grid, r, c, element(other, r, c));
    }
    return grid;
  }

  Grid(Grid&&) = default;
  Grid& operator=(Grid&&) = default;

  operator Matrix() const { return view_; }
  const Matrix* operator->() const { return &view_; }

 private:
  std::vector<std::byte> bytes_;
  Matrix view_;
};

}  // namespace tidar
