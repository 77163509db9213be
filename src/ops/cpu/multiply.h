#pragma once
// The inner loop of every product: R rows of operands times P groups of 16 columns, on registers.
// For *_kernel.cc only.
//
// A register tile walks down the inputs once, so that each sum is one chain of fused multiply-adds
// in the order of the inputs, whatever the tile. Weight panels, key panels (16 keys are the
// columns, the inputs are a head's elements) and value panels (16 of a head's elements are the
// columns, the inputs are keys) differ only in where the columns start and how far apart their
// inputs are.

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

/// Sums of R rows x P groups, [row][group vector].
template <int R, int P>
struct Tile {
  Floats sums[R][P * kPanelVectors];
};

/// Operands of R rows: the inputs of row r lie from first + r * stride on.
template <class Operand>
struct Rows {
  const Operand* first;
  int64_t stride;
};

/// Reads R rows from left to right. An address can hold one or two strides beside a pointer, so
/// that only every third row needs a register of its own; twelve would not find room.
template <class Operand, int R>
class RowReader {
 public:
  explicit RowReader(const Rows<Operand>& rows) : stride_(rows.stride) {
    for (int i = 0; i < kPointers; ++i) pointers_[i] = rows.first + 3 * i * stride_;
  }
  /// The next inputs of row r.
  const Operand* at(int r) const { return pointers_[r / 3] + r % 3 * stride_; }
  void advance(int64_t inputs) {
    for (int i = 0; i < kPointers; ++i) pointers_[i] += inputs;
  }

 private:
  static constexpr int kPointers = (R + 2) / 3;
  const Operand* pointers_[kPointers];
  int64_t stride_;
};

/// Where P groups of columns lie: group p of input k at groups[p] + k * step (float), or of inputs
/// 2i and 2i + 1, side by side, at groups[p] + i * step (bf16).
template <class Weight, int P>
struct Columns {
  const Weight* groups[P];
  int64_t step;
  const Weight* ahead = nullptr;  ///< the first of the groups to fetch meanwhile
  int64_t ahead_stride = 0;       ///< from one of those groups to the next
  int64_t ahead_groups = 0;       ///< at most P
};

/// Reads P groups of columns from top to bottom. `kFetching`: there are groups ahead, of which
/// fetch() fetches a cache line each. It comes before the loads of a step: behind them, products
/// that memory limits take 5 % longer.
template <class Weight, int P, bool kFetching>
class ColumnReader {
 public:
  explicit ColumnReader(const Columns<Weight, P>& columns) : step_(columns.step) {
    for (int p = 0; p < P; ++p) {
      groups_[p] = columns.groups[p];
      if (kFetching) ahead_[p] = columns.ahead + p % columns.ahead_groups * columns.ahead_stride;
    }
  }
  /// The next weights of group p.
  const Weight* at(int p) const { return groups_[p]; }
  void fetch() {
    for (int p = 0; kFetching && p < P; ++p) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead_[p]), _MM_HINT_T1);
      ahead_[p] += step_;
    }
  }
  void advance() {
    for (int p = 0; p < P; ++p) groups_[p] += step_;
  }

 private:
  const Weight* groups_[P];
  const Weight* ahead_[P];
  int64_t step_;
};

// The policies: how weights of one type meet operands of one type. multiply() adds x [R, inputs]
// times w to the tile's sums.

inline Floats load_wide(const float* p) { return load(p); }
inline Floats load_wide(const int8_t* p) { return load_i8(p); }

/// Float weights, or codes widened to float, and float operands.
template <class WeightType>
struct WeightsOneByOne {
  using Weight = WeightType;
  using Operand = float;
  static constexpr int64_t kStep = kPanel;  ///< of a weight or key panel

