#pragma once
// What both kernels of attention know of a part: its pairs of a row and a head, and where its keys
// lie.

#include "ops/cuda/gpu.h"

namespace tidar::cuda {

inline constexpr float kNever = -INFINITY;

/// Row of the part, and head.
struct Pair {
  int row;
  int head;
};

/// Pair p of the block with this y, of kv heads, whose first pair is `first` of the part's.
__device__ inline Pair pair_at(const AttendCall& call, int first, int p) {
  const int pair = first + p;
  return {pair / call.group, static_cast<int>(blockIdx.y) * call.group + pair % call.group};
}

__device__ inline int64_t slot_of(const AttendCall& call, const KeyPart& part, int key) {
  if (key == part.stand_in) return part.stand_in_slot;
  if (key >= part.paged) return int64_t{part.scratch} + key;
  return int64_t{call.pages[part.first_page + key / kPageKeys]} * kPageKeys + key % kPageKeys;
}

/// Of the part's row: keys from, to, of the kind that the part has.
__device__ inline const int32_t* sight_of(const AttendCall& call, const KeyPart& part, int row) {
  return call.sights + 4 * (part.first_row + row) + (part.is_block ? 2 : 0);
}

}  // namespace tidar::cuda
