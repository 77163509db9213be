#pragma once
// What backward cases are made of.

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "ops/cases/backward_cases.h"
#include "ops/cases/inputs.h"
#include "ops/cases/sizes.h"
#include "ops/wrap/tolerance.h"

namespace tidar {

/// Whether numbers fit bf16, so that rounding to it changes nothing: results then have to be as
/// near to the truth as sums of floats are.
enum class Numbers : uint8_t { any_float, fit_bf16 };

/// Normal numbers as doubles, [rows, cols].
inline Grid normal_grid(Rng& rng, int64_t rows, int64_t cols, Numbers numbers, double spread = 1) {
  Grid grid(DType::f64, rows, cols);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const auto value = static_cast<float>(spread * rng.normal());
      set_element(grid, r, c,
                  numbers == Numbers::fit_bf16 ? static_cast<float>(BFloat16(value)) : value);
    }
  }
  return grid;
}

/// A copy of `values` of some type, inside a wider matrix in the host's memory.
class Placed {
 public:
  Placed(Matrix values, DType dtype)
      : wide_(dtype, values.rows, values.cols + kBefore + kAfter), cols_(values.cols) {
    for (int64_t r = 0; r < values.rows; ++r) {
      for (int64_t c = 0; c < values.cols; ++c) set_element(*this, r, c, element(values, r, c));
    }
  }
  operator Matrix() const { return Matrix(wide_).col_range(kBefore, kBefore + cols_); }

 private:
  static constexpr int64_t kBefore = 3, kAfter = 2;
  Grid wide_;
  int64_t cols_;
};

inline Outcome outcome(std::string name, Matrix values) {
  return {std::move(name), Grid::copy(values, DType::f64)};
}

/// Fills a grid with value(r, c).
template <class Value>
Grid grid_of(Matrix shape, Value&& value) {
  Grid grid(DType::f64, shape.rows, shape.cols);
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t c = 0; c < shape.cols; ++c) set_element(grid, r, c, value(r, c));
  }
  return grid;
}

/// Euclidean norms of the rows, and of the columns.
inline std::vector<double> row_norms(Matrix x) {
  std::vector<double> norms;
  for (int64_t r = 0; r < x.rows; ++r) norms.push_back(norm_of(x, r, 0, x.cols));
  return norms;
}
inline std::vector<double> column_norms(Matrix x) {
  std::vector<double> norms(static_cast<size_t>(x.cols));
  for (int64_t c = 0; c < x.cols; ++c) {
    double squares = 0;
    for (int64_t r = 0; r < x.rows; ++r) squares += element(x, r, c) * element(x, r, c);
    norms[static_cast<size_t>(c)] = std::sqrt(squares);
  }
  return norms;
}

}  // namespace tidar
