// Attention of one tile of rows for one KV head, on vector registers.
//
// Keys pass by in chunks of up to four panels, and the softmax is taken as they come (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018). Which keys share a chunk depends
// on nothing but their place in the prefix or in the block, and a chunk that a row does not see
// multiplies its sums by exactly 1 and adds exactly 0: so a row's result does not depend on the
// other rows of its tile.

#include <cmath>

#include "ops/cpu/multiply.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

constexpr int kChunkPanels = 4;
constexpr int kChunkKeys = kChunkPanels * kPanel;

// Consecutive panels that are taken at once. Their keys are [first_key, first_key + 16 count) of
// the tile.
struct Chunk {
  const int32_t* panels;
  int count;
  int first_key;
};

// The part of the call's scratch that each purpose has. Queries are numbered row by row, head by
// head within the row.
template <class Policy>
struct Workspace {
  using Operand = typename Policy::Operand;

  explicit Workspace(const AttendCall& call)
      : queries(call.rows * call.heads),
        scores(call.scratch),
        sums(scores + int64_t{queries} * kChunkKeys),
        largest(sums + int64_t{queries} * call.head_size),
        total(largest + queries),
        rescale(total + queries),
        q(reinterpret_cast<Operand*>(rescale + queries)),
        weights(q + int64_t{queries} * call.head_size) {}

  int queries;
  float* scores;     // [queries][kChunkKeys]
  float* sums;       // [queries][head_size]: unnormalised output
  float* largest;    // [queries]: largest score so far
  float* total;      // [queries]: sum of exp(score - largest) so far
  float* rescale;    // [queries]: factor of this chunk for sums and total
  Operand* q;        // [queries][head_size]
  Operand* weights;  // [queries][kChunkKeys]: exp(score - largest) as an operand
};

template <class Policy>
void begin(const AttendCall& call, const Workspace<Policy>& work) {
  for (int i = 0; i < work.queries; ++i) {
    const float* q = call.q + (i / call.heads) * call.q_stride +
                     static_cast<int64_t>(i % call.heads) * call.head_size;
    for (int e = 0; e < call.head_size; ++e) {
      Policy::convert(q[e], work.q[int64_t{i} * call.head_size + e]);
    }
    work.largest[i] = -INFINITY;
    work.total[i] = 0;
  }
  for (int64_t i = 0; i < int64_t{work.queries} * call.head_size; ++i) work.sums[i] = 0;
}

// Scores of R queries from `query` on against P panels from `panel` on.
template <class Policy, int R, int P>
void score_tile(const AttendCall& call, const Workspace<Policy>& work, const Chunk& chunk,
                int query, int panel) {
  Columns<typename Policy::Weight, P> columns;
  columns.step = Policy::kStep;
  for (int p = 0; p < P; ++p) {
    columns.groups[p] = reinterpret_cast<const typename Policy::Weight*>(
        call.keys + chunk.panels[panel + p] * call.panel_bytes);
  }
  const typename Policy::Operand* x[R];
  for (int r = 0; r < R; ++r) x[r] = work.q + int64_t{query + r} * call.head_size;
  Tile<R, P> tile;
  for (auto& row : tile.sums) {
    for (auto& sums : row) sums = zero();
  }
  Policy::multiply(tile, x, columns, call.head_size);
  for (int r = 0; r < R; ++r) {
    float* scores = work.scores + int64_t{query + r} * kChunkKeys + panel * kPanel;
    for (int c = 0; c < P * kPanelVectors; ++c) store(scores + c * kLanes, tile.sums[r][c]);
  }
}

