// Products with packed weights on vector registers: every instruction set, every number of rows.
//
// One row reads each weight once, at the speed of memory. With more rows than a register tile
// holds, the weights of its panels come from the cache for the others, and arithmetic is the limit.

#include "ops/cpu/epilogue.h"
#include "ops/cpu/multiply.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

template <int R, int P>
void finish(const LinearCall& call, int64_t row, int64_t panel, const Tile<R, P>& tile) {
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

enum class Position : uint8_t { inner, last };  // of a tile among those of its panels

template <class Policy, int R, int P>
void one_tile(const LinearCall& call, int64_t row, int64_t panel, Position position) {
  using Weight = typename Policy::Weight;
  using Operand = typename Policy::Operand;
  const int64_t stride = weight_panel_elements(DTypeOf<Weight>::value, call.inputs);
  const auto* first_panel = static_cast<const Weight*>(call.panels) + panel * stride;
  Columns<Weight, P> columns;
  columns.step = Policy::kStep;
  for (int p = 0; p < P; ++p) columns.groups[p] = first_panel + p * stride;
  // While the last rows are multiplied, the next panels travel from memory to the cache. A single
  // tile reads them at the speed of memory anyway, and twice as fast without being told to.
  if (position == Position::last && row > 0 && panel + 2 * P <= call.panel_end) {
    columns.ahead = first_panel + P * stride;
    columns.ahead_stride = stride;
  }
  const Operand* x[R];
  for (int r = 0; r < R; ++r) {
    x[r] = static_cast<const Operand*>(call.x) + (row + r) * call.x_stride;
  }
  Tile<R, P> tile;
  for (auto& row_sums : tile.sums) {
    for (auto& sums : row_sums) sums = zero();
  }
  Policy::multiply(tile, x, columns, call.inputs);
  finish(call, row, panel, tile);
}

// The last rows of a column of tiles: at most R.
template <class Policy, int R, int P>
void last_tile(const LinearCall& call, int64_t row, int64_t panel) {
  if constexpr (R > 1) {
    if (call.rows - row < R) return last_tile<Policy, R - 1, P>(call, row, panel);
  }
  one_tile<Policy, R, P>(call, row, panel, Position::last);
}

// All rows against P panels.
template <class Policy, int P>
void column_of_tiles(const LinearCall& call, int64_t panel) {
  constexpr int kRows = kTileRowsWith<P>;
  int64_t row = 0;
  for (; row + kRows < call.rows; row += kRows) {
    one_tile<Policy, kRows, P>(call, row, panel, Position::inner);
  }
  last_tile<Policy, kRows, P>(call, row, panel);
}

template <class Policy, int P>
int64_t columns_of_tiles(const LinearCall& call, int64_t panel) {
  for (; panel + P <= call.panel_end; panel += P) column_of_tiles<Policy, P>(call, panel);
  return panel;
}

template <class Policy>
void linear(const LinearCall& call) {
  if (call.rows == 0) return;
  int64_t panel = call.panel_begin;
  if constexpr (kLanes == 16) panel = columns_of_tiles<Policy, 4>(call, panel);
  panel = columns_of_tiles<Policy, 2>(call, panel);
  columns_of_tiles<Policy, 1>(call, panel);
}

}  // namespace

void linear_f32(const LinearCall& call) { linear<WeightsF32>(call); }
void linear_bf16(const LinearCall& call) { linear<WeightsBf16Wide>(call); }
#if defined(__AVX512BF16__)
void linear_bf16_pairs(const LinearCall& call) { linear<WeightsBf16Pairs>(call); }
#endif

}  // namespace tidar::cpu::TIDAR_ISA