  template <int R, int P, bool kFetching = false>
  [[gnu::always_inline]] static void multiply(Tile<R, P>& tile, const Rows<float>& rows,
                                              const Columns<Weight, P>& columns, int64_t inputs) {
    RowReader<float, R> x(rows);
    ColumnReader<Weight, P, kFetching> w(columns);
    for (int64_t k = 0; k < inputs; ++k) {
      w.fetch();
      Floats weights[P * kPanelVectors];
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kPanelVectors; ++v) {
          weights[p * kPanelVectors + v] = load_wide(w.at(p) + v * kLanes);
        }
      }
      add_products(tile, x, weights);
      w.advance();
      x.advance(1);
    }
  }

  /// Of one input of every row.
  template <int R, int P>
  [[gnu::always_inline]] static void add_products(Tile<R, P>& tile, const RowReader<float, R>& x,
                                                  const Floats (&weights)[P * kPanelVectors]) {
    for (int r = 0; r < R; ++r) {
      const Floats value = all(*x.at(r));
      for (int c = 0; c < P * kPanelVectors; ++c) {
        tile.sums[r][c] = fma(value, weights[c], tile.sums[r][c]);
      }
    }
  }
};

using WeightsF32 = WeightsOneByOne<float>;
using WeightsI8 = WeightsOneByOne<int8_t>;

/// bf16 weights widened to float: exact products with float operands.
struct WeightsBf16Wide {
  using Weight = BFloat16;
  using Operand = float;
  static constexpr int64_t kStep = 2 * kPanel;

  template <int R, int P, bool kFetching = false>
  [[gnu::always_inline]] static void multiply(Tile<R, P>& tile, const Rows<float>& rows,
                                              const Columns<BFloat16, P>& columns, int64_t inputs) {
    RowReader<float, R> x(rows);
    ColumnReader<BFloat16, P, kFetching> w(columns);
    for (int64_t k = 0; k < inputs; k += 2) {
      w.fetch();
      // Inputs 2i and 2i + 1 are the lower and upper halves of the same 32 bits.
      Floats even[P * kPanelVectors], odd[P * kPanelVectors];
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kPanelVectors; ++v) {
          const Pairs pairs = load_pairs(w.at(p) + 2 * v * kLanes);
          even[p * kPanelVectors + v] = pairs.even;
          odd[p * kPanelVectors + v] = pairs.odd;
        }
      }
      WeightsF32::add_products<R, P>(tile, x, even);
      if (k + 1 == inputs) return;
      x.advance(1);
      WeightsF32::add_products<R, P>(tile, x, odd);
      x.advance(1);
      w.advance();
    }
  }
};

#if defined(__AVX512BF16__)
/// bf16 weights and operands: one instruction multiplies pairs and adds both products to a float.
struct WeightsBf16Pairs {
  using Weight = BFloat16;
  using Operand = BFloat16;
  static constexpr int64_t kStep = 2 * kPanel;

  template <int R, int P, bool kFetching = false>
  [[gnu::always_inline]] static void multiply(Tile<R, P>& tile, const Rows<BFloat16>& rows,
                                              const Columns<BFloat16, P>& columns, int64_t inputs) {
    RowReader<BFloat16, R> x(rows);
    ColumnReader<BFloat16, P, kFetching> w(columns);
    for (int64_t k = 0; k + 1 < inputs; k += 2) {
      w.fetch();
      add_products<false>(tile, x, w);
      w.advance();
      x.advance(2);
    }
    if (inputs % 2 == 1) add_products<true>(tile, x, w);
  }

 private:
  // Of a pair of inputs; a lone last one is paired with zero.
  template <bool kLone, int R, int P, bool kFetching>
  [[gnu::always_inline]] static void add_products(Tile<R, P>& tile, const RowReader<BFloat16, R>& x,
                                                  const ColumnReader<BFloat16, P, kFetching>& w) {
    __m512bh weights[P];
    for (int p = 0; p < P; ++p) weights[p] = (__m512bh)_mm512_loadu_si512(w.at(p));
    for (int r = 0; r < R; ++r) {
      uint32_t both = x.at(r)[0].bits;
      if (!kLone) both |= uint32_t{x.at(r)[1].bits} << 16;
      const __m512bh value = (__m512bh)_mm512_set1_epi32(static_cast<int>(both));
      for (int p = 0; p < P; ++p) {
        tile.sums[r][p] = _mm512_dpbf16_ps(tile.sums[r][p], value, weights[p]);
      }
    }
  }
};
#endif

/// Rows of the largest register tile with P groups: sums, weights and one operand fill the
/// registers (32 of 16 lanes, or 16 of 8).
template <int P>
inline constexpr int kTileRowsWith = kLanes == 16 ? (P >= 4 ? 6 : 8) : (P >= 2 ? 2 : 5);

}  // namespace tidar::cpu::TIDAR_ISA
