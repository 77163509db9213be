// Products with weights in codes of a few bits, and the operands for them.
//
// A tile is one panel and up to kTileRows rows: a group of its weights is unpacked into registers
// once, and used for all of them.

#include <cmath>

#include "ops/cpu/codes.h"
#include "ops/cpu/epilogue.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

constexpr int kTileRows = kLanes == 16 ? 16 : 4;

// Bytes of weights that are fetched ahead while rows are multiplied: the processor's own prefetcher
// does not run far enough then. On Zen 5, 16 rows of 8-bit codes took 430 us without and 285 with
// it, 8 rows 240 and 168; one row is as fast either way.
constexpr int64_t kFetchedAhead = 2048;

// Finished sums of a tile, [row][vector of the panel].
template <int R>
struct PanelSums {
  Floats rows[R][kPanelVectors];
};

template <class Codes, int R>
[[gnu::always_inline]] inline void multiply(const LinearCall& call, int64_t row, int64_t panel,
                                            PanelSums<R>& sums) {
  const OperandCodes& x = call.codes;
  const int64_t groups = x.groups;
  const int8_t* codes = x.codes + row * groups * kGroup;
  const float* x_scales = x.scales + row * groups;
  const int32_t* starts = x.starts + row * groups;
  for (int v = 0; v < kPanelVectors; ++v) {
    Floats chains[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) chains[r] = zero();
    const uint8_t* group =
        static_cast<const uint8_t*>(call.panels) + panel * groups * Codes::kGroupBytes;
    const Half* scales =
        static_cast<const Half*>(call.scales) + panel * groups * kPanel + v * kLanes;
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t line = 0; line < Codes::kGroupBytes; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(group + kFetchedAhead + line), _MM_HINT_T0);
      }
      const GroupWeights<Codes> weights(group, v * kLanes);
      const Floats scale = load_half(scales);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Ints start = all_ints(starts[r * groups + g]);
        const Ints whole = weights.add_products(start, codes + (r * groups + g) * kGroup);
        const Floats both = mul(all(x_scales[r * groups + g]), scale);
        chains[r] = fma(to_floats(whole), both, chains[r]);
      }
      group += Codes::kGroupBytes;
      scales += kPanel;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sums.rows[r][v] = chains[r];
  }
}

template <class Codes, int R>
void one_tile(const LinearCall& call, int64_t row, int64_t panel) {
  PanelSums<R> sums;
  multiply<Codes>(call, row, panel, sums);
  for (int r = 0; r < R; ++r) write_sums(call, row + r, panel, sums.rows[r]);
}

template <class Codes, int R>
void swiglu_tile(const LinearCall& call, int64_t row, int64_t panel) {
  PanelSums<R> gate, up;
  multiply<Codes>(call, row, panel, gate);
  multiply<Codes>(call, row, panel + 1, up);
  for (int r = 0; r < R; ++r) write_swiglu(call, row + r, panel, gate.rows[r], up.rows[r]);
}

// A tile of `rows` rows, at most R.
template <class Codes, int R>
void tile_of(const LinearCall& call, int64_t rows, int64_t row, int64_t panel) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<Codes, R - 1>(call, rows, row, panel);
  }
  if (call.epilogue == Epilogue::swiglu) {
    swiglu_tile<Codes, R>(call, row, panel);
  } else {
    one_tile<Codes, R>(call, row, panel);
  }
}

template <class Codes>
void linear(const LinearCall& call) {
  const int64_t tiles = (call.rows + kTileRows - 1) / kTileRows;
  const int64_t step = call.epilogue == Epilogue::swiglu ? 2 : 1;
  for (int64_t panel = call.panel_begin; panel < call.panel_end; panel += step) {
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t row = call.rows * i / tiles, end = call.rows * (i + 1) / tiles;
      tile_of<Codes, kTileRows>(call, end - row, row, panel);
    }
  }
}

// The largest magnitude of a group; NaN where one of its numbers is not finite.
float largest_magnitude(const float* x, int count) {
  Floats most = zero(), zeros = zero();
  for (int i = 0; i < count; i += kLanes) {
    const Floats value = load_first(x + i, lanes_left(count, i));
    most = max(most, max(value, sub(zero(), value)));
    zeros = fma(value, zero(), zeros);
  }
  return sum(zeros) == 0 ? largest(most) : NAN;
}

}  // namespace

void linear_w8(const LinearCall& call) { linear<Codes8>(call); }
void linear_w4(const LinearCall& call) { linear<Codes4>(call); }

void round_operands(const float* x, int64_t count, int zero_code, int8_t* codes, float* scales,
                    int32_t* starts) {
  for (int64_t first = 0; first < count; first += kGroup) {
    const int left = static_cast<int>(count - first < kGroup ? count - first : kGroup);
    const float most = largest_magnitude(x + first, left);
    const bool counts = most >= kLeastOperand;
    *scales++ = counts ? most / 127 : (most < kLeastOperand ? 0 : most);
    const Floats factor = all(counts ? 127 / most : 0);
    int32_t sum = 0;
    for (int i = 0; i < kGroup; i += kLanes) {
      int32_t whole[kLanes] = {};
      if (counts) {
        store(whole, to_nearest(mul(load_first(x + first + i, lanes_left(left, i)), factor)));
      }
      for (int lane = 0; lane < kLanes; ++lane) {
        codes[first + i + lane] = static_cast<int8_t>(whole[lane]);
        sum += whole[lane];
      }
    }
    *starts++ = -zero_code * sum;
  }
}

}  // namespace tidar::cpu::TIDAR_ISA
