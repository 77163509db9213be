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

/// A matrix in a backend's memory inside a wider one, as the slices of q | k | v are: rows are
/// neither adjacent nor aligned. The backend must outlive it.
class Slice {
 public:
  Slice(Ops& ops, DType dtype, int64_t rows, int64_t cols)
      : memory_(
            ops.allocate(rows * (cols + kBefore + kAfter) * static_cast<int64_t>(size_of(dtype)))),
        all_(Matrix(memory_->data, dtype, rows, cols + kBefore + kAfter)
                 .col_range(kBefore, kBefore + cols)) {}
  Matrix first_rows(int64_t rows) const { return all_.row_range(0, rows); }

 private:
  static constexpr int64_t kBefore = 3, kAfter = 2;
  std::unique_ptr<Memory> memory_;
  Matrix all_;
};

/// Normal numbers [rows, cols], exact in `dtype`, of which some rows are loaded to a backend.
class Input {
 public:
  Input(Ops& ops, Rng& rng, DType dtype, int64_t rows, int64_t cols)
      : ops_(ops), all_(dtype, rows, cols), loaded_(ops, dtype, rows, cols) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        // Rounded to float first, so that a float64 backend gets the same numbers.
        set_element(all_, r, c, rng.normal());
      }
    }
  }
  /// On the host; what is changed here shows with the next load.
  Matrix all() const { return all_; }
  void scale_row(int64_t row, double factor) {
    for (int64_t c = 0; c < all_->cols; ++c) {
      set_element(all_, row, c, static_cast<float>(factor * element(all_, row, c)));
    }
  }
  void load(std::span<const int32_t> rows) {
    count_ = count_of(rows);
    for (int64_t r = 0; r < count_; ++r) {
      const int64_t from = rows[static_cast<size_t>(r)];
      ops_.write(Matrix(all_).row_range(from, from + 1), view().row_range(r, r + 1));
    }
  }
  Matrix view() const { return loaded_.first_rows(count_); }

 private:
  Ops& ops_;
  Grid all_;
  Slice loaded_;
  int64_t count_ = 0;
};

inline Rows rows_of(Ops& ops, Matrix matrix) {
  const Grid host(matrix.dtype, matrix.rows, matrix.cols);
  ops.read(matrix, host);
  Rows rows(static_cast<size_t>(matrix.rows));
  for (int64_t r = 0; r < matrix.rows; ++r) {
    for (int64_t c = 0; c < matrix.cols; ++c) {
      rows[static_cast<size_t>(r)].push_back(element(host, r, c));
    }
  }
  return rows;
}

/// The rows of a pass that keeps nothing.
struct PlainRows {
  std::vector<int32_t> tokens{}, positions{};  ///< empty: zeros
  std::vector<Sight> sights{};                 ///< empty: each row sees itself
};

/// A prepared pass of one sequence of `rows` rows, without a store.
inline std::unique_ptr<PreparedPass> prepare_rows(Ops& ops, size_t rows, const PlainRows& of) {
  Pass pass;
  pass.begin_sequence();
  for (size_t r = 0; r < rows; ++r) {
    const auto row = static_cast<int32_t>(r);
    pass.add_row(of.tokens.empty() ? 0 : of.tokens[r], of.positions.empty() ? 0 : of.positions[r],
                 of.sights.empty() ? Sight{{row, row + 1}, {}} : of.sights[r], Keep::scratch);
  }
  std::unique_ptr<PreparedPass> prepared;
  ops.prepare(pass, nullptr, prepared);
  return prepared;
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

inline std::unique_ptr<PackedVector> pack_floats(Ops& ops, const std::vector<float>& values) {
  const HostMatrix part = {reinterpret_cast<const std::byte*>(values.data()), DType::f32, 1,
                           static_cast<int64_t>(values.size())};
  return ops.pack_vector({&part, 1});
}

/// Frequencies of a rotary embedding for heads of this size.
inline std::vector<double> rope_frequencies(int head_size) {
  std::vector<double> frequencies;
  for (int i = 0; i < head_size / 2; ++i) {
    frequencies.push_back(std::pow(1e4, -2.0 * i / head_size));
  }
  return frequencies;
}

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
