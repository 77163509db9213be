#pragma once
// What cases are made of: random numbers, and the rows of them that a call gets.

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "ops/cases/cases.h"
#include "ops/wrap/grid.h"

namespace tidar {

inline int64_t count_of(std::span<const int32_t> rows) { return static_cast<int64_t>(rows.size()); }

/// A matrix inside a wider one, as the slices of q | k | v are: rows are neither adjacent nor
/// aligned.
class Slice {
 public:
  Slice(DType dtype, int64_t rows, int64_t cols)
      : grid_(dtype, rows, cols + kBefore + kAfter), cols_(cols) {}
  Matrix first_rows(int64_t rows) const {
    return Matrix(grid_).col_range(kBefore, kBefore + cols_).row_range(0, rows);
  }

 private:
  static constexpr int64_t kBefore = 3, kAfter = 2;
  Grid grid_;
  int64_t cols_;
};

/// Normal numbers [rows, cols], exact in `dtype`, of which some rows are loaded.
class Input {
 public:
  Input(Rng& rng, DType dtype, int64_t rows, int64_t cols)
      : all_(dtype, rows, cols), loaded_(dtype, rows, cols) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        // Rounded to float first, so that a float64 backend gets the same numbers.
        set_element(all_, r, c, rng.normal());
      }
    }
  }
  Matrix all() const { return all_; }
  void scale_row(int64_t row, double factor) {
    for (int64_t c = 0; c < all_->cols; ++c) {
      set_element(all_, row, c, static_cast<float>(factor * element(all_, row, c)));
    }
  }
  void load(std::span<const int32_t> rows) {
    count_ = count_of(rows);
    for (int64_t r = 0; r < count_; ++r) {
      for (int64_t c = 0; c < all_->cols; ++c) {
        set_element(view(), r, c, element(all_, rows[static_cast<size_t>(r)], c));
      }
    }
  }
  Matrix view() const { return loaded_.first_rows(count_); }

 private:
  Grid all_;
  Slice loaded_;
  int64_t count_ = 0;
};

inline Rows rows_of(Matrix matrix) {
  Rows rows(static_cast<size_t>(matrix.rows));
  for (int64_t r = 0; r < matrix.rows; ++r) {
    for (int64_t c = 0; c < matrix.cols; ++c) {
      rows[static_cast<size_t>(r)].push_back(element(matrix, r, c));
    }
  }
  return rows;
}

/// The entries of `values` that belong to `rows`.
template <class T>
std::vector<T> pick(const std::vector<T>& values, std::span<const int32_t> rows) {
  std::vector<T> picked;
  for (const int32_t row : rows) picked.push_back(values[static_cast<size_t>(row)]);
  return picked;
}

/// A weight as a file holds it: normal numbers / sqrt(K) of type f32 or bf16, at an odd address.
class FileWeight {
 public:
  FileWeight(Rng& rng, DType dtype, int64_t rows, int64_t cols)
      : bytes_(static_cast<size_t>(rows * cols) * size_of(dtype) + 1) {
    matrix_ = {bytes_.data() + 1, dtype, rows, cols};
    const float scale = 1 / std::sqrt(static_cast<float>(cols));
    for (int64_t i = 0; i < rows * cols; ++i) {
      const float value = scale * rng.normal();
      const BFloat16 narrow(value);
      const void* from = dtype == DType::bf16 ? static_cast<const void*>(&narrow) : &value;
      std::memcpy(bytes_.data() + 1 + static_cast<size_t>(i) * size_of(dtype), from,
                  size_of(dtype));
    }
  }
  FileWeight(FileWeight&&) = default;
  const HostMatrix& matrix() const { return matrix_; }

 private:
  std::vector<std::byte> bytes_;
  HostMatrix matrix_;
};

inline std::vector<float> normal_floats(Rng& rng, int64_t count, float mean, float spread) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(mean + spread * rng.normal());
  return values;
}

/// A Case whose prepared form is Prepared(ops, shape, seed).
template <class Prepared, class Shape>
Case case_of(Verb verb, std::string name, int32_t rows, const Shape& shape, uint64_t seed) {
  return {verb, std::move(name), rows, [shape, seed](Ops& ops) -> std::unique_ptr<PreparedCase> {
            return std::make_unique<Prepared>(ops, shape, seed);
          }};
}

}  // namespace tidar
