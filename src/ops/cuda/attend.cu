// Attention over sights, in two kernels: parts of the keys are attended to by themselves (here in
// f32; in attend_mma.cu on tensor cores), then the parts are merged in their order. Which parts
// there are stands in attend_plan.h.
//
// A row's result depends on what it sees alone. Its keys come in tiles of 32 that begin where the
// key order, or the row's block, says; a tile of which it sees nothing leaves it as it was; and so
// does a part.

#include "ops/cuda/attend_parts.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kLanes;
constexpr int kPairs = 32;                   // pairs of a row and a head of a block
constexpr int kOwn = kPairs / kWarps;        // of a warp
constexpr int kSlices = kMostHead / kLanes;  // elements of a head of a lane: lane, lane + 32, …

struct AttendShared {
  Array<Array<float, kMostHead>, kPairs> queries;
  Array<Array<float, kMostHead + 1>, kLanes> keys;  // the one more: lanes reach different banks
  Array<Array<float, kLanes>, kPairs> weights;
};

// What a warp knows of one of its pairs: softmax so far, and the average that it weighs. `sum` is
// this lane's share, `average` this lane's elements.
struct Softmax {
  float largest;
  float sum;
  float average[kSlices];
};

__device__ Pair own_pair(const AttendCall& call, int p) {
  return pair_at(call, static_cast<int>(blockIdx.z) * kPairs, p);
}

// The queries of the block's pairs, rounded as the store rounds keys.
template <class T>
__device__ void stage_queries(const AttendCall& call, const KeyPart& part, int pairs,
                              AttendShared& shared) {
  const int size = call.kv.head_size;
  for (int i = static_cast<int>(threadIdx.x); i < pairs * size; i += kThreads) {
    const auto [row, head] = own_pair(call, i / size);
    const float q = call.q.row<float>(part.first_row + row)[head * size + i % size];
    shared.queries[i / size][i % size] = widen(narrow<T>(q));
  }
}

// Keys [first, first + 32) of the part; none behind its end is touched.
template <class T>
__device__ void stage_keys(const AttendCall& call, const KeyPart& part, int first,
                           AttendShared& shared) {
  const int size = call.kv.head_size;
  const T* const keys = static_cast<const T*>(call.kv.keys);
  const int count = part.to - first < kLanes ? part.to - first : kLanes;
  for (int i = static_cast<int>(threadIdx.x); i < count * size; i += kThreads) {
    const int64_t slot = slot_of(call, part, first + i / size);
    const int64_t at = call.kv.offset(call.layer, slot, static_cast<int>(blockIdx.y));
    shared.keys[i / size][i % size] = widen(keys[at + i % size]);
  }
}

// Takes the tile's keys into the softmax of pair p; returns the lanes whose keys its row sees.
template <class T>
__device__ uint32_t weigh_tile(const AttendCall& call, const KeyPart& part, int p, int first,
                               AttendShared& shared, Softmax& softmax) {
  const int32_t* const sight = sight_of(call, part, own_pair(call, p).row);
  const int key = first + lane_index();
  const bool sees = key >= sight[0] && key < sight[1] && key >= part.from && key < part.to;
  const uint32_t seen = __ballot_sync(kAllLanes, sees);
  if (seen == 0) return 0;
  float score = 0;
  if (sees) {
    for (int e = 0; e < call.kv.head_size; ++e)
      score = fmaf(shared.queries[p][e], shared.keys[lane_index()][e], score);
    score *= call.scale;
  }
  const float in_tile = warp_max(sees ? score : kNever);
  const float largest = in_tile > softmax.largest ? in_tile : softmax.largest;
  const float rescale = expf(softmax.largest - largest);
  const float weight = sees ? widen(narrow<T>(expf(score - largest))) : 0.0f;
  softmax.largest = largest;
  softmax.sum = fmaf(softmax.sum, rescale, weight);
  TIDAR_UNROLL
  for (int s = 0; s < kSlices; ++s) softmax.average[s] *= rescale;
  shared.weights[p][lane_index()] = weight;
  return seen;
}

// Adds the tile's values, each read once for all pairs of the warp. What a row does not see is not
// multiplied by 0, for it may be no number.
template <class T>
__device__ void add_values(const AttendCall& call, const KeyPart& part, int first,
                           const uint32_t (&seen)[kOwn], const AttendShared& shared,
                           Softmax (&softmax)[kOwn]) {
  const T* const values = static_cast<const T*>(call.kv.values);
  uint32_t by_any = 0;
  TIDAR_UNROLL
  for (int i = 0; i < kOwn; ++i) by_any |= seen[i];
  for (int j = 0; j < kLanes; ++j) {
    if ((by_any >> j & 1) == 0) continue;
    const int64_t slot = slot_of(call, part, first + j);
    const int64_t at = call.kv.offset(call.layer, slot, static_cast<int>(blockIdx.y));
    float value[kSlices];
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) {
      const int e = lane_index() + s * kLanes;
      value[s] = e < call.kv.head_size ? widen(values[at + e]) : 0.0f;
    }
    TIDAR_UNROLL
    for (int i = 0; i < kOwn; ++i) {
      if ((seen[i] >> j & 1) == 0) continue;
      const float weight = shared.weights[warp_index() * kOwn + i][j];
      TIDAR_UNROLL
      for (int s = 0; s < kSlices; ++s)
        softmax[i].average[s] = fmaf(weight, value[s], softmax[i].average[s]);
    }
  }
}

