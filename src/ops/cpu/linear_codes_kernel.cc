// Products with weights in codes of a few bits, and the operands for them.
//
// A tile is one panel and up to kTileRows rows: a group of its weights is unpacked into registers
// once, and used for all of them. More rows than that are done in tiles of two panels, where the
// registers are many: there an operand is loaded once for both.

#include <cmath>
#include <cstring>

#include "ops/cpu/codes.h"
#include "ops/cpu/epilogue.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

constexpr int kTileRows = kLanes == 16 ? 16 : 4;

// Bytes of weights that are fetched ahead while rows are multiplied: the processor's own prefetcher
// does not run far enough then. On Zen 5, 16 rows of 8-bit codes took 430 us without and 285 with
// 2 KB; from two rows on twice as far is better still, and costs one row a fifth.
template <int R>
constexpr int64_t kFetchedAhead = R == 1 ? 2048 : 4096;

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
        _mm_prefetch(reinterpret_cast<const char*>(group + kFetchedAhead<R> + line), _MM_HINT_T0);
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

// Of each group of the next panels, the cache lines that a tile fetches: while rows are multiplied,
// the last tiles of some panels bring the next ones.
struct Fetched {
  int64_t first = 0, lines = 0;
};

template <class Codes>
Fetched fetched_by(int64_t tiles_after, int64_t tiles) {
  constexpr int64_t kLines = Codes::kGroupBytes / 64;
  const int64_t share = (kLines + tiles - 1) / tiles, first = tiles_after * share;
  if (first >= kLines) return {};
  return {first, share < kLines - first ? share : kLines - first};
}

#if defined(__AVX512VNNI__)

constexpr bool kPairs = true;
constexpr int kPairTileRows = 6;

// Both panels of a pair at once.
template <class Codes, int R>
[[gnu::always_inline]] inline void multiply_pair(const LinearCall& call, int64_t row, int64_t panel,
                                                 const Fetched& next, PanelSums<R> (&sums)[2]) {
  const OperandCodes& x = call.codes;
  const int64_t groups = x.groups;
  const int8_t* codes = x.codes + row * groups * kGroup;
  const float* x_scales = x.scales + row * groups;
  const int32_t* starts = x.starts + row * groups;
  const int64_t panel_bytes = groups * Codes::kGroupBytes;
  const uint8_t* group = static_cast<const uint8_t*>(call.panels) + panel * panel_bytes;
  const Half* scales = static_cast<const Half*>(call.scales) + panel * groups * kPanel;
  Floats chains[R][2];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) chains[r][0] = chains[r][1] = zero();
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t line = next.first; line < next.first + next.lines; ++line) {
      const uint8_t* ahead = group + 2 * panel_bytes + 64 * line;
      _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T1);
      _mm_prefetch(reinterpret_cast<const char*>(ahead + panel_bytes), _MM_HINT_T1);
    }
    Ints whole[R][2];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) whole[r][0] = whole[r][1] = all_ints(starts[r * groups + g]);
    Codes::for_each_quad(group, group + panel_bytes, [&](int quad, Ints first, Ints second) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Ints operands = all_quads(codes + (r * groups + g) * kGroup + 4 * quad);
        whole[r][0] = _mm512_dpbusd_epi32(whole[r][0], first, operands);
        whole[r][1] = _mm512_dpbusd_epi32(whole[r][1], second, operands);
      }
    });
    const Floats first = load_half(scales), second = load_half(scales + groups * kPanel);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Floats x_scale = all(x_scales[r * groups + g]);
      chains[r][0] = fma(to_floats(whole[r][0]), mul(x_scale, first), chains[r][0]);
      chains[r][1] = fma(to_floats(whole[r][1]), mul(x_scale, second), chains[r][1]);
    }
    group += Codes::kGroupBytes;
    scales += kPanel;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sums[0].rows[r][0] = chains[r][0];
    sums[1].rows[r][0] = chains[r][1];
  }
}

