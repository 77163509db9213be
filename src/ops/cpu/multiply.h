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

/// Where P groups of columns lie: group p of input k at groups[p] + k * step (float), or of inputs
/// 2i and 2i + 1, side by side, at groups[p] + i * step (bf16).
template <class Weight, int P>
struct Columns {
  const Weight* groups[P];
  int64_t step;
  const Weight* ahead = nullptr;  ///< the first of the groups to fetch meanwhile
  int64_t ahead_stride = 0;       ///< from one of those groups to the next
  int64_t ahead_groups = 0;       ///< at most P

  /// Asks for the cache line `at` elements into each of those groups.
  void fetch(int64_t at) const {
    for (int p = 0; p < P; ++p) {
      if (p >= ahead_groups) continue;
      _mm_prefetch(reinterpret_cast<const char*>(ahead + p * ahead_stride + at), _MM_HINT_T1);
    }
  }
};

// The policies: how weights of one type meet operands of one type. multiply() adds x [R, inputs]
// times w to the tile's sums.

/// Float weights, float operands.
struct WeightsF32 {
  using Weight = float;
  using Operand = float;
  static constexpr int64_t kStep = kPanel;  ///< of a weight or key panel

  template <int R, int P>
  static void multiply(Tile<R, P>& tile, const float* const (&x)[R], const Columns<float, P>& w,
                       int64_t inputs) {
    for (int64_t k = 0; k < inputs; ++k) {
      w.fetch(k * w.step);
      Floats weights[P * kPanelVectors];
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kPanelVectors; ++v) {
          weights[p * kPanelVectors + v] = load(w.groups[p] + k * w.step + v * kLanes);
        }
      }
      for (int r = 0; r < R; ++r) {
        const Floats value = all(x[r][k]);
        for (int c = 0; c < P * kPanelVectors; ++c) {
          tile.sums[r][c] = fma(value, weights[c], tile.sums[r][c]);
        }
      }
    }
  }
};

/// bf16 weights widened to float: exact products with float operands.
struct WeightsBf16Wide {
  using Weight = BFloat16;
  using Operand = float;
  static constexpr int64_t kStep = 2 * kPanel;

  template <int R, int P>
  static void multiply(Tile<R, P>& tile, const float* const (&x)[R], const Columns<BFloat16, P>& w,
                       int64_t inputs) {
    for (int64_t k = 0; k < inputs; ++k) {
      // Inputs 2i and 2i + 1 are the lower and upper halves of the same 32 bits.
      const int64_t at = k / 2 * w.step;
      if (k % 2 == 0) w.fetch(at);
      Floats weights[P * kPanelVectors];
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kPanelVectors; ++v) {
          const Pairs pairs = load_pairs(w.groups[p] + at + 2 * v * kLanes);
          weights[p * kPanelVectors + v] = k % 2 == 0 ? pairs.even : pairs.odd;
        }
      }
      for (int r = 0; r < R; ++r) {
        const Floats value = all(x[r][k]);
        for (int c = 0; c < P * kPanelVectors; ++c) {
          tile.sums[r][c] = fma(value, weights[c], tile.sums[r][c]);
        }
      }
    }
  }
};

#if defined(__AVX512BF16__)
/// bf16 weights and operands: one instruction multiplies pairs and adds both products to a float.
struct WeightsBf16Pairs {
  using Weight = BFloat16;
  using Operand = BFloat16;
  static constexpr int64_t kStep = 2 * kPanel;

  template <int R, int P>
  static void multiply(Tile<R, P>& tile, const BFloat16* const (&x)[R],
                       const Columns<BFloat16, P>& w, int64_t inputs) {
    for (int64_t k = 0; k < inputs; k += 2) {
      const int64_t at = k / 2 * w.step;
      w.fetch(at);
      __m512bh weights[P];
      for (int p = 0; p < P; ++p) weights[p] = (__m512bh)_mm512_loadu_si512(w.groups[p] + at);
      for (int r = 0; r < R; ++r) {
        const __m512bh value = pair_at(x[r] + k, k + 1 == inputs);
        for (int p = 0; p < P; ++p) {
          tile.sums[r][p] = _mm512_dpbf16_ps(tile.sums[r][p], value, weights[p]);
        }
      }
    }
  }

 private:
  // Two operands in every lane; a lone last one is paired with zero.
  static __m512bh pair_at(const BFloat16* x, bool lone) {
    uint32_t both = x[0].bits;
    if (!lone) both |= uint32_t{x[1].bits} << 16;
    return (__m512bh)_mm512_set1_epi32(static_cast<int>(both));
  }
};
#endif

/// Rows of the largest register tile with P groups: sums, weights and one operand fill the
/// registers (32 of 16 lanes, or 16 of 8).
template <int P>
inline constexpr int kTileRowsWith = kLanes == 16 ? (P >= 4 ? 6 : 8) : (P >= 2 ? 2 : 5);

}  // namespace tidar::cpu::TIDAR_ISA
