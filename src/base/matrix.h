#pragma once
// The one tensor view that passes between rooms: rows of equal length. There are no others of more
// dimensions: heads lie side by side in the columns of a row, sequences one below the other.

#include <cstdint>

#include "base/check.h"
#include "base/dtype.h"

namespace tidar {

/// A view of `rows` rows of `cols` elements, `stride` elements apart. Does not own: it is good for
/// as long as the memory behind it, and cheap to copy. Whether a function reads or writes it stands
/// in that function's contract. A backend may give one whose memory the host must not touch
/// (ops/ops.h); there, only its shape is looked at.
struct Matrix {
  std::byte* data = nullptr;  ///< nullptr: no matrix, where one may be missing
  DType dtype = DType::f32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;  ///< elements from a row to the next, at least cols

  Matrix() = default;
  Matrix(void* data_, DType dtype_, int64_t rows_, int64_t cols_)
      : Matrix(data_, dtype_, rows_, cols_, cols_) {}
  Matrix(void* data_, DType dtype_, int64_t rows_, int64_t cols_, int64_t stride_)
      : data(static_cast<std::byte*>(data_)),
        dtype(dtype_),
        rows(rows_),
        cols(cols_),
        stride(stride_) {}

  /// First element of row i, in host memory. T must be the element type; neither that nor the range
  /// of i is checked.
  template <class T>
  T* row(int64_t i) const {
    return reinterpret_cast<T*>(data) + i * stride;
  }

  /// Rows [from, to), of the same memory.
  Matrix row_range(int64_t from, int64_t to) const {
    TIDAR_CHECK_LE(to, rows);
    return Matrix(data + from * stride * static_cast<int64_t>(size_of(dtype)), dtype, to - from,
                  cols, stride);
  }

  /// Columns [from, to) of every row, of the same memory and with the same stride.
  Matrix col_range(int64_t from, int64_t to) const {
    TIDAR_CHECK_LE(to, cols);
    return Matrix(data + from * static_cast<int64_t>(size_of(dtype)), dtype, rows, to - from,
                  stride);
  }

  /// Of the elements alone, without what lies between rows.
  int64_t bytes() const { return rows * cols * static_cast<int64_t>(size_of(dtype)); }
};

/// Calls f with a null pointer to the element type of `dtype`, one of the four floating ones, and
/// returns what f returns: with_float_type(m.dtype, [&]<class T>(T*) { use(m.row<T>(0)); }).
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
