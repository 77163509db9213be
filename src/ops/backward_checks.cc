#include "ops/backward_checks.h"

#include "base/check.h"
#include "ops/checks.h"
#include "ops/host_ops.h"

namespace tidar {

namespace {

void check_activation(const Ops& ops, Matrix x, int64_t rows, int64_t cols) {
  TIDAR_CHECK(is_activation(ops, x));
  TIDAR_CHECK_EQ(x.rows, rows);
  TIDAR_CHECK_EQ(x.cols, cols);
}

void check_wanted(const Ops& ops, Matrix gradient, int64_t rows, int64_t cols) {
  if (gradient.data != nullptr) check_activation(ops, gradient, rows, cols);
}

void check_sight(const Sight& sight, int64_t rows) {
  const auto& [prefix, block] = sight;
  for (const KeyRange& range : {prefix, block}) {
    TIDAR_CHECK_LE(range.from, range.to);
    if (range.size() == 0) continue;
    TIDAR_CHECK_GE(range.from, 0);
    TIDAR_CHECK_LE(range.to, rows);
  }
  if (prefix.size() > 0 && block.size() > 0) {
    TIDAR_CHECK(prefix.to <= block.from || block.to <= prefix.from);
  }
}

}  // namespace

void check_masters(const Ops& ops, PackOrder order, std::span<const Matrix> masters,
                   WeightFormat format) {
  TIDAR_CHECK(facts_of(format).plain.has_value());
  TIDAR_CHECK(!masters.empty());
  for (const Matrix& master : masters) {
    TIDAR_CHECK(master.dtype == DType::f32 || master.dtype == ops.activation());
    TIDAR_CHECK_EQ(master.cols, masters[0].cols);
    TIDAR_CHECK_EQ(master.stride, master.cols);
  }
  if (order == PackOrder::interleaved) {
    TIDAR_CHECK_EQ(masters.size(), size_t{2});
    TIDAR_CHECK_EQ(masters[0].rows, masters[1].rows);
  }
}

void check_vector_masters(std::span<const Matrix> masters) {
  for (const Matrix& master : masters) {
    TIDAR_CHECK(master.dtype == DType::f32);
    TIDAR_CHECK_EQ(master.rows, 1);
  }
}

void check_linear_backward(const Ops& ops, Matrix x, const TrainedWeight& weight,
                           std::span<const Matrix> masters, Matrix d_out,
                           const LinearGradients& gradients) {
  const PackedWeight& packed = weight.forward();
  TIDAR_CHECK(x.dtype == ops.operand(packed.format));
  TIDAR_CHECK_EQ(x.cols, packed.inputs);
  check_activation(ops, d_out, x.rows, packed.outputs);
  check_wanted(ops, gradients.d_x, x.rows, x.cols);
  if (!gradients.d_biases.empty()) {
    int64_t columns = 0;
    for (const Matrix& d_bias : gradients.d_biases) {
      check_activation(ops, d_bias, 1, d_bias.cols);
      columns += d_bias.cols;
    }
    TIDAR_CHECK_EQ(columns, packed.outputs);
  }
  if (gradients.d_parts.empty()) return;
  TIDAR_CHECK_EQ(gradients.d_parts.size(), masters.size());
  for (size_t i = 0; i < masters.size(); ++i) {
    check_activation(ops, gradients.d_parts[i], masters[i].rows, masters[i].cols);
  }
}

void check_gate_up(const Ops& ops, Matrix x, const TrainedWeight& weight, Matrix gate_up) {
  const PackedWeight& packed = weight.forward();
  TIDAR_CHECK(x.dtype == ops.operand(packed.format));
  TIDAR_CHECK_EQ(x.cols, packed.inputs);
  check_activation(ops, gate_up, x.rows, packed.outputs);
}

void check_swiglu_backward(const Ops& ops, Matrix gate_up, Matrix d_out, Matrix d_gate_up) {
  check_activation(ops, gate_up, d_out.rows, d_out.cols * 2);
  TIDAR_CHECK(is_activation(ops, d_out));
  check_activation(ops, d_gate_up, gate_up.rows, gate_up.cols);
}

void check_rms_norm_backward(const Ops& ops, const RmsNormCall& call, Matrix d_out, Into into,
                             Matrix d_x, Matrix d_weight) {
  TIDAR_CHECK(is_activation(ops, call.x));
  TIDAR_CHECK_GE(call.heads, 1);
  const int64_t size = call.weight->size;
  TIDAR_CHECK_EQ(size * call.heads, call.x.cols);
  check_activation(ops, d_out, call.x.rows, call.x.cols);
  check_activation(ops, d_x, call.x.rows, call.x.cols);
  check_wanted(ops, d_weight, 1, size);
  TIDAR_CHECK(into == Into::overwrite || d_x.data != d_out.data || d_x.rows == 0);
}

void check_attend_rows(const Ops& ops, const AttendRows& rows, Matrix out, Matrix log_sums) {
  TIDAR_CHECK_GE(rows.kv_heads, 1);
  const int64_t count = rows.q.rows;
  TIDAR_CHECK_EQ(rows.k.cols % rows.kv_heads, 0);
  const int64_t size = rows.k.cols / rows.kv_heads;
  TIDAR_CHECK_GE(size, 1);
  TIDAR_CHECK_EQ(rows.q.cols % rows.k.cols, 0);
  check_activation(ops, rows.q, count, rows.q.cols);
  check_activation(ops, rows.k, count, rows.k.cols);
  check_activation(ops, rows.v, count, rows.k.cols);
  check_activation(ops, log_sums, count, rows.q.cols / size);
  TIDAR_CHECK(is_activation(ops, out) || is_operand(ops, out));
  TIDAR_CHECK_EQ(out.rows, count);
  TIDAR_CHECK_EQ(out.cols, rows.q.cols);
  const std::vector<Sight>& sights = host(*rows.pass).row_sights;
  TIDAR_CHECK_EQ(static_cast<int64_t>(sights.size()), count);
  for (const Sight& sight : sights) check_sight(sight, count);
}

void check_attend_backward(const Ops& ops, const AttendRows& rows, Matrix out, Matrix log_sums,
                           Matrix d_out, const AttendGradients& gradients) {
  check_attend_rows(ops, rows, out, log_sums);
  check_activation(ops, d_out, rows.q.rows, rows.q.cols);
  check_activation(ops, gradients.d_q, rows.q.rows, rows.q.cols);
  check_activation(ops, gradients.d_k, rows.k.rows, rows.k.cols);
  check_activation(ops, gradients.d_v, rows.v.rows, rows.v.cols);
}

void check_embed_backward(const Ops& ops, std::span<const int32_t> tokens, Matrix d_out,
                          Matrix d_table) {
  check_activation(ops, d_out, static_cast<int64_t>(tokens.size()), d_table.cols);
  TIDAR_CHECK(is_activation(ops, d_table));
  check_indices(tokens, d_table.rows);
}

void check_cross_entropy(const Ops& ops, Matrix logits, std::span<const Label> labels,
                         std::span<const double> losses) {
  TIDAR_CHECK(is_activation(ops, logits));
  TIDAR_CHECK_GE(logits.rows, static_cast<int64_t>(labels.size()));
  TIDAR_CHECK_EQ(labels.size(), losses.size());
  for (const Label& label : labels) {
    TIDAR_CHECK_GE(label.token, 0);
    TIDAR_CHECK_LT(label.token, logits.cols);
    const SoftTarget& target = label.target;
    if (target.row < 0) continue;
    TIDAR_CHECK_LT(target.row, logits.rows);
    const auto at = static_cast<size_t>(target.row);
    TIDAR_CHECK(at >= labels.size() || labels[at].target.row < 0);
    TIDAR_CHECK(target.share >= 0 && target.share <= 1);
  }
}

}  // namespace tidar
