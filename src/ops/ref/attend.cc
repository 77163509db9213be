#include <algorithm>
#include <cmath>

#include "ops/group_codes.h"
#include "ops/ref/verbs.h"

namespace tidar::ref {

void SlotPass::plan(const Pass& pass, const KvShape& shape) {
  take(pass);
  slots.clear();
  seen.clear();
  for (const PassSequence& sequence : pass.sequences) {
    const auto slot_of = [&](int32_t key) {
      if (key < sequence.cached + sequence.stored) return slot_of_key(sequence.pages, key);
      return shape.pages * kPageSlots + sequence.first_row + key - sequence.cached;
    };
    for (int32_t row = sequence.first_row; row < sequence.first_row + sequence.rows; ++row) {
      slots.push_back(slot_of(sequence.key_of_row(row)));
      const Sight& sight = pass.sights[static_cast<size_t>(row)];
      std::vector<int32_t>& of_row = seen.emplace_back();
      for (const KeyRange& range : {sight.prefix, sight.block}) {
        for (int32_t key = range.from; key < range.to; ++key) of_row.push_back(slot_of(key));
      }
    }
  }
  keys_read = keys_seen;
}

template <class T>
std::unique_ptr<Store<T>> make_kv(const KvShape& shape) {
  auto kv = std::make_unique<Store<T>>();
  kv->shape = shape;
  const auto rows = static_cast<size_t>(shape.layers * kv->paged_slots() + shape.rows);
  const auto bytes =
      rows * static_cast<size_t>(shape.kv_heads) * static_cast<size_t>(shape.head_size) * sizeof(T);
  kv->keys = Buffer(bytes);
  kv->values = Buffer(bytes);
  kv->bytes = static_cast<int64_t>(2 * bytes);
  return kv;
}

namespace {

// The numbers that codes of one head stand for.
template <class T>
void round_to_codes(const T* from, int size, T* to) {
  const std::vector<float> numbers(from, from + size);
  std::vector<int8_t> codes(numbers.size());
  const float scale = nearest_codes(numbers, codes);
  for (const int8_t code : codes) *to++ = static_cast<T>(scale) * static_cast<T>(code);
}

}  // namespace

template <class T>
void store_kv(Matrix k, Matrix v, std::span<const int32_t> slots, const Store<T>& kv, int layer) {
  const int size = kv.shape.head_size;
  const auto copy = [&](const T* from, T* to) {
    switch (kv.shape.dtype) {
      case DType::i8:
        for (int64_t at = 0; at < k.cols; at += size) round_to_codes(from + at, size, to + at);
        break;
      case DType::bf16:
        std::transform(from, from + k.cols, to, round_to_bf16<T>);
        break;
      default:
        std::copy_n(from, k.cols, to);
    }
  };
  for (int64_t r = 0; r < k.rows; ++r) {
    const int32_t slot = slots[static_cast<size_t>(r)];
    copy(k.row<T>(r), kv.at(kv.keys, layer, slot, 0));
    copy(v.row<T>(r), kv.at(kv.values, layer, slot, 0));
  }
}

template <class T>
void move_kv(std::span<const SlotMove> moves, const Store<T>& kv) {
  const int64_t size = int64_t{kv.shape.kv_heads} * kv.shape.head_size;
  for (int layer = 0; layer < kv.shape.layers; ++layer) {
    for (const SlotMove& move : moves) {
      std::copy_n(kv.at(kv.keys, layer, move.from, 0), size, kv.at(kv.keys, layer, move.to, 0));
      std::copy_n(kv.at(kv.values, layer, move.from, 0), size, kv.at(kv.values, layer, move.to, 0));
    }
  }
}

namespace {

template <class T>
struct Head {
  const T* q;
  int layer;
  int kv_head;
  T* out;
};

// One row's softmax and average over `slots`. `q` and `weights` are scratch.
template <class T>
void attend_head(const Head<T>& head, const Store<T>& kv, std::span<const int32_t> slots,
                 std::vector<T>& q, std::vector<T>& weights) {
  const int size = kv.shape.head_size;
  const bool round = kv.shape.dtype == DType::bf16;
  q.assign(head.q, head.q + size);
  if (round) std::transform(q.begin(), q.end(), q.begin(), round_to_bf16<T>);

  weights.clear();
  for (const int32_t slot : slots) {
    const T* const key = kv.at(kv.keys, head.layer, slot, head.kv_head);
    T product = 0;
    for (int e = 0; e < size; ++e) product += q[static_cast<size_t>(e)] * key[e];
    weights.push_back(product / std::sqrt(static_cast<T>(size)));
  }
  const T largest = *std::max_element(weights.begin(), weights.end());
  T sum = 0;
  for (T& weight : weights) {
    weight = std::exp(weight - largest);
    if (round) weight = round_to_bf16(weight);
    sum += weight;
  }

  std::fill_n(head.out, size, T{0});
  for (size_t i = 0; i < slots.size(); ++i) {
    const T* const value = kv.at(kv.values, head.layer, slots[i], head.kv_head);
    for (int e = 0; e < size; ++e) head.out[e] += weights[i] * value[e];
  }
  for (int e = 0; e < size; ++e) head.out[e] /= sum;
}

}  // namespace

template <class T>
void attend(Matrix q, const SlotPass& pass, const Store<T>& kv, int layer, Matrix out) {
  const int size = kv.shape.head_size;
  const int heads = static_cast<int>(q.cols / size);
  const int group = heads / kv.shape.kv_heads;
  std::vector<T> rounded, weights;
  for (int64_t r = 0; r < q.rows; ++r) {
    for (int h = 0; h < heads; ++h) {
      const int64_t first = int64_t{h} * size;
      attend_head<T>({q.row<T>(r) + first, layer, h / group, out.row<T>(r) + first}, kv,
                     pass.seen[static_cast<size_t>(r)], rounded, weights);
    }
  }
}

template std::unique_ptr<Store<float>> make_kv(const KvShape&);
template std::unique_ptr<Store<double>> make_kv(const KvShape&);
template void store_kv<float>(Matrix, Matrix, std::span<const int32_t>, const Store<float>&, int);
template void store_kv<double>(Matrix, Matrix, std::span<const int32_t>, const Store<double>&, int);
template void move_kv<float>(std::span<const SlotMove>, const Store<float>&);
template void move_kv<double>(std::span<const SlotMove>, const Store<double>&);
template void attend<float>(Matrix, const SlotPass&, const Store<float>&, int, Matrix);
template void attend<double>(Matrix, const SlotPass&, const Store<double>&, int, Matrix);

}  // namespace tidar::ref
