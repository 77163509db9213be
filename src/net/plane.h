#pragma once
// Memory of activations that is allocated once and used from the first row on.

#include "base/buffer.h"
#include "base/matrix.h"

namespace tidar {

/// A matrix of up to `rows` rows that owns its elements.
class Plane {
 public:
  Plane(DType dtype, int64_t rows, int64_t cols)
      : memory_(static_cast<size_t>(rows * cols) * size_of(dtype)),
        all_(memory_.data(), dtype, rows, cols) {}

  Matrix first(int64_t rows) const { return all_.row_range(0, rows); }
  int64_t bytes() const { return static_cast<int64_t>(memory_.bytes()); }

 private:
  Buffer memory_;
  Matrix all_;
};

}  // namespace tidar