// Values of a chunk's keys, weighted, for R queries and P groups of 16 elements from `element` on.
template <class Policy, int R, int P>
void weigh_tile(const AttendCall& call, const Workspace<Policy>& work, const Chunk& chunk,
                int query, int element) {
  Tile<R, P> tile;
  for (int r = 0; r < R; ++r) {
    const float* sums = work.sums + int64_t{query + r} * call.head_size + element;
    const Floats factor = all(work.rescale[query + r]);
    for (int c = 0; c < P * kPanelVectors; ++c) {
      tile.sums[r][c] = mul(load(sums + c * kLanes), factor);
    }
  }
  constexpr int64_t kPairing = Policy::kStep / kPanel;
  Columns<typename Policy::Weight, P> columns;
  columns.step = call.head_size * kPairing;
  for (int panel = 0; panel < chunk.count; ++panel) {
    const auto* values = reinterpret_cast<const typename Policy::Weight*>(
        call.values + chunk.panels[panel] * call.panel_bytes);
    for (int p = 0; p < P; ++p) columns.groups[p] = values + (element + p * kPanel) * kPairing;
    const typename Policy::Operand* x[R];
    for (int r = 0; r < R; ++r) {
      x[r] = work.weights + int64_t{query + r} * kChunkKeys + panel * kPanel;
    }
    Policy::multiply(tile, x, columns, kPanel);
  }
  for (int r = 0; r < R; ++r) {
    float* sums = work.sums + int64_t{query + r} * call.head_size + element;
    for (int c = 0; c < P * kPanelVectors; ++c) store(sums + c * kLanes, tile.sums[r][c]);
  }
}

// Calls f.template operator()<R>(query) for register tiles that cover all queries.
template <int R, class F>
void for_tiles(int queries, F&& f) {
  int query = 0;
  for (; query + R <= queries; query += R) f.template operator()<R>(query);
  for (; query < queries; ++query) f.template operator()<1>(query);
}

template <class Policy, int P>
int score_panels(const AttendCall& call, const Workspace<Policy>& work, const Chunk& chunk,
                 int panel) {
  for (; panel + P <= chunk.count; panel += P) {
    for_tiles<kTileRowsWith<P>>(work.queries, [&]<int R>(int query) {
      score_tile<Policy, R, P>(call, work, chunk, query, panel);
    });
  }
  return panel;
}

template <class Policy, int P>
int weigh_elements(const AttendCall& call, const Workspace<Policy>& work, const Chunk& chunk,
                   int element) {
  for (; element + P * kPanel <= call.head_size; element += P * kPanel) {
    for_tiles<kTileRowsWith<P>>(work.queries, [&]<int R>(int query) {
      weigh_tile<Policy, R, P>(call, work, chunk, query, element);
    });
  }
  return element;
}

// The keys [from, to) of the chunk that query i sees, relative to its first key.
struct Seen {
  int from, to;
};

Seen seen_by(const AttendCall& call, const Chunk& chunk, int query, bool in_block) {
  const int32_t* sight = call.sights + int64_t{query / call.heads} * 4 + (in_block ? 2 : 0);
  const int from = sight[0] - chunk.first_key, to = sight[1] - chunk.first_key;
  const int keys = chunk.count * kPanel;
  return {from < 0 ? 0 : from, to > keys ? keys : to};
}

// Turns a query's scores of a chunk into weights, and moves `largest` and `total` along.
template <class Policy>
void soften(const AttendCall& call, const Workspace<Policy>& work, const Chunk& chunk, int query,
            Seen seen) {
  const int keys = chunk.count * kPanel;
  typename Policy::Operand* weights = work.weights + int64_t{query} * kChunkKeys;
  if (seen.from >= seen.to) {
    for (int k = 0; k < keys; k += kLanes) Policy::put(weights + k, zero());
    work.rescale[query] = 1;
    return;
  }
  const float* scores = work.scores + int64_t{query} * kChunkKeys;
  const Floats nothing = all(-INFINITY);
  const Floats scale = all(call.scale);
  Floats best = nothing;
  for (int k = 0; k < keys; k += kLanes) {
    const Mask visible = lanes(seen.from - k, seen.to - k);
    best = max(best, select(visible, mul(load(scores + k), scale), nothing));
  }
  const float before = work.largest[query];
  const float chunk_largest = largest(best);
  const float now = chunk_largest > before ? chunk_largest : before;
  Floats total = zero();
  for (int k = 0; k < keys; k += kLanes) {
    const Mask visible = lanes(seen.from - k, seen.to - k);
    const Floats weight = select(visible, exp(sub(mul(load(scores + k), scale), all(now))), zero());
    total = add(total, weight);
    Policy::put(weights + k, weight);
  }
  float factors[kLanes];
  store(factors, exp(all(before - now)));
  work.rescale[query] = factors[0];
  work.largest[query] = now;
  work.total[query] = work.total[query] * factors[0] + sum(total);
}

