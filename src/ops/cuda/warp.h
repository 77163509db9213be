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
