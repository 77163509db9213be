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

// A column of a key panel and of a value panel, in codes.
struct CodeColumn : Column<int8_t> {
  explicit CodeColumn(const KvColumn& of)
      : Column<int8_t>(of),
        key_scale(scales_of(of.key_panel, of.padded_size)[of.column]),
        value_scale(scales_of(of.value_panel, of.padded_size)[of.column]) {}

  float& key_scale;
  float& value_scale;
};

// What nearest_codes() (group_codes.h) says: put(e, code) for each number; returns the scale.
template <class Put>
float round_to_codes(const float* numbers, int64_t count, Put&& put) {
  Floats best = zero(), zeros = zero();  // the latter NaN where a number is not finite
  for (int64_t e = 0; e < count; e += kLanes) {
    const Floats x = load_first(numbers + e, lanes_left(count, e));
    best = max(best, max(x, sub(zero(), x)));
    zeros = fma(x, zero(), zeros);
  }
  const bool finite = sum(zeros) == 0;
  const float most = largest(best);
  const bool codes = finite && most >= kLeastOperand;
  const Floats factor = all(codes ? 127 / most : 0);
  for (int64_t e = 0; e < count; e += kLanes) {
    const int there = lanes_left(count, e);
    float whole[kLanes] = {};
    if (codes) store(whole, round(mul(load_first(numbers + e, there), factor)));
    for (int i = 0; i < there; ++i) put(e + i, static_cast<int8_t>(whole[i]));
  }
  if (!finite) return NAN;
  return codes ? most / 127 : 0;
}

}  // namespace

void put_kv_i8(const KvColumn& call) {
  const CodeColumn column(call);
  column.key_scale = round_to_codes(call.key, call.head_size,
                                    [&](int64_t e, int8_t code) { column.key_element(e) = code; });
  column.value_scale = round_to_codes(
      call.value, call.head_size, [&](int64_t e, int8_t code) { column.value_element(e) = code; });
  if (column.value_scale >= 0) return;
  column.key_scale = NAN;
  column.value_scale = 0;
}

void copy_kv_i8(const KvColumn& from, const KvColumn& to) {
  copy_kv<int8_t>(from, to);
  const CodeColumn source(from), target(to);
  target.key_scale = source.key_scale;
  target.value_scale = source.value_scale;
}

void put_kv_f32(const KvColumn& call) { put_kv<float>(call); }
void put_kv_bf16(const KvColumn& call) { put_kv<BFloat16>(call); }
void copy_kv_f32(const KvColumn& from, const KvColumn& to) { copy_kv<float>(from, to); }
void copy_kv_bf16(const KvColumn& from, const KvColumn& to) { copy_kv<BFloat16>(from, to); }

}  // namespace tidar::cpu::TIDAR_ISA
