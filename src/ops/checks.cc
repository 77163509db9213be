#include "ops/checks.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace tidar {

namespace {

int64_t rows_of(std::span<const int32_t> indices) { return static_cast<int64_t>(indices.size()); }

bool is_output_type(const Ops& ops, Matrix x) {
  return is_activation(ops, x) || is_operand(ops, x);
}

void check_changes(std::span<const LogitChange> changes, int64_t vocabulary) {
  for (const LogitChange& change : changes) {
    TIDAR_CHECK_GE(change.token, 0);
    TIDAR_CHECK_LT(change.token, vocabulary);
  }
}

void check_layer(const KvStore& kv, int layer) {
  TIDAR_CHECK_GE(layer, 0);
  TIDAR_CHECK_LT(layer, kv.shape.layers);
}

}  // namespace

void check_indices(std::span<const int32_t> indices, int64_t count) {
  for (const int32_t index : indices) {
    TIDAR_CHECK_GE(index, 0);
    TIDAR_CHECK_LT(index, count);
  }
}

bool is_activation(const Ops& ops, Matrix x) { return x.dtype == ops.activation(); }

bool is_operand(const Ops& ops, Matrix x) {
  return std::ranges::any_of(kWeightFormats, [&](const WeightFormatFacts& facts) {
    return x.dtype == ops.operand(facts.format);
  });
}

void check_pack(PackOrder order, std::span<const HostMatrix> parts, WeightFormat format) {
  TIDAR_CHECK(!parts.empty());
  for (const HostMatrix& part : parts) {
    TIDAR_CHECK_EQ(part.cols, parts[0].cols);
    TIDAR_CHECK(part.data != nullptr || part.made != nullptr || part.rows * part.cols == 0);
    if (!part.scales.empty()) {
      TIDAR_CHECK_EQ(static_cast<int64_t>(part.scales.size()),
                     facts_of(format).scale_bytes(part.rows, part.cols));
    }
  }
  if (order == PackOrder::interleaved) {
    TIDAR_CHECK_EQ(parts.size(), size_t{2});
    TIDAR_CHECK_EQ(parts[0].rows, parts[1].rows);
  }
}

void check_kv_shape(const Ops& ops, const KvShape& shape) {
  TIDAR_CHECK(ops.supports_kv(shape.dtype));
  TIDAR_CHECK_GE(shape.layers, 1);
  TIDAR_CHECK_GE(shape.kv_heads, 1);
  TIDAR_CHECK_GE(shape.head_size, 2);
  TIDAR_CHECK_EQ(shape.head_size % 2, 0);
  TIDAR_CHECK_GE(shape.pages, 0);
  TIDAR_CHECK_GE(shape.rows, 0);
}

void check_copy(Matrix from, Matrix to) {
  TIDAR_CHECK(from.dtype == to.dtype);
  TIDAR_CHECK_EQ(from.rows, to.rows);
  TIDAR_CHECK_EQ(from.cols, to.cols);
}

void check_embed(const Ops& ops, std::span<const int32_t> tokens, const PackedWeight& table,
                 Matrix out) {
  TIDAR_CHECK(is_activation(ops, out));
  TIDAR_CHECK_EQ(out.rows, rows_of(tokens));
  TIDAR_CHECK_EQ(out.cols, table.inputs);
  check_indices(tokens, table.outputs);
}

void check_gather(const Ops& ops, Matrix x, std::span<const int32_t> rows, Matrix out) {
  TIDAR_CHECK(is_activation(ops, x) && is_activation(ops, out));
  TIDAR_CHECK_EQ(out.rows, rows_of(rows));
  TIDAR_CHECK_EQ(out.cols, x.cols);
  check_indices(rows, x.rows);
}

void check_scatter_add(const Ops& ops, Matrix x, std::span<const int32_t> rows, Matrix out) {
  check_gather(ops, out, rows, x);
  std::vector<bool> named(static_cast<size_t>(out.rows));
  for (const int32_t row : rows) {
    TIDAR_CHECK(!named[static_cast<size_t>(row)]);
    named[static_cast<size_t>(row)] = true;
  }
}

