// Products with packed weights on vector registers: every instruction set, every number of rows.
//
// The rows of one register tile read each weight once, at the speed of memory. With more rows than
// that, the weights of its panels come from the cache for the others, and arithmetic is the limit.

#include "ops/cpu/epilogue.h"
#include "ops/cpu/multiply.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

template <int R, int P>
[[gnu::always_inline]] inline void finish(const LinearCall& call, int64_t row, int64_t panel,
                                          const Tile<R, P>& tile) {
  for (int r = 0; r < R; ++r) {
    if (call.epilogue == Epilogue::swiglu) {
      for (int p = 0; p + 1 < P; p += 2) {
        write_swiglu(call, row + r, panel + p, tile.sums[r] + p * kPanelVectors,
                     tile.sums[r] + (p + 1) * kPanelVectors);
      }
    } else {
      for (int p = 0; p < P; ++p) {
        write_sums(call, row + r, panel + p, tile.sums[r] + p * kPanelVectors);
      }
    }
  }
}

// Processors with BF16 multiply-adds but no AMX (Zen 4, Zen 5) do a tile of several rows no faster
// than memory delivers its weights, and their prefetchers do not run far enough ahead of it.
#if defined(__AVX512BF16__) && !defined(__AMX_BF16__)
constexpr bool kBf16Vectors = true;
#else
constexpr bool kBf16Vectors = false;
#endif

// Up to so many rows, these processors are faster with taller tiles of two panels than with tiles
// of four. With more rows, four panels at a time halve how often the operands are read.
constexpr int64_t kNarrowRows = 32;

// A tile of up to so many rows reads its weights at the speed of memory by itself, and slower when
// the next panels are fetched beside it. With operands of the weights' own type, arithmetic is so
// quick that this holds for more rows than one.
template <class Policy>
constexpr int kStreamingRows = 1;
template <>
constexpr int kStreamingRows<WeightsF32> = 4;
#if defined(__AVX512BF16__)
template <>
constexpr int kStreamingRows<WeightsBf16Pairs> = 3;
#endif

// One tile among those that share P panels.
struct Place {
  int64_t row;
  int64_t panel;
  int64_t tiles;        // that share the panels
  int64_t tiles_after;  // of these, how many come later
};

// While rows are multiplied, the next panels travel from memory to the cache: the last tiles of P
// panels fetch an equal share of the next P each.
template <class Policy, int R, int P>
void fetch_ahead(const LinearCall& call, const Place& place, int64_t stride,
                 Columns<typename Policy::Weight, P>& columns) {
  if (place.tiles == 1 && (R <= kStreamingRows<Policy> || !kBf16Vectors)) return;
  const int64_t share = (P + place.tiles - 1) / place.tiles;
  const int64_t first = place.tiles_after * share;
  if (first >= P || place.panel + 2 * P > call.panel_end) return;
  columns.ahead = columns.groups[0] + (P + first) * stride;
  columns.ahead_stride = stride;
  columns.ahead_groups = share < P - first ? share : P - first;
}

template <class Policy, int R, int P>
void one_tile(const LinearCall& call, const Place& place) {
  using Weight = typename Policy::Weight;
  using Operand = typename Policy::Operand;
  const int64_t stride = weight_panel_elements(DTypeOf<Weight>::value, call.inputs);
  Columns<Weight, P> columns;
  columns.step = Policy::kStep;
  for (int p = 0; p < P; ++p) {
    columns.groups[p] = static_cast<const Weight*>(call.panels) + (place.panel + p) * stride;
  }
  fetch_ahead<Policy, R>(call, place, stride, columns);
  const Rows<Operand> x = {static_cast<const Operand*>(call.x) + place.row * call.x_stride,
                           call.x_stride};
  Tile<R, P> tile;
  for (auto& row_sums : tile.sums) {
    for (auto& sums : row_sums) sums = zero();
  }
  if (columns.ahead_groups > 0) {
    Policy::template multiply<R, P, true>(tile, x, columns, call.inputs);
  } else {
    Policy::multiply(tile, x, columns, call.inputs);
  }
  finish(call, place.row, place.panel, tile);
}

// A tile of `rows` rows, at most R.
template <class Policy, int R, int P>
void tile_of(const LinearCall& call, int64_t rows, const Place& place) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<Policy, R - 1, P>(call, rows, place);
  }
  one_tile<Policy, R, P>(call, place);
}

// All rows against P panels at a time, in tiles of nearly equal size, at most `most` rows and at
// most R; returns the panel behind the last.
template <class Policy, int R, int P>
int64_t columns_of_tiles(const LinearCall& call, int64_t panel, int64_t most = R) {
  const int64_t tiles = (call.rows + most - 1) / most;
  for (; panel + P <= call.panel_end; panel += P) {
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t row = call.rows * i / tiles, end = call.rows * (i + 1) / tiles;
      tile_of<Policy, R, P>(call, end - row, {row, panel, tiles, tiles - 1 - i});
    }
  }
  return panel;
}

template <class Policy>
void linear(const LinearCall& call) {
  if (call.rows == 0) return;
  int64_t panel = call.panel_begin;
  if constexpr (kLanes == 16) {
    const bool narrow = kBf16Vectors && kTileRowsWith<4> < call.rows && call.rows <= kNarrowRows;
    if (!narrow) panel = columns_of_tiles<Policy, kTileRowsWith<4>, 4>(call, panel);
  }
  if constexpr (kBf16Vectors) {
    // Where one tile of 12 rows is not enough, tiles of 8 have the cheaper loop.
    constexpr int kMost = 12;
    panel = columns_of_tiles<Policy, kMost, 2>(call, panel, call.rows <= kMost ? kMost : 8);
  }
  panel = columns_of_tiles<Policy, kTileRowsWith<2>, 2>(call, panel);
  columns_of_tiles<Policy, kTileRowsWith<1>, 1>(call, panel);
}

}  // namespace

void linear_f32(const LinearCall& call) { linear<WeightsF32>(call); }
void linear_bf16(const LinearCall& call) { linear<WeightsBf16Wide>(call); }
#if defined(__AVX512BF16__)
void linear_bf16_pairs(const LinearCall& call) { linear<WeightsBf16Pairs>(call); }
#endif

}  // namespace tidar::cpu::TIDAR_ISA
