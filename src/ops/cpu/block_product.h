#pragma once
// Products of blocks that attention is made of: out [rows, columns] = or += a [rows, depth] times
// panels of 16 columns. For *_kernel.cc only. Rows are a multiple of 32 (64 on vectors of 16), and
// so are depth and columns.

#include "ops/cpu/multiply.h"
#include "ops/cpu/tiles.h"

namespace tidar::cpu::TIDAR_ISA {

template <class T>
struct BlockProduct {
  const T* a;
  int64_t a_stride;
  const T* panels;
  int64_t panel_stride;
  float* out;
  int64_t out_stride;
  int64_t rows, depth, columns;
};

enum class Sums : uint8_t { fresh, added };

/// On vector registers; Policy is one of multiply.h's.
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
    const Type* x[R];
    Tile<R, 2> tile;
    float* const out = product.out + row * product.out_stride + column;
    for (int r = 0; r < R; ++r) {
      x[r] = product.a + (row + r) * product.a_stride;
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

/// On AMX tiles, 32 rows by 32 columns at a time.
struct TileBlocks {
  using Type = BFloat16;

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