#else

constexpr bool kPairs = false;
constexpr int kPairTileRows = kTileRows;

template <class Codes, int R>
void multiply_pair(const LinearCall&, int64_t, int64_t, const Fetched&, PanelSums<R> (&)[2]) {}

#endif

// A tile of `rows` rows, at most R, and one or two panels; kPaired: of two at once.
template <class Codes, int R, bool kPaired>
void tile_of(const LinearCall& call, int64_t rows, int64_t row, int64_t panel, int panels,
             const Fetched& next) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<Codes, R - 1, kPaired>(call, rows, row, panel, panels, next);
  }
  PanelSums<R> sums[2];
  if constexpr (kPaired) {
    multiply_pair<Codes>(call, row, panel, next, sums);
  } else {
    for (int p = 0; p < panels; ++p) multiply<Codes>(call, row, panel + p, sums[p]);
  }
  for (int r = 0; r < R; ++r) {
    if (call.epilogue == Epilogue::swiglu) {
      write_swiglu(call, row + r, panel, sums[0].rows[r], sums[1].rows[r]);
    } else {
      for (int p = 0; p < panels; ++p) write_sums(call, row + r, panel + p, sums[p].rows[r]);
    }
  }
}

// All rows, in tiles of nearly equal size.
template <class Codes, int R, bool kPaired>
void tiles_of(const LinearCall& call, int64_t panel, int panels) {
  const int64_t tiles = (call.rows + R - 1) / R;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t row = call.rows * i / tiles, end = call.rows * (i + 1) / tiles;
    const bool last = panel + 4 > call.panel_end;
    const Fetched next = last ? Fetched() : fetched_by<Codes>(tiles - 1 - i, tiles);
    tile_of<Codes, R, kPaired>(call, end - row, row, panel, panels, next);
  }
}

template <class Codes>
void linear(const LinearCall& call) {
  const bool paired = kPairs && call.rows > kTileRows;
  const int step = paired || call.epilogue == Epilogue::swiglu ? 2 : 1;
  for (int64_t panel = call.panel_begin; panel < call.panel_end; panel += step) {
    const bool lone = step == 1 || panel + 1 == call.panel_end;
    if (paired && !lone) {
      tiles_of<Codes, kPairTileRows, kPairs>(call, panel, 2);
    } else {
      tiles_of<Codes, kTileRows, false>(call, panel, lone ? 1 : 2);
    }
  }
}

}  // namespace

void linear_w8(const LinearCall& call) { linear<Codes8>(call); }
void linear_w4(const LinearCall& call) { linear<Codes4>(call); }

void round_operands(const float* x, int64_t count, int zero_code, int8_t* codes, float* scales,
                    int32_t* starts) {
  for (; count > 0; count -= kGroup, x += kGroup, codes += kGroup) {
    Floats numbers[kGroupVectors];
    Ints most_bits = all_ints(0);
    for (int v = 0; v < kGroupVectors; ++v) {
      numbers[v] = load_first(x + v * kLanes, lanes_left(count, v * kLanes));
      most_bits = larger(most_bits, magnitude_bits(numbers[v]));
    }
    const int32_t bits = largest(most_bits);
    float most;
    std::memcpy(&most, &bits, sizeof(most));
    const bool counts = kLeastOperand <= most && most < INFINITY;
    *scales++ = counts ? most / 127 : (most < kLeastOperand ? 0 : NAN);
    const Floats factor = all(counts ? 127 / most : 0);
    Ints whole[kGroupVectors], total = all_ints(0);
    for (int v = 0; v < kGroupVectors; ++v) {
      whole[v] = counts ? to_nearest(mul(numbers[v], factor)) : all_ints(0);
      total = add(total, whole[v]);
    }
    store_bytes(codes, whole);
    *starts++ = -zero_code * sum(total);
  }
}

}  // namespace tidar::cpu::TIDAR_ISA
