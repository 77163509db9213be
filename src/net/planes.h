#pragma once
// Memory of activations, allocated once and used from the first row on.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>

#include "ops/ops.h"

namespace tidar {

/// Keys and rows that a network can be built for, at most. A backend may number every key by an
/// int32, and those of rows several times over.
inline constexpr int64_t kMostKeys = std::numeric_limits<int32_t>::max() / 2;
inline constexpr int64_t kMostRows = kMostKeys / 64;

/// Matrices of equally many rows, one behind another in one piece of a backend's memory, each
/// aligned to 64 bytes. Owns that memory; the matrices are views of it, for whoever asked for them.
class Planes {
 public:
  struct Plane {
    Matrix* matrix;  ///< becomes a view of [rows, cols]
    DType dtype;
    int64_t cols;
  };

  Planes(Ops& ops, int64_t rows, std::initializer_list<Plane> planes) {
    int64_t bytes = 0;
    for (const Plane& plane : planes) bytes += aligned_bytes(rows, plane);
    memory_ = ops.allocate(bytes);
    std::byte* next = memory_->data;
    for (const Plane& plane : planes) {
      *plane.matrix = Matrix(next, plane.dtype, rows, plane.cols);
      next += aligned_bytes(rows, plane);
    }
  }

  int64_t bytes() const { return memory_->bytes; }

 private:
  static int64_t aligned_bytes(int64_t rows, const Plane& plane) {
    constexpr int64_t kAlignment = 64;
    const int64_t bytes = rows * plane.cols * static_cast<int64_t>(size_of(plane.dtype));
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  std::unique_ptr<Memory> memory_;
};

/// The first rows of a plane.
inline Matrix first(Matrix plane, int64_t rows) { return plane.row_range(0, rows); }

}  // namespace tidar
