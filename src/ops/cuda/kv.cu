// Keys and values into their store, and from one of its slots to another.

#include "ops/cuda/gpu.h"

namespace tidar::cuda {

namespace {

constexpr int kThreads = 256;

// Block (r): the key and the value of row r, element by element.
template <class T>
__global__ void store_kv_kernel(View k, View v, const int32_t* slots, KvView kv, int layer) {
  let_next_begin();
  wait_for_earlier();
  const int64_t slot = slots[blockIdx.x];
  const float* const key = k.row<float>(blockIdx.x);
  const float* const value = v.row<float>(blockIdx.x);
  for (int i = static_cast<int>(threadIdx.x); i < kv.kv_heads * kv.head_size; i += kThreads) {
    const int64_t to = kv.offset(layer, slot, i / kv.head_size) + i % kv.head_size;
    static_cast<T*>(kv.keys)[to] = narrow<T>(key[i]);
    static_cast<T*>(kv.values)[to] = narrow<T>(value[i]);
  }
}

// Block (move, layer): all heads of one slot.
template <class T>
__global__ void move_kv_kernel(const Move* moves, KvView kv) {
  let_next_begin();
  wait_for_earlier();
  const auto [from, to] = moves[blockIdx.x];
  const int layer = static_cast<int>(blockIdx.y);
  for (int i = static_cast<int>(threadIdx.x); i < kv.kv_heads * kv.head_size; i += kThreads) {
    const int head = i / kv.head_size, e = i % kv.head_size;
    const int64_t source = kv.offset(layer, from, head) + e;
    const int64_t target = kv.offset(layer, to, head) + e;
    static_cast<T*>(kv.keys)[target] = static_cast<T*>(kv.keys)[source];
    static_cast<T*>(kv.values)[target] = static_cast<T*>(kv.values)[source];
  }
}

}  // namespace

void store_kv(Stream stream, const View& k, const View& v, const int32_t* slots, const KvView& kv,
              int layer) {
  if (k.rows == 0) return;
  with_element(kv.type, [&]<class T>(T*) {
    launch(stream, {.x = k.rows, .threads = kThreads}, store_kv_kernel<T>, k, v, slots, kv, layer);
  });
}

void move_kv(Stream stream, const Move* moves, int64_t count, const KvView& kv) {
  if (count == 0) return;
  with_element(kv.type, [&]<class T>(T*) {
    launch(stream, {.x = count, .y = kv.layers, .threads = kThreads}, move_kv_kernel<T>, moves, kv);
  });
}

}  // namespace tidar::cuda
