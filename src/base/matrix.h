#pragma once
// The one tensor view that passes between rooms: rows of equal length.

#include <cstdint>

#include "base/check.h"
#include "base/dtype.h"

namespace tidar {

/// A view of `rows` rows of `cols` elements, `stride` elements apart. Does not own. Whether a
/// function reads or writes it stands in that function's contract.
struct Matrix {
  std::byte* data = nullptr;
  DType dtype = DType::f32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  Matrix() = default;
  Matrix(void* data_, DType dtype_, int64_t rows_, int64_t cols_)
      : Matrix(data_, dtype_, rows_, cols_, cols_) {}
  Matrix(void* data_, DType dtype_, int64_t rows_, int64_t cols_, int64_t stride_)
      : data(static_cast<std::byte*>(data_)),
        dtype(dtype_),
        rows(rows_),
        cols(cols_),
        stride(stride_) {}

  /// First element of row i. T must be the element type.
  template <class T>
  T* row(int64_t i) const {
    return reinterpret_cast<T*>(data) + i * stride;
  }

  /// Rows [from, to).
  Matrix row_range(int64_t from, int64_t to) const {
    TIDAR_CHECK_LE(to, rows);
    return Matrix(data + from * stride * static_cast<int64_t>(size_of(dtype)), dtype, to - from,
                  cols, stride);
  }

  /// Columns [from, to) of every row.
  Matrix col_range(int64_t from, int64_t to) const {
    TIDAR_CHECK_LE(to, cols);
    return Matrix(data + from * static_cast<int64_t>(size_of(dtype)), dtype, rows, to - from,
                  stride);
  }

  int64_t bytes() const { return rows * cols * static_cast<int64_t>(size_of(dtype)); }
};

/// Calls f(T*) with the element type of `dtype` among the floating ones that activations use.
template <class F>
decltype(auto) with_float_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(static_cast<float*>(nullptr));
    case DType::f64:
      return f(static_cast<double*>(nullptr));
    case DType::bf16:
      return f(static_cast<BFloat16*>(nullptr));
    case DType::f16:
      return f(static_cast<Half*>(nullptr));
    default:
      fail_check(__FILE__, __LINE__, "not a floating type");
  }
}

}  // namespace tidar