// Elements behind the last whole group of 16, one by one: head sizes that are not multiples of 16.
template <class Policy>
void weigh_rest(const AttendCall& call, const Workspace<Policy>& work, const Chunk& chunk,
                int element) {
  constexpr int64_t kPairing = Policy::kStep / kPanel;
  for (int query = 0; query < work.queries; ++query) {
    for (int e = element; e < call.head_size; ++e) {
      float& sum = work.sums[int64_t{query} * call.head_size + e];
      sum *= work.rescale[query];
      for (int key = 0; key < chunk.count * kPanel; ++key) {
        const auto* values = reinterpret_cast<const typename Policy::Weight*>(
            call.values + chunk.panels[key / kPanel] * call.panel_bytes);
        const int64_t in_panel = key % kPanel;
        const auto value =
            values[(in_panel / kPairing * call.head_size + e) * kPairing + in_panel % kPairing];
        sum += static_cast<float>(work.weights[int64_t{query} * kChunkKeys + key]) *
               static_cast<float>(value);
      }
    }
  }
}

template <class Policy>
void take_chunk(const AttendCall& call, const Workspace<Policy>& work, const Chunk& chunk,
                bool in_block) {
  int panel = 0;
  if constexpr (kLanes == 16) panel = score_panels<Policy, 4>(call, work, chunk, panel);
  panel = score_panels<Policy, 2>(call, work, chunk, panel);
  score_panels<Policy, 1>(call, work, chunk, panel);
  for (int query = 0; query < work.queries; ++query) {
    soften(call, work, chunk, query, seen_by(call, chunk, query, in_block));
  }
  int element = 0;
  if constexpr (kLanes == 16) element = weigh_elements<Policy, 4>(call, work, chunk, element);
  element = weigh_elements<Policy, 2>(call, work, chunk, element);
  element = weigh_elements<Policy, 1>(call, work, chunk, element);
  weigh_rest(call, work, chunk, element);
}

template <class Policy>
void finish(const AttendCall& call, const Workspace<Policy>& work) {
  for (int i = 0; i < work.queries; ++i) {
    const float* sums = work.sums + int64_t{i} * call.head_size;
    const int64_t at =
        (i / call.heads) * call.out_stride + static_cast<int64_t>(i % call.heads) * call.head_size;
    for (int e = 0; e < call.head_size; ++e) {
      const float value = sums[e] / work.total[i];
      if (call.out_dtype == DType::f32) {
        static_cast<float*>(call.out)[at + e] = value;
      } else {
        static_cast<BFloat16*>(call.out)[at + e] = BFloat16(value);
      }
    }
  }
}

template <class Policy>
void attend(const AttendCall& call) {
  const Workspace<Policy> work(call);
  begin(call, work);
  for (int p = 0; p < call.prefix_panels; p += kChunkPanels) {
    const int left = call.prefix_panels - p;
    take_chunk(call, work,
               Chunk{call.panels + p, left < kChunkPanels ? left : kChunkPanels, p * kPanel},
               false);
  }
  for (int p = 0; p < call.block_panels; p += kChunkPanels) {
    const int left = call.block_panels - p;
    const int panel = call.prefix_panels + p;
    take_chunk(
        call, work,
        Chunk{call.panels + panel, left < kChunkPanels ? left : kChunkPanels, panel * kPanel},
        true);
  }
  finish(call, work);
}

// Float keys and values.
struct KeysF32 : WeightsF32 {
  static void convert(float value, float& out) { out = value; }
  static void put(float* out, Floats v) { store(out, v); }
};

#if defined(__AVX512BF16__)
struct KeysBf16 : WeightsBf16Pairs {
  static void convert(float value, BFloat16& out) { out = BFloat16(value); }
  static void put(BFloat16* out, Floats v) { store_bf16(out, v); }
};
#else
// Queries and weights are rounded to bf16 as where there are instructions for it.
struct KeysBf16 : WeightsBf16Wide {
  static void convert(float value, float& out) { out = static_cast<float>(BFloat16(value)); }
  static void put(float* out, Floats v) {
    BFloat16 rounded[kLanes];
    store_bf16(rounded, v);
    store(out, load_bf16(rounded));
  }
};
#endif

}  // namespace

void attend_f32(const AttendCall& call) { attend<KeysF32>(call); }
void attend_bf16(const AttendCall& call) { attend<KeysBf16>(call); }

}  // namespace tidar::cpu::TIDAR_ISA