void check_rms_norm(const Ops& ops, Matrix x, const PackedVector& weight, int heads, Matrix out) {
  TIDAR_CHECK(is_activation(ops, x) && is_output_type(ops, out));
  TIDAR_CHECK_GE(heads, 1);
  TIDAR_CHECK_EQ(out.rows, x.rows);
  TIDAR_CHECK_EQ(out.cols, x.cols);
  TIDAR_CHECK_EQ(weight.size * heads, x.cols);
}

void check_linear(const Ops& ops, Matrix x, const PackedWeight& weight, const PackedVector* bias,
                  Matrix out) {
  TIDAR_CHECK(x.dtype == ops.operand(weight.format) && is_activation(ops, out));
  TIDAR_CHECK_EQ(x.cols, weight.inputs);
  TIDAR_CHECK_EQ(out.rows, x.rows);
  TIDAR_CHECK_EQ(out.cols, weight.outputs);
  if (bias != nullptr) TIDAR_CHECK_EQ(bias->size, weight.outputs);
}

void check_linear_swiglu(const Ops& ops, Matrix x, const PackedWeight& gate_up, Matrix out) {
  TIDAR_CHECK(x.dtype == ops.operand(gate_up.format) && is_output_type(ops, out));
  TIDAR_CHECK_EQ(x.cols, gate_up.inputs);
  TIDAR_CHECK_EQ(out.rows, x.rows);
  TIDAR_CHECK_EQ(out.cols * 2, gate_up.outputs);
}

void check_swiglu(const Ops& ops, Matrix gate_up, Matrix out) {
  TIDAR_CHECK(is_activation(ops, gate_up) && is_output_type(ops, out));
  TIDAR_CHECK_EQ(out.rows, gate_up.rows);
  TIDAR_CHECK_EQ(out.cols * 2, gate_up.cols);
}

void check_rope(const Ops& ops, Matrix x, int heads, std::span<const int32_t> positions,
                const RopeTable& table) {
  TIDAR_CHECK(is_activation(ops, x));
  TIDAR_CHECK_EQ(x.cols, int64_t{2} * table.half * heads);
  TIDAR_CHECK_EQ(x.rows, rows_of(positions));
  check_indices(positions, table.positions);
}

void check_store_kv(const Ops& ops, Matrix k, Matrix v, const PreparedPass& pass, const KvStore& kv,
                    int layer) {
  TIDAR_CHECK(is_activation(ops, k) && is_activation(ops, v));
  TIDAR_CHECK_EQ(k.rows, pass.rows);
  TIDAR_CHECK_EQ(v.rows, k.rows);
  TIDAR_CHECK_EQ(k.cols, int64_t{kv.shape.kv_heads} * kv.shape.head_size);
  TIDAR_CHECK_EQ(v.cols, k.cols);
  check_layer(kv, layer);
}

void check_move_kv(std::span<const SlotMove> moves, const KvStore& kv) {
  std::vector<Slot> written, read;
  for (const SlotMove& move : moves) {
    read.push_back(move.from);
    written.push_back(move.to);
  }
  check_indices(read, int64_t{kv.shape.pages} * kPageSlots);
  check_indices(written, int64_t{kv.shape.pages} * kPageSlots);
  std::sort(read.begin(), read.end());
  std::sort(written.begin(), written.end());
  TIDAR_CHECK(std::adjacent_find(written.begin(), written.end()) == written.end());
  for (const Slot slot : written) TIDAR_CHECK(!std::binary_search(read.begin(), read.end(), slot));
}

void check_attend(const Ops& ops, Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                  Matrix out) {
  TIDAR_CHECK(is_activation(ops, q) && is_output_type(ops, out));
  TIDAR_CHECK_EQ(q.rows, pass.rows);
  TIDAR_CHECK_EQ(out.rows, q.rows);
  TIDAR_CHECK_EQ(out.cols, q.cols);
  TIDAR_CHECK_EQ(q.cols % (int64_t{kv.shape.kv_heads} * kv.shape.head_size), 0);
  check_layer(kv, layer);
}

void check_read_logits(const Ops& ops, Matrix logits, const Asks& asks,
                       std::span<const Answer> answers) {
  TIDAR_CHECK(is_activation(ops, logits));
  TIDAR_CHECK_EQ(asks.size(), answers.size());
  asks.check(static_cast<int32_t>(logits.rows));
  for (const Ask& ask : asks) TIDAR_CHECK_LT(ask.token, logits.cols);
  check_changes(asks.changes(), logits.cols);
}

}  // namespace tidar
