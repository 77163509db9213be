#include "net/block.h"

#include <array>

#include "base/check.h"
#include "ops/host_matrix.h"

namespace tidar {

namespace {

HostMatrix as_matrix(const StoredTensor& tensor) {
  TIDAR_CHECK_EQ(tensor.shape.size(), 2u);
  return {tensor.data.data(), tensor.dtype, tensor.shape[0], tensor.shape[1]};
}

void append(std::vector<float>& to, const std::vector<float>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

constexpr int64_t kAlignment = 64;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

int64_t BlockWeights::bytes() const {
  const size_t floats =
      input_norm.size() + qkv_bias.size() + query_norm.size() + key_norm.size() + ffn_norm.size();
  return static_cast<int64_t>(floats * sizeof(float)) + qkv->bytes + attention_out->bytes +
         gate_up->bytes + down->bytes;
}

std::vector<float> read_vector(const StoredTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.shape[0]));
  read_row(HostMatrix{tensor.data.data(), tensor.dtype, 1, tensor.shape[0]}, 0, values.data());
  return values;
}

std::unique_ptr<PackedWeight> pack_tensors(Ops& ops, const ModelWeights& weights, PackOrder order,
                                           std::span<const StoredTensor* const> parts,
                                           DType dtype) {
  std::vector<HostMatrix> matrices;
  for (const StoredTensor* part : parts) matrices.push_back(as_matrix(*part));
  auto packed = ops.pack(order, matrices, dtype);
  for (const StoredTensor* part : parts) weights.release(*part);
  return packed;
}

BlockWeights pack_block(Ops& ops, const ModelConfig& config, const ModelWeights& weights, int layer,
                        DType dtype) {
  const auto tensor = [&](WeightRole role) { return &weights.get(role, layer); };
  const auto vector = [&](WeightRole role) { return read_vector(*tensor(role)); };
  const auto pack = [&](PackOrder order, auto... roles) {
    const std::array parts = {tensor(roles)...};
    return pack_tensors(ops, weights, order, parts, dtype);
  };
  using enum WeightRole;
  BlockWeights block;
  block.input_norm = vector(input_norm);
  block.qkv = pack(PackOrder::stacked, query, key, value);
  if (config.qkv_bias == QkvBias::present) {
    for (const WeightRole role : {query_bias, key_bias, value_bias}) {
      append(block.qkv_bias, vector(role));
    }
  }
  if (config.qk_norm == QkNorm::per_head) {
    block.query_norm = vector(query_norm);
    block.key_norm = vector(key_norm);
  }
  block.attention_out = pack(PackOrder::stacked, attention_out);
  block.ffn_norm = vector(ffn_norm);
  block.gate_up = pack(PackOrder::interleaved, gate, up);
  block.down = pack(PackOrder::stacked, down);
  return block;
}

Activations::Activations(const ModelConfig& config, const Ops& ops, DType weights, int max_rows) {
  const DType operand = ops.operand(weights);
  const int64_t query_size = int64_t{config.heads} * config.head_size;
  const int64_t copied_size = 2 * int64_t{config.kv_heads} * config.head_size;
  const int64_t qkv_size = query_size + copied_size;
  struct Part {
    Matrix* matrix;
    int64_t cols;
    DType dtype;
  };
  const std::array<Part, 6> parts = {{{&x, config.hidden, ops.activation()},
                                      {&normed, config.hidden, operand},
                                      {&qkv, qkv_size, ops.activation()},
                                      {&attended, query_size, operand},
                                      {&gated, config.ffn, operand},
                                      {&copied, copied_size, ops.activation()}}};
  int64_t total = 0;
  for (const Part& part : parts) {
    total += aligned(max_rows * part.cols * static_cast<int64_t>(size_of(part.dtype)));
  }
  buffer_ = Buffer(static_cast<size_t>(total));
  int64_t offset = 0;
  for (const Part& part : parts) {
    *part.matrix = Matrix(buffer_.data() + offset, part.dtype, max_rows, part.cols);
    offset += aligned(part.matrix->bytes());
  }
}

void forward_block(Ops& ops, const ModelConfig& config, const BlockWeights& weights, int layer,
                   const BlockInputs& inputs, KvStore& kv, const Activations& activations) {
  const auto rows = static_cast<int64_t>(inputs.positions.size());
  const Matrix x = activations.x.row_range(0, rows);
  const Matrix normed = activations.normed.row_range(0, rows);
  const Matrix qkv = activations.qkv.row_range(0, rows);
  const Matrix attended = activations.attended.row_range(0, rows);
  const Matrix gated = activations.gated.row_range(0, rows);
  const int64_t query_size = attended.cols;
  const int64_t kv_size = int64_t{config.kv_heads} * config.head_size;
  const Matrix q = qkv.col_range(0, query_size);
  const Matrix k = qkv.col_range(query_size, query_size + kv_size);
  const Matrix v = qkv.col_range(query_size + kv_size, query_size + 2 * kv_size);

  ops.rms_norm(x, weights.input_norm, config.norm_eps, 1, normed);
  ops.linear(normed, *weights.qkv, weights.qkv_bias, qkv);
  if (config.qk_norm == QkNorm::per_head) {
    ops.rms_norm(q, weights.query_norm, config.norm_eps, config.heads, q);
    ops.rms_norm(k, weights.key_norm, config.norm_eps, config.kv_heads, k);
  }
  ops.rope(q, config.heads, inputs.positions, *inputs.rope);
  ops.rope(k, config.kv_heads, inputs.positions, *inputs.rope);
  ops.store_kv(k, v, inputs.attention->slots(), kv, layer);
  const auto copied_rows = static_cast<int64_t>(inputs.attention->copied_rows().size());
  if (copied_rows > 0) {
    const Matrix copied = activations.copied.row_range(0, copied_rows);
    ops.gather(qkv.col_range(query_size, qkv.cols), inputs.attention->copied_rows(), copied);
    ops.store_kv(copied.col_range(0, kv_size), copied.col_range(kv_size, 2 * kv_size),
                 inputs.attention->copied_slots(), kv, layer);
  }
  ops.attend(q, kv, layer, inputs.attention->attend(), attended);
  ops.linear_add(attended, *weights.attention_out, x);

  ops.rms_norm(x, weights.ffn_norm, config.norm_eps, 1, normed);
  ops.linear_swiglu(normed, *weights.gate_up, gated);
  ops.linear_add(gated, *weights.down, x);
}

}  // namespace tidar
