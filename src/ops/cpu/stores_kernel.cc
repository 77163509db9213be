// What a row leaves for later rows: its key and value, in the panels that attention reads.

#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

void round_into(float* out, Floats v) { store(out, v); }
void round_into(BFloat16* out, Floats v) { store_bf16(out, v); }
Floats widen(const float* p) { return load(p); }
Floats widen(const BFloat16* p) { return load_bf16(p); }

// Elements 2i and 2i + 1 of a bf16 key stand side by side, and so do keys 2i and 2i + 1 of a bf16
// value.
template <class T>
struct Column {
  static constexpr int64_t kPair = sizeof(T) == 2 ? 2 : 1;

  explicit Column(const KvColumn& of)
      : key(static_cast<T*>(of.key_panel) + of.column * kPair),
        value(static_cast<T*>(of.value_panel) + of.column / kPair * kPair * of.padded_size +
              of.column % kPair) {}

  T& key_element(int64_t e) const { return key[e / kPair * kPair * kPanel + e % kPair]; }
  T& value_element(int64_t e) const { return value[e * kPair]; }

  T* key;
  T* value;
};

template <class T>
void put_kv(const KvColumn& call) {
  const Column<T> column(call);
  Floats zeros = zero();  // NaN where a value is not finite
  for (int64_t e = 0; e < call.head_size; e += kLanes) {
    const int count = lanes_left(call.head_size, e);
    T keys[kLanes], values[kLanes];
    round_into(keys, load_first(call.key + e, count));
    round_into(values, load_first(call.value + e, count));
    zeros = fma(widen(values), zero(), zeros);
    for (int i = 0; i < count; ++i) column.key_element(e + i) = keys[i];
    for (int i = 0; i < count; ++i) column.value_element(e + i) = values[i];
  }
  if (sum(zeros) == 0) return;
  for (int64_t e = 0; e < call.head_size; ++e) {
    column.key_element(e) = T(NAN);
    column.value_element(e) = T(0.0f);
  }
}

template <class T>
void copy_kv(const KvColumn& from, const KvColumn& to) {
  const Column<T> source(from), target(to);
  for (int64_t e = 0; e < from.head_size; ++e) {
    target.key_element(e) = source.key_element(e);
    target.value_element(e) = source.value_element(e);
  }
}

}  // namespace

void put_kv_f32(const KvColumn& call) { put_kv<float>(call); }
void put_kv_bf16(const KvColumn& call) { put_kv<BFloat16>(call); }
void copy_kv_f32(const KvColumn& from, const KvColumn& to) { copy_kv<float>(from, to); }
void copy_kv_bf16(const KvColumn& from, const KvColumn& to) { copy_kv<BFloat16>(from, to); }

}  // namespace tidar::cpu::TIDAR_ISA
