// What lies between the product of q, k and v and attention, in one kernel: norms of heads,
// rotation, and keys and values into their store. It is what rms_norm(), rope() and store_kv() do
// one after another, to the bit.

#include "ops/cuda/gpu.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr int kSlices = kMostHead / kLanes;  // elements of a lane: lane, lane + 32, …

// One head of a row, a warp's work; `values` are this lane's elements.
struct Head {
  float values[kSlices];

  __device__ void load(const float* from, int size) {
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) {
      const int e = lane_index() + s * kLanes;
      values[s] = e < size ? from[e] : 0.0f;
    }
  }
  template <class T>
  __device__ void store(T* to, int size) const {
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) {
      const int e = lane_index() + s * kLanes;
      if (e < size) to[e] = narrow<T>(values[s]);
    }
  }
  __device__ void normalize(const Head& weight, float eps, int size) {
    float squares = 0;
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) squares = fmaf(values[s], values[s], squares);
    squares = warp_sum(squares);
    const float scale = 1.0f / sqrtf(squares / static_cast<float>(size) + eps);
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) values[s] = values[s] * scale * weight.values[s];
  }
  // Pairs of elements i and i + half, with their cosines and sines.
  __device__ void rotate(const Head& cosines, const Head& sines, int half) {
    float given[kSlices];
    if (half % kLanes == 0) {
      // Both are this lane's.
      TIDAR_UNROLL
      for (int s = 0; s < kSlices; ++s) {
        const int e = lane_index() + s * kLanes;
        given[s] = e < half ? slice(s + half / kLanes) : slice(s - half / kLanes);
      }
    } else {
      TIDAR_UNROLL
      for (int s = 0; s < kSlices; ++s) given[s] = 0;
      TIDAR_UNROLL
      for (int from = 0; from < kSlices; ++from) {
        TIDAR_UNROLL
        for (int s = 0; s < kSlices; ++s) {
          const int e = lane_index() + s * kLanes;
          const int other = e < half ? e + half : e - half;
          const int lane = other < 0 ? 0 : other % kLanes;
          const float value = __shfl_sync(kAllLanes, values[from], lane);
          if (other >= 0 && other / kLanes == from) given[s] = value;
        }
      }
    }
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) {
      const bool is_low = lane_index() + s * kLanes < half;
      const float turned = given[s] * sines.values[s];
      const float own = values[s] * cosines.values[s];
      values[s] = is_low ? own - turned : own + turned;
    }
  }

 private:
  // Of this lane; 0 where there is none.
  __device__ float slice(int index) const {
    float found = 0;
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) found = s == index ? values[s] : found;
    return found;
  }
};

// cos or sin for each element: of its pair.
__device__ Head angles_of(const float* table, int32_t position, int half) {
  Head angles;
  TIDAR_UNROLL
  for (int s = 0; s < kSlices; ++s) {
    const int e = lane_index() + s * kLanes;
    const int pair = e < half ? e : e - half;
    angles.values[s] = pair < half ? table[int64_t{position} * half + pair] : 0.0f;
  }
  return angles;
}

// Block (r, h): 8 of the heads of row r, first those of q, then of k, then of v. What does not come
// from the kernel before is loaded before it has ended.
template <class T>
__global__ void __launch_bounds__(kThreads) heads_kernel(HeadsCall call) {
  let_next_begin();
  const int64_t row = blockIdx.x;
  const int size = call.kv.head_size, kv_heads = call.kv.kv_heads;
  int head = static_cast<int>(blockIdx.y) * kWarps + warp_index();
  const bool is_query = head < call.q.heads;
  if (!is_query) head -= call.q.heads;
  const bool is_value = !is_query && head >= kv_heads;
  if (is_value) head -= kv_heads;
  const bool is_there = head < (is_query ? call.q.heads : kv_heads);
  const HeadsPart& part = is_query ? call.q : call.k;
  const bool has_norm = !is_value && part.norm != nullptr, rotates = !is_value && part.rotates;
  Head weight = {}, cosines = {}, sines = {};
  if (has_norm) weight.load(part.norm, size);
  if (rotates) {
    cosines = angles_of(part.angles.cosines, call.positions[row], part.angles.half);
    sines = angles_of(part.angles.sines, call.positions[row], part.angles.half);
  }
  const int64_t slot = call.slots[row];
  wait_for_earlier();
  if (!is_there) return;
  float* const own = (is_value ? call.v : part.x).template row<float>(row) + int64_t{head} * size;
  Head values;
  values.load(own, size);
  if (has_norm) values.normalize(weight, part.eps, size);
  if (rotates) values.rotate(cosines, sines, part.angles.half);
  if (has_norm || rotates) values.store(own, size);
  if (is_query) return;
  values.store(static_cast<T*>(is_value ? call.kv.values : call.kv.keys) +
                   call.kv.offset(call.layer, slot, head),
               size);
}

}  // namespace

void finish_heads(Stream stream, const HeadsCall& call) {
  const int64_t rows = call.v.rows;
  if (rows == 0) return;
  with_element(call.kv.type, [&]<class T>(T*) {
    launch(stream,
           {.x = rows,
            .y = blocks_for(call.q.heads + 2 * int64_t{call.kv.kv_heads}, kWarps),
            .threads = kThreads},
           heads_kernel<T>, call);
  });
}

}  // namespace tidar::cuda
