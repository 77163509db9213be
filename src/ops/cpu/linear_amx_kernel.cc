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

// The tiles of weights of two panels, and those to call from memory meanwhile (nullptr: none), tile
// by tile: without that, memory waits for arithmetic and then arithmetic for memory.
struct PanelPair {
  const std::byte* panels[2];
  const std::byte* ahead[2] = {nullptr, nullptr};
  int64_t turn = 0, turns = 1;  // which of them: tile t if t % turns == turn
};

template <bool kAhead>
void call_tiles(const PanelPair& weights, int64_t t) {
  if constexpr (kAhead) {
    if (t % weights.turns != weights.turn) return;
    for (int64_t line = t * kWeightTileBytes; line < (t + 1) * kWeightTileBytes; line += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(weights.ahead[0] + line), _MM_HINT_T1);
      _mm_prefetch(reinterpret_cast<const char*>(weights.ahead[1] + line), _MM_HINT_T1);
    }
  }
}

// Inputs [0, 32 * tiles) of x against as many tiles of both panels.
template <bool kLower, bool kAhead>
void multiply(const RowBlock& block, const PanelPair& weights, int64_t tiles) {
  const int64_t x_row_bytes = block.stride * static_cast<int64_t>(sizeof(BFloat16));
  const BFloat16* upper = block.x;
  const BFloat16* lower = block.x + block.upper * block.stride;
  for (int64_t t = 0; t < tiles; ++t) {
    call_tiles<kAhead>(weights, t);
    _tile_loadd(6, weights.panels[0] + t * kWeightTileBytes, kWeightRowBytes);
    _tile_loadd(7, weights.panels[1] + t * kWeightTileBytes, kWeightRowBytes);
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
void multiply_rest(const RowBlock& block, const PanelPair& weights, int64_t tiles, int64_t rest) {
  alignas(64) BFloat16 padded[2 * kTileRows][kTileDepth] = {};
  const BFloat16* x = block.x + tiles * kTileDepth;
  for (int r = 0; r < block.upper + block.lower; ++r) {
    for (int64_t k = 0; k < rest; ++k) padded[r][k] = x[r * block.stride + k];
  }
  settle_memory();
  RowBlock copy = block;
  copy.x = padded[0];
  copy.stride = kTileDepth;
  const int64_t at = tiles * kWeightTileBytes;
  multiply<kLower, false>(copy, {{weights.panels[0] + at, weights.panels[1] + at}}, 1);
}

enum class Sums : uint8_t { fresh, resumed };

// The next `inputs` inputs of a block of rows.
template <bool kLower>
void run_step(const RowBlock& block, const PanelPair& weights, int64_t inputs, Sums sums) {
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
  const int64_t tiles = inputs / kTileDepth, rest = inputs % kTileDepth;
  if (weights.ahead[0] != nullptr) {
    multiply<kLower, true>(block, weights, tiles);
  } else {
    multiply<kLower, false>(block, weights, tiles);
  }
  if (rest > 0) multiply_rest<kLower>(block, weights, tiles, rest);
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

// All rows against one step of a pair of panels.
void all_rows(const LinearCall& call, PanelPair weights, int64_t from, int64_t to, float* sums) {
  int upper = 0, lower = 0;
  weights.turns = (call.rows + 2 * kTileRows - 1) / (2 * kTileRows);
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
    const RowBlock block = {static_cast<const BFloat16*>(call.x) + row * call.x_stride + from,
                            call.x_stride, upper, lower, sums + row * kPairColumns};
    const Sums state = from == 0 ? Sums::fresh : Sums::resumed;
    if (lower > 0) {
      run_step<true>(block, weights, to - from, state);
    } else {
      run_step<false>(block, weights, to - from, state);
    }
    ++weights.turn;
  }
}

// All rows against one pair of panels, inputs [from, to), in steps.
void pair_of_panels(const LinearCall& call, int64_t panel, int64_t from, int64_t to, float* sums) {
  const int64_t panel_bytes = weight_panel_elements(DType::bf16, call.inputs) * 2;
  const auto* panel0 = static_cast<const std::byte*>(call.panels) + panel * panel_bytes;
  // An odd last panel is multiplied twice; the second result is not written.
  const auto* panel1 = panel + 1 < call.panel_end ? panel0 + panel_bytes : panel0;
  // Few rows read weights at the speed of memory anyway.
  const bool calls_next_pair = panel + 4 <= call.panel_end && call.rows > 2 * kTileRows;
  const int64_t step = call.rows > 2 * kTileRows ? kAmxStepInputs : to - from;
  for (int64_t k = from; k < to; k += step) {
    const int64_t end = k + step < to ? k + step : to;
    const int64_t at = k / kTileDepth * kWeightTileBytes;
    PanelPair weights = {{panel0 + at, panel1 + at}};
    if (end < to && end - k == step && to - end >= step) {
      const int64_t next = end / kTileDepth * kWeightTileBytes;
      weights.ahead[0] = panel0 + next;
      weights.ahead[1] = panel1 + next;
    } else if (end == to && calls_next_pair) {
      const int64_t next = 2 * panel_bytes + from / kTileDepth * kWeightTileBytes;
      weights.ahead[0] = panel0 + next;
      weights.ahead[1] = panel1 + next;
    }
    all_rows(call, weights, k, end, sums);
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
