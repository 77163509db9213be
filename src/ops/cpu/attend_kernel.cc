// Attention on vector registers: every instruction set, every head size.

#include "ops/cpu/attend.h"
#include "ops/cpu/multiply.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

// Scores of R queries from `query` on against P panels from `panel` on.
template <class Keys, int R, int P>
void score_tile(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk, int query,
                int panel) {
  Columns<typename Keys::Weight, P> columns;
  columns.step = Keys::kStep;
  for (int p = 0; p < P; ++p) {
    columns.groups[p] =
        reinterpret_cast<const typename Keys::Weight*>(call.key_panel(chunk.panels[panel + p]));
  }
  const Rows<typename Keys::Operand> x = {work.q + int64_t{query} * call.padded_size,
                                          call.padded_size};
  Tile<R, P> tile;
  for (auto& row : tile.sums) {
    for (auto& sums : row) sums = zero();
  }
  Keys::multiply(tile, x, columns, call.padded_size);
  for (int r = 0; r < R; ++r) {
    float* scores = work.scores + int64_t{query + r} * kChunkKeys + panel * kPanel;
    for (int c = 0; c < P * kPanelVectors; ++c) {
      Floats score = tile.sums[r][c];
      if constexpr (Keys::kHasScales) {
        const std::byte* const of = call.key_panel(chunk.panels[panel + c / kPanelVectors]);
        score = mul(score, load(scales_of(of, call.padded_size) + c % kPanelVectors * kLanes));
      }
      store(scores + c * kLanes, score);
    }
  }
}

// Values of a chunk's keys, weighted, for R queries and P groups of 16 elements from `element` on.
template <class Keys, int R, int P>
void weigh_tile(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk, int query,
                int element) {
  Tile<R, P> tile;
  for (int r = 0; r < R; ++r) {
    const float* sums = work.sums + int64_t{query + r} * call.padded_size + element;
    const Floats factor = all(work.rescale[query + r]);
    for (int c = 0; c < P * kPanelVectors; ++c) {
      tile.sums[r][c] = mul(load(sums + c * kLanes), factor);
    }
  }
  constexpr int64_t kPairing = Keys::kStep / kPanel;
  Columns<typename Keys::Weight, P> columns;
  columns.step = call.padded_size * kPairing;
  for (int panel = 0; panel < chunk.count; ++panel) {
    const auto* values =
        reinterpret_cast<const typename Keys::Weight*>(call.value_panel(chunk.panels[panel]));
    for (int p = 0; p < P; ++p) columns.groups[p] = values + (element + p * kPanel) * kPairing;
    const Rows<typename Keys::Operand> x = {
        work.weights + int64_t{query} * kChunkKeys + panel * kPanel, kChunkKeys};
    Keys::multiply(tile, x, columns, kPanel);
  }
  for (int r = 0; r < R; ++r) {
    float* sums = work.sums + int64_t{query + r} * call.padded_size + element;
    for (int c = 0; c < P * kPanelVectors; ++c) store(sums + c * kLanes, tile.sums[r][c]);
  }
}

// Calls f.template operator()<rows>(query), rows at most R.
template <int R, class F>
void with_rows(int rows, int query, F&& f) {
  if constexpr (R > 1) {
    if (rows < R) return with_rows<R - 1>(rows, query, f);
  }
  f.template operator()<R>(query);
}

// Covers all queries with register tiles of nearly equal height, at most R: the short tile that
// would be left over takes as long as a whole one.
template <int R, class F>
void for_tiles(int queries, F&& f) {
  const int tiles = (queries + R - 1) / R;
  for (int i = 0; i < tiles; ++i) {
    const int query = queries * i / tiles;
    with_rows<R>(queries * (i + 1) / tiles - query, query, f);
  }
}

template <class Keys, int P>
int score_panels(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk,
                 int panel) {
  for (; panel + P <= chunk.count; panel += P) {
    for_tiles<kTileRowsWith<P>>(work.queries, [&]<int R>(int query) {
      score_tile<Keys, R, P>(call, work, chunk, query, panel);
    });
  }
  return panel;
}

template <class Keys, int P>
int weigh_elements(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk,
                   int element) {
  for (; element + P * kPanel <= call.padded_size; element += P * kPanel) {
    for_tiles<kTileRowsWith<P>>(work.queries, [&]<int R>(int query) {
      weigh_tile<Keys, R, P>(call, work, chunk, query, element);
    });
  }
  return element;
}

template <class Keys>
struct VectorProducts {
  static void score(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk) {
    int panel = 0;
    if constexpr (kLanes == 16) panel = score_panels<Keys, 4>(call, work, chunk, panel);
    panel = score_panels<Keys, 2>(call, work, chunk, panel);
    score_panels<Keys, 1>(call, work, chunk, panel);
  }
  static void weigh(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk) {
    int element = 0;
    if constexpr (kLanes == 16) element = weigh_elements<Keys, 4>(call, work, chunk, element);
    element = weigh_elements<Keys, 2>(call, work, chunk, element);
    weigh_elements<Keys, 1>(call, work, chunk, element);
  }
};

// Float keys and values.
struct KeysF32 : WeightsF32 {
  static constexpr bool kHasScales = false;
  static void put(float* out, Floats v) { store(out, v); }
};

struct KeysI8 : WeightsI8 {
  static constexpr bool kHasScales = true;
  static void put(float* out, Floats v) { store(out, v); }
};

#if defined(__AVX512BF16__)
struct KeysBf16 : WeightsBf16Pairs {
  static constexpr bool kHasScales = false;
  static void put(BFloat16* out, Floats v) { store_bf16(out, v); }
};
#else
// Queries and weights are rounded to bf16 as where there are instructions for it.
struct KeysBf16 : WeightsBf16Wide {
  static constexpr bool kHasScales = false;
  static void put(float* out, Floats v) {
    BFloat16 rounded[kLanes];
    store_bf16(rounded, v);
    store(out, load_bf16(rounded));
  }
};
#endif

}  // namespace

void attend_f32(const AttendCall& call) { attend<KeysF32, VectorProducts<KeysF32>>(call); }
void attend_bf16(const AttendCall& call) { attend<KeysBf16, VectorProducts<KeysBf16>>(call); }
void attend_i8(const AttendCall& call) { attend<KeysI8, VectorProducts<KeysI8>>(call); }

}  // namespace tidar::cpu::TIDAR_ISA
