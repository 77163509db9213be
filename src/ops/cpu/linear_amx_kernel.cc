// Products of bf16 with AMX: tiles of 16 rows x 32 inputs times 32 inputs x 16 columns.
//
// Four tiles of sums (32 rows x 2 panels) walk down the inputs; every tile of operands or weights
// that is loaded is used twice. The inputs are cut twice: into blocks whose operands, for all rows,
// stay in the level-2 cache while the panels pass by, and these into steps whose weights stay in
// the level-1 cache while the rows pass by. In between the sums rest in `partial`, which changes
// nothing: a sum stays one chain in the order of the inputs, whatever the other rows are.

#include "ops/cpu/epilogue.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

#if defined(__AMX_BF16__)

namespace tidar::cpu::TIDAR_ISA {

namespace {

constexpr int kTileRows = 16;
constexpr int kPairColumns = 2 * kPanel;
// A tile of weights, and the distance between the rows of a tile of weights or sums, in bytes.
constexpr int64_t kWeightTileBytes = 1024;
constexpr int64_t kWeightRowBytes = 64;
constexpr int64_t kSumRowBytes = kPairColumns * sizeof(float);

// Tiles 0-3: sums [upper, lower rows][panel 0, 1]; 4, 5: operands of upper, lower rows; 6, 7:
// weights of panel 0, 1.
void configure(int upper, int lower) {
  TileConfig config;
  const int lower_rows = lower > 0 ? lower : 1;
  config.rows[0] = config.rows[1] = config.rows[4] = static_cast<uint8_t>(upper);
  config.rows[2] = config.rows[3] = config.rows[5] = static_cast<uint8_t>(lower_rows);
  configure(config);
}

// Up to 32 rows of operands and where their sums rest.
struct RowBlock {
  const BFloat16* x;
  int64_t stride;  // elements
  int upper, lower;
  float* sums;  // [upper + lower][32]
};

// One step: inputs [0, 32 * tiles) of x against tiles of both panels.
template <bool kLower>
void multiply(const RowBlock& block, const std::byte* panel0, const std::byte* panel1,
              int64_t tiles) {
  const int64_t x_row_bytes = block.stride * static_cast<int64_t>(sizeof(BFloat16));
  const BFloat16* upper = block.x;
  const BFloat16* lower = block.x + block.upper * block.stride;
  for (int64_t t = 0; t < tiles; ++t) {
    _tile_loadd(6, panel0 + t * kWeightTileBytes, kWeightRowBytes);
    _tile_loadd(7, panel1 + t * kWeightTileBytes, kWeightRowBytes);
    _tile_loadd(4, upper + t * kTileDepth, x_row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kLower) {
      _tile_loadd(5, lower + t * kTileDepth, x_row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}

// The inputs behind the last whole tile, copied so that nothing beyond a row is read.
template <bool kLower>
void multiply_rest(const RowBlock& block, const std::byte* panel0, const std::byte* panel1,
                   int64_t rest) {
  alignas(64) BFloat16 padded[2 * kTileRows][kTileDepth] = {};
  for (int r = 0; r < block.upper + block.lower; ++r) {
    for (int64_t k = 0; k < rest; ++k) padded[r][k] = block.x[r * block.stride + k];
  }
  settle_memory();
  RowBlock copy = block;
  copy.x = padded[0];
  copy.stride = kTileDepth;
  multiply<kLower>(copy, panel0, panel1, 1);
}

enum class Sums : uint8_t { fresh, resumed };

// Inputs [from, to) of a block of rows; `from` is a multiple of 32.
template <bool kLower>
void run_step(RowBlock block, const std::byte* panel0, const std::byte* panel1, int64_t from,
              int64_t to, Sums sums) {
  float* upper = block.sums;
  float* lower = block.sums + block.upper * kPairColumns;
  if (sums == Sums::fresh) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, upper, kSumRowBytes);
    _tile_loadd(1, upper + kPanel, kSumRowBytes);
    if constexpr (kLower) {
      _tile_loadd(2, lower, kSumRowBytes);
      _tile_loadd(3, lower + kPanel, kSumRowBytes);
    }
  }
  const int64_t first = from / kTileDepth;
  const int64_t tiles = (to - from) / kTileDepth;
  block.x += from;
  panel0 += first * kWeightTileBytes;
  panel1 += first * kWeightTileBytes;
  multiply<kLower>(block, panel0, panel1, tiles);
  const int64_t rest = (to - from) % kTileDepth;
  if (rest > 0) {
    block.x += tiles * kTileDepth;
    multiply_rest<kLower>(block, panel0 + tiles * kWeightTileBytes,
                          panel1 + tiles * kWeightTileBytes, rest);
  }
  _tile_stored(0, upper, kSumRowBytes);
  _tile_stored(1, upper + kPanel, kSumRowBytes);
  if constexpr (kLower) {
    _tile_stored(2, lower, kSumRowBytes);
    _tile_stored(3, lower + kPanel, kSumRowBytes);
  }
}

void finish(const LinearCall& call, int64_t panel, const float* sums) {
  const bool both = panel + 1 < call.panel_end;
  for (int64_t r = 0; r < call.rows; ++r, sums += kPairColumns) {
    if (call.epilogue == Epilogue::swiglu) {
      const Floats gate = load(sums), up = load(sums + kPanel);
      write_swiglu(call, r, panel, &gate, &up);
      continue;
    }
    const Floats first_panel = load(sums), second_panel = load(sums + kPanel);
    write_sums(call, r, panel, &first_panel);
    if (both) write_sums(call, r, panel + 1, &second_panel);
  }
}

// All rows against one pair of panels, inputs [from, to), in steps.
void pair_of_panels(const LinearCall& call, int64_t panel, int64_t from, int64_t to, float* sums) {
  const int64_t panel_bytes = weight_panel_elements(DType::bf16, call.inputs) * 2;
  const auto* panel0 = static_cast<const std::byte*>(call.panels) + panel * panel_bytes;
  // An odd last panel is multiplied twice; the second result is not written.
  const auto* panel1 = panel + 1 < call.panel_end ? panel0 + panel_bytes : panel0;
  const int64_t step = call.rows > 2 * kTileRows ? kAmxStepInputs : to - from;
  for (int64_t k = from; k < to; k += step) {
    const int64_t end = k + step < to ? k + step : to;
    int upper = 0, lower = 0;
    for (int64_t row = 0; row < call.rows; row += 2 * kTileRows) {
      const int64_t left = call.rows - row;
      const int now_upper = static_cast<int>(left < kTileRows ? left : kTileRows);
      const int now_lower =
          static_cast<int>(left - now_upper < kTileRows ? left - now_upper : kTileRows);
      if (now_upper != upper || now_lower != lower) {
        upper = now_upper;
        lower = now_lower;
        configure(upper, lower);
      }
      const RowBlock block = {static_cast<const BFloat16*>(call.x) + row * call.x_stride,
                              call.x_stride, upper, lower, sums + row * kPairColumns};
      const Sums state = k == 0 ? Sums::fresh : Sums::resumed;
      if (lower > 0) {
        run_step<true>(block, panel0, panel1, k, end, state);
      } else {
        run_step<false>(block, panel0, panel1, k, end, state);
      }
    }
  }
}

}  // namespace

void linear_bf16_tiles(const LinearCall& call) {
  if (call.rows == 0 || call.panel_begin >= call.panel_end) return;
  const int64_t block = amx_block_inputs(call.rows, call.inputs);
  for (int64_t from = 0; from < call.inputs; from += block) {
    const int64_t to = from + block < call.inputs ? from + block : call.inputs;
    float* sums = call.partial;
    for (int64_t panel = call.panel_begin; panel < call.panel_end; panel += 2) {
      pair_of_panels(call, panel, from, to, sums);
      if (to == call.inputs) finish(call, panel, sums);
      if (block < call.inputs) sums += call.rows * kPairColumns;
    }
  }
  _tile_release();
}

}  // namespace tidar::cpu::TIDAR_ISA

#endif
