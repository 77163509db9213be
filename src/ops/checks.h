#pragma once
// Shapes and types of a verb's arguments, checked the same way by every backend before it computes:
// what does not fit stops the program and names the verb's line here.

#include <span>

#include "ops/ops.h"

namespace tidar {

/// Each part has numbers, and scales of the right size if any; all have equal cols. Interleaved
/// parts are two of equal shape.
void check_pack(PackOrder order, std::span<const HostMatrix> parts, WeightFormat format);
/// Each of [0, count).
void check_indices(std::span<const int32_t> indices, int64_t count);
/// Whether x has the type in which the backend computes.
bool is_activation(const Ops& ops, Matrix x);
/// Whether x may go into a product with weights of some format.
bool is_operand(const Ops& ops, Matrix x);
void check_kv_shape(const Ops& ops, const KvShape& shape);

void check_copy(Matrix from, Matrix to);
void check_embed(const Ops& ops, std::span<const int32_t> tokens, const PackedWeight& table,
                 Matrix out);
void check_gather(const Ops& ops, Matrix x, std::span<const int32_t> rows, Matrix out);
void check_scatter_add(const Ops& ops, Matrix x, std::span<const int32_t> rows, Matrix out);
void check_rms_norm(const Ops& ops, Matrix x, const PackedVector& weight, int heads, Matrix out);
/// Of linear() and, with no bias, of linear_add().
void check_linear(const Ops& ops, Matrix x, const PackedWeight& weight, const PackedVector* bias,
                  Matrix out);
void check_linear_swiglu(const Ops& ops, Matrix x, const PackedWeight& gate_up, Matrix out);
void check_swiglu(const Ops& ops, Matrix gate_up, Matrix out);
void check_rope(const Ops& ops, Matrix x, int heads, std::span<const int32_t> positions,
                const RopeTable& table);
void check_store_kv(const Ops& ops, Matrix k, Matrix v, const PreparedPass& pass, const KvStore& kv,
                    int layer);
void check_move_kv(std::span<const SlotMove> moves, const KvStore& kv);
void check_attend(const Ops& ops, Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                  Matrix out);
void check_read_logits(const Ops& ops, Matrix logits, const Asks& asks,
                       std::span<const Answer> answers);

}  // namespace tidar
