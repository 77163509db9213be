#pragma once
// Sums and maxima over the lanes of a warp and the threads of a block, by trees that are always the
// same: the result depends on the numbers alone.

#include "ops/cuda/gpu.h"

namespace tidar::cuda {

inline constexpr uint32_t kAllLanes = 0xffffffffu;

__device__ inline int lane_index() { return static_cast<int>(threadIdx.x) % kLanes; }
__device__ inline int warp_index() { return static_cast<int>(threadIdx.x) / kLanes; }

/// In every lane; all lanes call it.
__device__ inline float warp_sum(float value) {
  for (int bit = kLanes / 2; bit > 0; bit /= 2) value += __shfl_xor_sync(kAllLanes, value, bit);
  return value;
}

/// One bit of the tree at a time: while there are 2 · kHalf values, each lane goes on with one half
/// of them, and adds what the lane of the other half has. (Recursion, since an index that is known
/// when it is compiled keeps values in registers.)
template <int kHalf, int kBit>
__device__ void fold_lanes(float* values) {
  if constexpr (kBit > 0) {
    if constexpr (kHalf > 0) {
      const bool upper = (lane_index() & kBit) != 0;
      TIDAR_UNROLL
      for (int i = 0; i < kHalf; ++i) {
        const float given = upper ? values[i] : values[i + kHalf];
        const float kept = upper ? values[i + kHalf] : values[i];
        values[i] = kept + __shfl_xor_sync(kAllLanes, given, kBit);
      }
    } else {
      values[0] += __shfl_xor_sync(kAllLanes, values[0], kBit);
    }
    fold_lanes<kHalf / 2, kBit / 2>(values);
  }
}

/// Sums of kCount values, a power of two up to 32, at once: lane l gets that of value l / (32 /
/// kCount), added by the tree of warp_sum(), to the bit. All lanes call it; `values` are used up.
/// It takes kCount - 1 exchanges, and one for every bit that is left.
template <int kCount>
__device__ float warp_sums(float* values) {
  fold_lanes<kCount / 2, kLanes / 2>(values);
  return values[0];
}

/// The largest, of which none is NaN; in every lane; all lanes call it.
__device__ inline float warp_max(float value) {
  for (int bit = kLanes / 2; bit > 0; bit /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, value, bit);
    value = other > value ? other : value;
  }
  return value;
}

/// In every thread of a block of kThreads, all of which call it; `of_warps` is the block's, and
/// free for this alone until the next barrier.
template <int kThreads>
__device__ float block_sum(float value, Array<float, kThreads / kLanes>& of_warps) {
  value = warp_sum(value);
  if constexpr (kThreads > kLanes) {
    if (lane_index() == 0) of_warps[warp_index()] = value;
    __syncthreads();
    value = 0;
    for (int warp = 0; warp < kThreads / kLanes; ++warp) value += of_warps[warp];
  }
  return value;
}

}  // namespace tidar::cuda
