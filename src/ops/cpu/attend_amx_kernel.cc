// Attention with bf16 keys and values on AMX tiles, for padded heads that are multiples of 32.

#include "ops/cpu/attend.h"
#include "ops/cpu/tiles.h"

#if defined(__AMX_BF16__)

namespace tidar::cpu::TIDAR_ISA {

namespace {

constexpr int kQueries = 16;  // of a tile
constexpr int64_t kTileBytes = 1024;

struct KeysBf16 {
  static constexpr bool kHasScales = false;
  using Operand = BFloat16;
  static void put(BFloat16* out, Floats v) { store_bf16(out, v); }
};

// Scores of 16 queries against the chunk's panels, sums in tiles 0-3. Panels that the chunk lacks
// repeat its first one; what they give is not looked at.
void score_queries(const AttendCall& call, const Workspace<KeysBf16>& work, const Chunk& chunk,
                   int query) {
  const std::byte* panels[kChunkPanels];
  for (int p = 0; p < kChunkPanels; ++p) {
    panels[p] = call.key_panel(chunk.panels[p < chunk.count ? p : 0]);
  }
  const BFloat16* q = work.q + int64_t{query} * call.padded_size;
  const int64_t q_row_bytes = 2 * int64_t{call.padded_size};
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int e = 0; e < call.padded_size; e += kTileDepth) {
    const int64_t at = e / kTileDepth * kTileBytes;
    _tile_loadd(4, q + e, q_row_bytes);
    _tile_loadd(5, panels[0] + at, 64);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, panels[1] + at, 64);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(5, panels[2] + at, 64);
    _tile_dpbf16ps(2, 4, 5);
    _tile_loadd(6, panels[3] + at, 64);
    _tile_dpbf16ps(3, 4, 6);
  }
  float* scores = work.scores + int64_t{query} * kChunkKeys;
  constexpr int64_t kRowBytes = kChunkKeys * sizeof(float);
  _tile_stored(0, scores, kRowBytes);
  _tile_stored(1, scores + kPanel, kRowBytes);
  _tile_stored(2, scores + 2 * kPanel, kRowBytes);
  _tile_stored(3, scores + 3 * kPanel, kRowBytes);
}

// A tile multiplies 32 keys, two panels, which must lie one after the other. Panels of one page do;
// others are copied. A lone last panel is multiplied beside itself, with weights of zero: the same
// sums as beside a panel that the row does not see.
const std::byte* two_panels(const AttendCall& call, const Chunk& chunk, int panel,
                            std::byte* copies) {
  const std::byte* one = call.value_panel(chunk.panels[panel]);
  const bool lone = panel + 1 == chunk.count;
  const std::byte* other = lone ? one : call.value_panel(chunk.panels[panel + 1]);
  if (other == one + call.panel_bytes) return one;
  __builtin_memcpy(copies, one, static_cast<size_t>(call.panel_bytes));
  __builtin_memcpy(copies + call.panel_bytes, other, static_cast<size_t>(call.panel_bytes));
  settle_memory();
  return copies;
}

struct TileProducts {
  static constexpr int kLargestHead = 256;

  static void score(const AttendCall& call, const Workspace<KeysBf16>& work, const Chunk& chunk) {
    settle_memory();
    for (int query = 0; query < work.queries; query += kQueries) {
      score_queries(call, work, chunk, query);
    }
  }

  static void weigh(const AttendCall& call, const Workspace<KeysBf16>& work, const Chunk& chunk) {
    for (int query = 0; query < work.queries; ++query) prepare(call, work, chunk, query);
    alignas(64) std::byte copies[kChunkPanels / 2][2 * kPanel * kLargestHead * 2];
    const std::byte* pairs[kChunkPanels / 2] = {};
    for (int panel = 0; panel < chunk.count; panel += 2) {
      pairs[panel / 2] = two_panels(call, chunk, panel, copies[panel / 2]);
    }
    settle_memory();
    for (int element = 0; element < call.padded_size; element += 2 * kPanel) {
      for (int query = 0; query < work.queries; query += kQueries) {
        weigh_queries(call, work, chunk, pairs, query, element);
      }
    }
  }

 private:
  // Rescales the sums of a query, and clears the weights of a panel that the chunk lacks.
  static void prepare(const AttendCall& call, const Workspace<KeysBf16>& work, const Chunk& chunk,
                      int query) {
    float* sums = work.sums + int64_t{query} * call.padded_size;
    const Floats factor = all(work.rescale[query]);
    for (int e = 0; e < call.padded_size; e += kLanes) store(sums + e, mul(load(sums + e), factor));
    if (chunk.count % 2 == 1) {
      BFloat16* weights = work.weights + int64_t{query} * kChunkKeys + chunk.count * kPanel;
      store_bf16(weights, zero());
    }
  }

  // Adds the weighted values of 16 queries and 32 elements to their sums.
  static void weigh_queries(const AttendCall& call, const Workspace<KeysBf16>& work,
                            const Chunk& chunk, const std::byte* const (&pairs)[kChunkPanels / 2],
                            int query, int element) {
    float* sums = work.sums + int64_t{query} * call.padded_size + element;
    const int64_t sums_row_bytes = 4 * int64_t{call.padded_size};
    const int64_t values_row_bytes = 4 * int64_t{call.padded_size};  // a pair of keys
    constexpr int64_t kWeightsRowBytes = kChunkKeys * sizeof(BFloat16);
    const BFloat16* weights = work.weights + int64_t{query} * kChunkKeys;
    _tile_loadd(0, sums, sums_row_bytes);
    _tile_loadd(1, sums + kPanel, sums_row_bytes);
    for (int panel = 0; panel < chunk.count; panel += 2) {
      const std::byte* values = pairs[panel / 2] + 4 * int64_t{element};
      _tile_loadd(4, weights + panel * kPanel, kWeightsRowBytes);
      _tile_loadd(5, values, values_row_bytes);
      _tile_dpbf16ps(0, 4, 5);
      _tile_loadd(6, values + 4 * kPanel, values_row_bytes);
      _tile_dpbf16ps(1, 4, 6);
    }
    _tile_stored(0, sums, sums_row_bytes);
    _tile_stored(1, sums + kPanel, sums_row_bytes);
  }
};

}  // namespace

void attend_bf16(const AttendCall& call);

void attend_bf16_tiles(const AttendCall& call) {
  if (call.padded_size % (2 * kPanel) != 0 || call.padded_size > TileProducts::kLargestHead) {
    return attend_bf16(call);
  }
  configure(TileConfig());
  attend<KeysBf16, TileProducts>(call);
  _tile_release();
}

}  // namespace tidar::cpu::TIDAR_ISA

#endif