// Block (part, kv head, batch): kPairs pairs of a row and one of the heads that share the kv head.
// Each warp has kOwn of them; a lane has a key of the tile while it scores, and elements of the
// head while it averages.
template <class T>
__global__ void __launch_bounds__(kThreads) attend_kernel(AttendCall call) {
  let_next_begin();
  wait_for_earlier();
  TIDAR_SHARED(AttendShared, shared);
  const KeyPart part = call.parts[blockIdx.x];
  const int left = part.rows * call.group - static_cast<int>(blockIdx.z) * kPairs;
  const int pairs = left < kPairs ? left : kPairs;
  if (pairs <= 0) return;
  stage_queries<T>(call, part, pairs, shared);
  Softmax softmax[kOwn];
  TIDAR_UNROLL
  for (int i = 0; i < kOwn; ++i) softmax[i] = {kNever, 0, {}};

  for (int first = part.first_tile; first < part.to; first += kLanes) {
    __syncthreads();  // the tile before has been used; the first time, queries
                      // are there
    stage_keys<T>(call, part, first, shared);
    __syncthreads();
    uint32_t seen[kOwn] = {};
    TIDAR_UNROLL
    for (int i = 0; i < kOwn; ++i) {
      const int p = warp_index() * kOwn + i;
      if (p < pairs) seen[i] = weigh_tile<T>(call, part, p, first, shared, softmax[i]);
    }
    __syncwarp();  // weights are there
    add_values<T>(call, part, first, seen, shared, softmax);
  }

  TIDAR_UNROLL
  for (int i = 0; i < kOwn; ++i) {
    const int p = warp_index() * kOwn + i;
    if (p >= pairs) continue;
    const auto [row, head] = own_pair(call, p);
    float* const partial = call.partial(part.partial + row, head);
    const float sum = warp_sum(softmax[i].sum);
    if (lane_index() == 0) partial[0] = softmax[i].largest, partial[1] = sum;
    TIDAR_UNROLL
    for (int s = 0; s < kSlices; ++s) {
      const int e = lane_index() + s * kLanes;
      if (e < call.kv.head_size) partial[2 + e] = softmax[i].average[s];
    }
  }
}

struct MergeShared {
  Array<float, kMostHead> weights;  // of the parts at hand; -1: the row sees nothing of it
  Array<float, kMostHead / kLanes> of_warps;
};

// Block (r, h): row r and head h, a thread an element. Parts are taken in their order, leaving out
// those in which the row sees nothing.
template <class T>
__global__ void __launch_bounds__(kMostHead) merge_kernel(AttendCall call) {
  TIDAR_SHARED(MergeShared, shared);
  let_next_begin();
  const int row = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int e = static_cast<int>(threadIdx.x), size = call.kv.head_size;
  const RowParts parts = call.row_parts[row];  // not of the kernel before
  wait_for_earlier();
  const auto partial = [&](int i) { return call.partial(parts.first + i * parts.step, head); };
  float largest = kNever;
  for (int i = e; i < parts.count; i += kMostHead) {
    const float other = partial(i)[0];
    largest = other > largest ? other : largest;
  }
  largest = warp_max(largest);
  if (lane_index() == 0) shared.of_warps[warp_index()] = largest;
  __syncthreads();
  for (int warp = 0; warp < kMostHead / kLanes; ++warp) {
    const float other = shared.of_warps[warp];
    largest = other > largest ? other : largest;
  }
  float sum = 0, average = 0;
  for (int first = 0; first < parts.count; first += kMostHead) {
    const int count = parts.count - first < kMostHead ? parts.count - first : kMostHead;
    __syncthreads();  // the weights before have been used
    if (e < count) {
      const float* const own = partial(first + e);
      const bool sees = !(own[0] == kNever && own[1] == 0);
      shared.weights[e] = sees ? expf(own[0] - largest) : -1.0f;
    }
    __syncthreads();
    // Eight at a time, so that their loads are under way together.
    constexpr int kAtOnce = 8;
    for (int i = 0; i < count; i += kAtOnce) {
      float sums[kAtOnce], averages[kAtOnce];
      TIDAR_UNROLL
      for (int j = 0; j < kAtOnce; ++j) {
        sums[j] = averages[j] = 0;
        if (i + j >= count || shared.weights[i + j] < 0) continue;
        const float* const own = partial(first + i + j);
        sums[j] = own[1];
        if (e < size) averages[j] = own[2 + e];
      }
      TIDAR_UNROLL
      for (int j = 0; j < kAtOnce; ++j) {
        if (i + j >= count || shared.weights[i + j] < 0) continue;
        sum = fmaf(sums[j], shared.weights[i + j], sum);
        average = fmaf(averages[j], shared.weights[i + j], average);
      }
    }
  }
  if (e < size) call.out.row<T>(row)[int64_t{head} * size + e] = narrow<T>(average / sum);
}

}  // namespace

void attend(Stream stream, const AttendCall& call) {
  if (call.q.rows == 0) return;
  if (call.tensor_cores && can_attend_mma(call)) {
    attend_parts_mma(stream, call);
  } else {
    const int64_t batches = blocks_for(int64_t{call.most_rows} * call.group, kPairs);
    with_element(call.kv.type, [&]<class T>(T*) {
      launch(stream,
             {.x = call.part_count, .y = call.kv.kv_heads, .z = batches, .threads = kThreads},
             attend_kernel<T>, call);
    });
  }
  with_element(call.out.type, [&]<class T>(T*) {
    launch(stream,
           {.x = call.q.rows, .y = int64_t{call.kv.kv_heads} * call.group, .threads = kMostHead},
           merge_kernel<T>, call);
  });
}

}  // namespace tidar::cuda
