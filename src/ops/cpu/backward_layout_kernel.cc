// Matrices laid out anew for products: narrowed, transposed, and as panels.

#include "ops/cpu/backward_kernels.h"
#include "ops/cpu/transpose.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

template <class T>
void narrow_row(const float* row, int64_t count, int64_t padded, T* out) {
  constexpr int kRun = kPerLane<T> * kLanes;
  for (int64_t i = 0; i < padded; i += kRun) {
    const Ints run = load_run<T>(row + i, count - i);
    if (padded - i >= kRun) {
      store_lanes(out + i, run);
    } else {
      T whole[kRun];
      store_lanes(whole, run);
      for (int64_t k = i; k < padded; ++k) out[k] = whole[k - i];
    }
  }
}

// kLanes columns of one row or, as bf16, of two rows, all of which exist.
template <class T, class Source>
Ints whole_lanes(const Source* row, const Source* next) {
  if constexpr (sizeof(T) == 4) {
    return as_ints(load(row));
  } else if constexpr (sizeof(Source) == 2) {
    return interleaved_pairs(row, next);
  } else {
    return interleaved_pairs(load(row), load(next));
  }
}

// Lanes of a row from a column on (and, as bf16, of the row behind it); zeros where nothing is.
template <class T>
Ints lanes_of(const TransposeCall& call, int64_t row, int64_t column) {
  const auto lanes = [&](int64_t r) {
    const int64_t left = call.columns - column;
    if (r >= call.count || left <= 0) return zero();
    return load_first(call.rows[r] + call.first + column,
                      left > kLanes ? kLanes : static_cast<int>(left));
  };
  if constexpr (sizeof(T) == 2) {
    return interleaved_pairs(lanes(row), lanes(row + 1));
  } else {
    return as_ints(lanes(row));
  }
}

template <class T>
void transpose_rows(const TransposeCall& call) {
  constexpr int kRun = kPerLane<T> * kLanes;
  T* const out = static_cast<T*>(call.out);
  for (int64_t r = 0; r < call.padded; r += kRun) {
    for (int64_t c = 0; c < call.padded_columns; c += kLanes) {
      Ints square[kLanes];
      const bool is_whole = r + kRun <= call.count && c + kLanes <= call.columns;
      for (int i = 0; i < kLanes; ++i) {
        const int64_t row = r + i * kPerLane<T>, at = call.first + c;
        square[i] = is_whole
                        ? whole_lanes<T>(call.rows[row] + at, call.rows[row + kPerLane<T> - 1] + at)
                        : lanes_of<T>(call, row, c);
      }
      transpose(square);
      for (int i = 0; i < kLanes; ++i) store_lanes(out + (c + i) * call.out_stride + r, square[i]);
    }
  }
}

template <class T>
void rows_as_panel(const float* const* rows, int64_t inputs, int64_t padded, T* panel) {
  constexpr int kRun = kPerLane<T> * kLanes;
  for (int64_t k = 0; k < padded; k += kRun) {
    for (int c = 0; c < kPanel; c += kLanes) {
      Ints square[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const float* const row = rows[c + i];
        square[i] =
            row == nullptr || k >= inputs ? as_ints(zero()) : load_run<T>(row + k, inputs - k);
      }
      transpose(square);
      for (int i = 0; i < kLanes && k + i * kPerLane<T> < padded; ++i) {
        store_lanes(panel + (k / kPerLane<T> + i) * kPanel * kPerLane<T> + c * kPerLane<T>,
                    square[i]);
      }
    }
  }
}

inline Floats load_part(const float* p, int count) { return load_first(p, count); }
inline Floats load_part(const BFloat16* p, int count) {
  if (count >= kLanes) return load_bf16(p);
  BFloat16 whole[kLanes] = {};
  for (int i = 0; i < count; ++i) whole[i] = p[i];
  return load_bf16(whole);
}

template <class Source, class T>
void columns_as_panel(const ColumnsCall& call) {
  T* const panel = static_cast<T*>(call.panel);
  const auto lanes = [&](int64_t r, int c) {
    const int64_t left = call.columns - c;
    if (r >= call.count || left <= 0) return zero();
    return load_part(static_cast<const Source*>(call.rows[r]) + call.first + c,
                     static_cast<int>(left));
  };
  for (int64_t r = 0; r < call.padded; r += kPerLane<T>) {
    const bool is_whole = r + kPerLane<T> <= call.count && call.columns == kPanel;
    for (int c = 0; c < kPanel; c += kLanes) {
      T* const to = panel + r * kPanel + c * kPerLane<T>;
      if (is_whole) {
        const auto at = [&](int64_t row) {
          return static_cast<const Source*>(call.rows[row]) + call.first + c;
        };
        store_lanes(to, whole_lanes<T>(at(r), at(r + kPerLane<T> - 1)));
      } else if constexpr (sizeof(T) == 2) {
        store_lanes(to, interleaved_pairs(lanes(r, c), lanes(r + 1, c)));
      } else {
        store_lanes(to, as_ints(lanes(r, c)));
      }
    }
  }
}

}  // namespace

void narrow(const float* row, int64_t count, int64_t padded, void* out, DType dtype) {
  if (dtype == DType::bf16) {
    narrow_row(row, count, padded, static_cast<BFloat16*>(out));
  } else {
    narrow_row(row, count, padded, static_cast<float*>(out));
  }
}

void transpose(const TransposeCall& call) {
  call.dtype == DType::bf16 ? transpose_rows<BFloat16>(call) : transpose_rows<float>(call);
}

void by_rows(const float* const* rows, int64_t inputs, int64_t padded, void* panel, DType dtype) {
  if (dtype == DType::bf16) {
    rows_as_panel(rows, inputs, padded, static_cast<BFloat16*>(panel));
  } else {
    rows_as_panel(rows, inputs, padded, static_cast<float*>(panel));
  }
}

void by_columns(const ColumnsCall& call) {
  if (call.dtype == DType::f32) {
    columns_as_panel<float, float>(call);
  } else if (call.source == DType::f32) {
    columns_as_panel<float, BFloat16>(call);
  } else {
    columns_as_panel<BFloat16, BFloat16>(call);
  }
}

void gather_columns(const float* const* parts, int count, int64_t stride, int rows,
                    float* const* out, int64_t columns) {
  for (int64_t c = 0; c < columns; c += kLanes) {
    for (int r = 0; r < rows; r += kLanes) {
      Ints square[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        Floats sum = zero();
        for (int p = 0; p < count; ++p) sum = add(sum, load(parts[p] + (c + i) * stride + r));
        square[i] = as_ints(sum);
      }
      transpose(square);
      const int64_t left = columns - c;
      for (int i = 0; i < kLanes && r + i < rows; ++i) {
        store_first(out[r + i] + c, as_floats(square[i]),
                    left > kLanes ? kLanes : static_cast<int>(left));
      }
    }
  }
}

}  // namespace tidar::cpu::TIDAR_ISA
