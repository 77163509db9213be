#pragma once
// The verbs of the plain backend over activations of type T (float, double). Arguments are checked
// by the caller (ref_ops.cc); what a verb means, and its shapes, stand in ops/ops.h. One thread,
// one row after the other, each sum in the order of its terms: the truth that other backends are
// held against, and slow.

#include <span>

#include "base/buffer.h"
#include "ops/host_ops.h"

namespace tidar::ref {

/// A packed weight: the numbers that its format keeps, as T; or where it has scales, whole numbers
/// and the scale of each group of them.
template <class T>
struct Weight final : PackedWeight {
  Buffer elements;  // [N, K] T; interleaved parts alternate row by row
  Buffer scales;    // [N, groups of K] T, or nothing
  const T* row(int64_t n) const { return elements.as<T>() + n * inputs; }
  const T* row_scales(int64_t n) const {
    return scales.as<T>() + n * facts_of(format).scales(inputs);
  }
};

/// Keys and values as T. Rows that are kept nowhere have one place for all layers, behind the pages
/// of the last.
template <class T>
struct Store final : KvStore {
  Buffer keys, values;  // [layer][slot of a page][G][E] T, then [row of the pass][G][E]
  int64_t paged_slots() const { return int64_t{shape.pages} * kPageSlots; }
  T* at(const Buffer& buffer, int layer, int64_t slot, int kv_head) const {
    const int64_t paged = paged_slots();
    const int64_t row = slot < paged ? layer * paged + slot : (shape.layers - 1) * paged + slot;
    return buffer.as<T>() + (row * shape.kv_heads + kv_head) * shape.head_size;
  }
};

/// A pass whose keys lie where cache/pages.h says, and behind the pages those of rows that are kept
/// nowhere, row by row.
struct SlotPass final : HostPass {
  std::vector<int32_t> slots;              // of each row
  std::vector<std::vector<int32_t>> seen;  // by each row: slots, in the order of the keys

  void plan(const Pass& pass, const KvShape& shape);
};

/// The nearest bf16, ties to even, of the nearest float.
template <class T>
T round_to_bf16(T value) {
  return static_cast<T>(static_cast<float>(BFloat16(static_cast<float>(value))));
}

template <class T>
std::unique_ptr<Weight<T>> pack(PackOrder order, std::span<const HostMatrix> parts,
                                WeightFormat format);
template <class T>
std::unique_ptr<Store<T>> make_kv(const KvShape& shape);

template <class T>
void embed(std::span<const int32_t> tokens, const Weight<T>& table, Matrix out);
template <class T>
void gather(Matrix x, std::span<const int32_t> rows, Matrix out);
/// out[rows[i]] += scale * x[i]; a row may be named twice here.
template <class T>
void scatter_add(Matrix x, std::span<const int32_t> rows, T scale, Matrix out);
template <class T>
void rms_norm(Matrix x, std::span<const float> weight, double eps, int heads, Matrix out);
template <class T>
void linear(Matrix x, const Weight<T>& weight, std::span<const float> bias, Matrix out);
template <class T>
void linear_add(Matrix x, const Weight<T>& weight, Matrix out);
template <class T>
void linear_swiglu(Matrix x, const Weight<T>& gate_up, Matrix out);
template <class T>
void swiglu(Matrix gate_up, Matrix out);
/// By the table's angles times `direction`: 1 is rope, -1 its backward half, since a rotation's
/// transpose is the rotation by the opposite angle.
template <class T>
void rotate(Matrix x, int heads, std::span<const int32_t> positions, const HostRope& table,
            int direction);
template <class T>
void store_kv(Matrix k, Matrix v, std::span<const int32_t> slots, const Store<T>& kv, int layer);
template <class T>
void move_kv(std::span<const SlotMove> moves, const Store<T>& kv);
template <class T>
void attend(Matrix q, const SlotPass& pass, const Store<T>& kv, int layer, Matrix out);
/// The answer to `ask`, one of `asks`, whose row counts rows of `logits`.
template <class T>
Answer read_logits(Matrix logits, const Ask& ask, const Asks& asks);

}  // namespace tidar::ref
