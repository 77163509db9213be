#pragma once
// Products of blocks that attention is made of: out [rows, columns] = or += a [rows, depth] times
// panels of 16 columns. For *_kernel.cc only. Rows are a multiple of 32 (64 on vectors of 16), and
// so are depth and columns: blocks are padded with zeros, so that no case of a rest is needed here.
// Sums are float; a sum is one chain in the order of depth, whatever stands in other rows.

#include "ops/cpu/multiply.h"
#include "ops/cpu/tiles.h"

namespace tidar::cpu::TIDAR_ISA {

/// One product; strides are in elements. T: float or BFloat16.
template <class T>
struct BlockProduct {
  const T* a;            // [rows, depth]
  int64_t a_stride;      // from a row to the next
  const T* panels;       // columns / 16 of them, each as a weight panel (kernels.h)
  int64_t panel_stride;  // from a panel to the next
  float* out;            // [rows, columns]
  int64_t out_stride;
  int64_t rows, depth, columns;
};

/// Whether sums begin at 0 or at what out holds.
enum class Sums : uint8_t { fresh, added };

/// On vector registers; Policy is one of multiply.h's. Products stand between begin() and end(), as
/// those of TileBlocks must.
template <class Policy>
struct VectorBlocks {
  using Type = typename Policy::Weight;

  static void begin() {}
  static void end() {}

  template <Sums kSums>
  static void multiply(const BlockProduct<Type>& product) {
    constexpr int kRows = kTileRowsWith<2>;
    for (int64_t c = 0; c < product.columns; c += 2 * kPanel) {
      for (int64_t r = 0; r < product.rows; r += kRows) {
        one_tile<kSums, kRows>(product, r, c);
      }
    }
  }

 private:
  template <Sums kSums, int R>
  static void one_tile(const BlockProduct<Type>& product, int64_t row, int64_t column) {
    Columns<Type, 2> columns;
    columns.step = Policy::kStep;
    columns.groups[0] = product.panels + column / kPanel * product.panel_stride;
    columns.groups[1] = columns.groups[0] + product.panel_stride;
    const Rows<Type> x = {product.a + row * product.a_stride, product.a_stride};
    Tile<R, 2> tile;
    float* const out = product.out + row * product.out_stride + column;
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < 2 * kPanelVectors; ++v) {
        tile.sums[r][v] =
            kSums == Sums::added ? load(out + r * product.out_stride + v * kLanes) : zero();
      }
    }
    Policy::multiply(tile, x, columns, product.depth);
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < 2 * kPanelVectors; ++v) {
        store(out + r * product.out_stride + v * kLanes, tile.sums[r][v]);
      }
    }
  }
};

#if defined(__AMX_BF16__)

/// On AMX tiles, 32 rows by 32 columns at a time: tiles 0 to 3 hold sums, 4 and 5 rows of a, 6 and
/// 7 panels, so that each tile that is read serves two products.
struct TileBlocks {
  using Type = BFloat16;

  /// begin() sets the shapes of the tiles, once for many products; end() gives the registers back,
  /// so that the system need not save them.
  static void begin() { configure(TileConfig()); }
  static void end() { _tile_release(); }

  template <Sums kSums>
  static void multiply(const BlockProduct<BFloat16>& product) {
    settle_memory();
    const int64_t a_bytes = product.a_stride * 2, out_bytes = product.out_stride * 4;
    for (int64_t c = 0; c < product.columns; c += 2 * kPanel) {
      const BFloat16* const left = product.panels + c / kPanel * product.panel_stride;
      const BFloat16* const right = left + product.panel_stride;
      for (int64_t r = 0; r < product.rows; r += 2 * kTileRows) {
        const BFloat16* const upper = product.a + r * product.a_stride;
        const BFloat16* const lower = upper + kTileRows * product.a_stride;
        float* const out = product.out + r * product.out_stride + c;
        float* const below = out + kTileRows * product.out_stride;
        if constexpr (kSums == Sums::added) {
          _tile_loadd(0, out, out_bytes);
          _tile_loadd(1, out + kPanel, out_bytes);
          _tile_loadd(2, below, out_bytes);
          _tile_loadd(3, below + kPanel, out_bytes);
        } else {
          _tile_zero(0);
          _tile_zero(1);
          _tile_zero(2);
          _tile_zero(3);
        }
        for (int64_t k = 0; k < product.depth; k += kTileDepth) {
          _tile_loadd(4, upper + k, a_bytes);
          _tile_loadd(6, left + k * kPanel, 64);
          _tile_loadd(7, right + k * kPanel, 64);
          _tile_dpbf16ps(0, 4, 6);
          _tile_dpbf16ps(1, 4, 7);
          _tile_loadd(5, lower + k, a_bytes);
          _tile_dpbf16ps(2, 5, 6);
          _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, out, out_bytes);
        _tile_stored(1, out + kPanel, out_bytes);
        _tile_stored(2, below, out_bytes);
        _tile_stored(3, below + kPanel, out_bytes);
      }
    }
    settle_memory();
  }

 private:
  static constexpr int64_t kTileRows = 16;
};

#endif

}  // namespace tidar::cpu::TIDAR_ISA
