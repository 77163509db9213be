// Kernels that work on each row by itself: embed, gather, scatter_add, rms_norm, rope. All are
// bound by the memory that they read and write once.

#include "ops/cuda/gpu.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

namespace {

constexpr int kThreads = 256;

// Block (r): row r of the result, a thread an element and then every kThreads-th.
template <class T>
__global__ void embed_kernel(const int32_t* tokens, WeightView table, View out) {
  let_next_begin();
  wait_for_earlier();
  const T* const from = table.row<T>(tokens[blockIdx.x]);
  float* const to = out.row<float>(blockIdx.x);
  for (int64_t c = threadIdx.x; c < out.cols; c += kThreads) to[c] = widen(from[c]);
}

// As embed_kernel().
__global__ void gather_kernel(View x, const int32_t* rows, View out) {
  let_next_begin();
  wait_for_earlier();
  const float* const from = x.row<float>(rows[blockIdx.x]);
  float* const to = out.row<float>(blockIdx.x);
  for (int64_t c = threadIdx.x; c < out.cols; c += kThreads) to[c] = from[c];
}

// Block (i): row i of x, as embed_kernel().
__global__ void scatter_add_kernel(View x, const int32_t* rows, float scale, View out) {
  let_next_begin();
  wait_for_earlier();
  const float* const from = x.row<float>(blockIdx.x);
  float* const to = out.row<float>(rows[blockIdx.x]);
  for (int64_t c = threadIdx.x; c < x.cols; c += kThreads) to[c] = fmaf(scale, from[c], to[c]);
}

// Vectors up to this are a warp's work.
constexpr int64_t kWarpVector = 1024;
constexpr int kVectorThreads = 512;  // of larger ones

template <int kNormThreads>
struct NormShared {
  Array<float, kNormThreads / kLanes> sums;
};

// Block (r, h): vector h of row r. Each thread squares and scales the same elements, so that out
// may be x. The first of them stay in registers, all loaded at once; their weights come before.
template <int kNormThreads, class T>
__global__ void __launch_bounds__(kNormThreads, 1)
    rms_norm_kernel(View x, const float* weight, float eps, int64_t size, View out) {
  TIDAR_SHARED(NormShared<kNormThreads>, shared);
  constexpr int kKept = 8;
  let_next_begin();
  const auto place = [](int i) { return int64_t{threadIdx.x} + i * kNormThreads; };
  float weights[kKept], values[kKept];
  TIDAR_UNROLL
  for (int i = 0; i < kKept; ++i) weights[i] = place(i) < size ? weight[place(i)] : 0.0f;
  wait_for_earlier();
  const float* const from = x.row<float>(blockIdx.x) + blockIdx.y * size;
  T* const to = out.row<T>(blockIdx.x) + blockIdx.y * size;
  TIDAR_UNROLL
  for (int i = 0; i < kKept; ++i) values[i] = place(i) < size ? from[place(i)] : 0.0f;
  float squares = 0;
  TIDAR_UNROLL
  for (int i = 0; i < kKept; ++i) squares = fmaf(values[i], values[i], squares);
  for (int64_t i = place(kKept); i < size; i += kNormThreads)
    squares = fmaf(from[i], from[i], squares);
  squares = block_sum<kNormThreads>(squares, shared.sums);
  const float scale = 1.0f / sqrtf(squares / static_cast<float>(size) + eps);
  TIDAR_UNROLL
  for (int i = 0; i < kKept; ++i) {
    if (place(i) < size) to[place(i)] = narrow<T>(values[i] * scale * weights[i]);
  }
  for (int64_t i = place(kKept); i < size; i += kNormThreads)
    to[i] = narrow<T>(from[i] * scale * weight[i]);
}

// Block (r, part): kThreads pairs of row r, a thread each.
__global__ void rope_kernel(View x, int heads, const int32_t* positions, Angles angles) {
  let_next_begin();
  wait_for_earlier();
  const int pair = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
  if (pair >= heads * angles.half) return;
  const int head = pair / angles.half, i = pair % angles.half;
  const int64_t angle = static_cast<int64_t>(positions[blockIdx.x]) * angles.half + i;
  const float cosine = angles.cosines[angle], sine = angles.sines[angle];
  float* const low = x.row<float>(blockIdx.x) + 2 * angles.half * head + i;
  float* const high = low + angles.half;
  const float a = *low, b = *high;
  *low = a * cosine - b * sine;
  *high = b * cosine + a * sine;
}

}  // namespace

void embed(Stream stream, const int32_t* tokens, const WeightView& table, const View& out) {
  if (out.rows == 0) return;
  with_element(table.type, [&]<class T>(T*) {
    launch(stream, {.x = out.rows, .threads = kThreads}, embed_kernel<T>, tokens, table, out);
  });
}

void gather(Stream stream, const View& x, const int32_t* rows, const View& out) {
  if (out.rows == 0) return;
  launch(stream, {.x = out.rows, .threads = kThreads}, gather_kernel, x, rows, out);
}

void scatter_add(Stream stream, const View& x, const int32_t* rows, float scale, const View& out) {
  if (x.rows == 0) return;
  launch(stream, {.x = x.rows, .threads = kThreads}, scatter_add_kernel, x, rows, scale, out);
}

void rms_norm(Stream stream, const View& x, const float* weight, float eps, int heads,
              const View& out) {
  if (out.rows == 0) return;
  const int64_t size = x.cols / heads;
  with_element(out.type, [&]<class T>(T*) {
    // What a vector's sum is depends on its size, not on how many there are.
    if (size <= kWarpVector) {
      launch(stream, {.x = x.rows, .y = heads, .threads = kLanes}, rms_norm_kernel<kLanes, T>, x,
             weight, eps, size, out);
    } else {
      launch(stream, {.x = x.rows, .y = heads, .threads = kVectorThreads},
             rms_norm_kernel<kVectorThreads, T>, x, weight, eps, size, out);
    }
  });
}

void rope(Stream stream, const View& x, int heads, const int32_t* positions, const Angles& angles) {
  if (x.rows == 0) return;
  const int64_t pairs = int64_t{heads} * angles.half;
  launch(stream, {.x = x.rows, .y = blocks_for(pairs, kThreads), .threads = kThreads}, rope_kernel,
         x, heads, positions, angles);
}

}  // namespace tidar::cuda
