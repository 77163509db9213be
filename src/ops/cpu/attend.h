#pragma once
// The skeleton of attention: one tile of rows, one KV head. For *_kernel.cc only.
//
// Keys pass by in chunks of up to four panels, and the softmax is taken as they come (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018). Which keys share a chunk depends
// on nothing but their place in the prefix or in the block, and a chunk that a row does not see
// multiplies its sums by exactly 1 and adds exactly 0: so a row's result does not depend on the
// other rows of its tile.
//
// Two policies fill the skeleton. Keys says what an operand is: Operand, put(Operand*, Floats); and
// whether keys and values are codes, whose scales are multiplied into scores and into weights.
// Products multiplies: score(call, work, chunk) writes work.scores, and
// weigh(call, work, chunk) sets sums = sums * rescale + weights * values.
//
// A *query* is one head of one row: R rows of H / G heads that share this KV head. With P keys in
// all panels, the tile costs 4 R (H / G) P E operations and reads 2 P E elements of keys and
// values.

#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

inline constexpr int kChunkPanels = 4;
inline constexpr int kChunkKeys = kChunkPanels * kPanel;

// Consecutive panels that are taken at once. Their keys are [first_key, first_key + 16 count) of
// the tile.
struct Chunk {
  const int32_t* panels;
  int count;
  int first_key;
};

// The part of the call's scratch that each purpose has. Queries are numbered row by row, head by
// head within the row.
template <class Keys>
struct Workspace {
  using Operand = typename Keys::Operand;

  explicit Workspace(const AttendCall& call)
      : queries(call.rows * call.heads),
        padded(static_cast<int>(round_up(queries, kPanel))),
        scores(call.scratch),
        sums(scores + int64_t{padded} * kChunkKeys),
        largest(sums + int64_t{padded} * call.padded_size),
        total(largest + padded),
        rescale(total + padded),
        q(reinterpret_cast<Operand*>(rescale + padded)),
        weights(q + int64_t{padded} * call.padded_size) {}

  int queries;
  int padded;     // there is room for whole tiles of 16 queries; what is behind the last is ignored
  float* scores;  // [queries][kChunkKeys]
  float* sums;    // [queries][padded_size]: unnormalised output
  float* largest;    // [queries]: largest score so far
  float* total;      // [queries]: sum of exp(score - largest) so far
  float* rescale;    // [queries]: factor of this chunk for sums and total
  Operand* q;        // [queries][padded_size]
  Operand* weights;  // [queries][kChunkKeys]: exp(score - largest) as an operand
};

// Queries become operands, padded with zeros, and the running softmax is that of nothing.
template <class Keys>
void begin(const AttendCall& call, const Workspace<Keys>& work) {
  for (int i = 0; i < work.queries; ++i) {
    const float* q = call.q + (i / call.heads) * call.q_stride +
                     static_cast<int64_t>(i % call.heads) * call.head_size;
    typename Keys::Operand* padded = work.q + int64_t{i} * call.padded_size;
    for (int e = 0; e < call.padded_size; e += kLanes) {
      Keys::put(padded + e, load_first(q + e, lanes_left(call.head_size, e)));
    }
    work.largest[i] = -INFINITY;
    work.total[i] = 0;
  }
  for (int64_t i = 0; i < int64_t{work.queries} * call.padded_size; ++i) work.sums[i] = 0;
}

// The keys [from, to) of the chunk that query i sees, relative to its first key.
struct Seen {
  int from, to;
};

inline Seen seen_by(const AttendCall& call, const Chunk& chunk, int query, bool in_block) {
  const int32_t* sight = call.sights + int64_t{query / call.heads} * 4 + (in_block ? 2 : 0);
  const int from = sight[0] - chunk.first_key, to = sight[1] - chunk.first_key;
  const int keys = chunk.count * kPanel;
  return {from < 0 ? 0 : from, to > keys ? keys : to};
}

// Turns a query's scores of a chunk into weights, exp(score - largest so far), and moves `largest`
// and `total` along. Sums that were made with a smaller `largest` are multiplied by `rescale`.
template <class Keys>
void soften(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk, int query,
            Seen seen) {
  const int keys = chunk.count * kPanel;
  typename Keys::Operand* weights = work.weights + int64_t{query} * kChunkKeys;
  if (seen.from >= seen.to) {
    for (int k = 0; k < keys; k += kLanes) Keys::put(weights + k, zero());
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
    Floats weight = select(visible, exp(sub(mul(load(scores + k), scale), all(now))), zero());
    total = add(total, weight);
    if constexpr (Keys::kHasScales) {
      const std::byte* const panel = call.value_panel(chunk.panels[k / kPanel]);
      weight = mul(weight, load(scales_of(panel, call.padded_size) + k % kPanel));
    }
    Keys::put(weights + k, weight);
  }
  float factors[kLanes];
  store(factors, exp(all(before - now)));
  work.rescale[query] = factors[0];
  work.largest[query] = now;
  work.total[query] = work.total[query] * factors[0] + sum(total);
}

// Scores of all queries, then their weights, then the values' share of the sums.
template <class Keys, class Products>
void take_chunk(const AttendCall& call, const Workspace<Keys>& work, const Chunk& chunk,
                bool in_block) {
  Products::score(call, work, chunk);
  for (int query = 0; query < work.queries; ++query) {
    soften(call, work, chunk, query, seen_by(call, chunk, query, in_block));
  }
  Products::weigh(call, work, chunk);
}

// Divides by the sums of weights. A row sees a key at least, so that none of them is 0.
template <class Keys>
void finish(const AttendCall& call, const Workspace<Keys>& work) {
  for (int i = 0; i < work.queries; ++i) {
    const float* sums = work.sums + int64_t{i} * call.padded_size;
    const Floats total = all(work.total[i]);
    const int64_t at =
        (i / call.heads) * call.out_stride + static_cast<int64_t>(i % call.heads) * call.head_size;
    for (int e = 0; e < call.head_size; e += kLanes) {
      store_first(call.out, call.out_dtype, at + e, div(load(sums + e), total),
                  lanes_left(call.head_size, e));
    }
  }
}

// The whole tile: the panels of the prefix, then those of the block.
template <class Keys, class Products>
void attend(const AttendCall& call) {
  const Workspace<Keys> work(call);
  begin(call, work);
  for (int p = 0; p < call.prefix_panels; p += kChunkPanels) {
    const int left = call.prefix_panels - p;
    take_chunk<Keys, Products>(
        call, work, Chunk{call.panels + p, left < kChunkPanels ? left : kChunkPanels, p * kPanel},
        false);
  }
  for (int p = 0; p < call.block_panels; p += kChunkPanels) {
    const int left = call.block_panels - p;
    const int panel = call.prefix_panels + p;
    take_chunk<Keys, Products>(
        call, work,
        Chunk{call.panels + panel, left < kChunkPanels ? left : kChunkPanels, panel * kPanel},
        true);
  }
  finish(call, work);
}

}  // namespace tidar::cpu::TIDAR_ISA
