#include "net/trained_block.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <vector>

namespace tidar {

namespace {

int64_t query_size(const ModelConfig& config) { return int64_t{config.heads} * config.head_size; }
int64_t kv_size(const ModelConfig& config) { return int64_t{config.kv_heads} * config.head_size; }

// The three parts of a matrix of queries, keys and values.
struct QkvParts {
  Matrix q, k, v;
  QkvParts(const ModelConfig& config, Matrix qkv)
      : q(qkv.col_range(0, query_size(config))),
        k(qkv.col_range(query_size(config), query_size(config) + kv_size(config))),
        v(qkv.col_range(query_size(config) + kv_size(config), qkv.cols)) {}
};

bool has_head_norms(const ModelConfig& config) { return config.qk_norm == QkNorm::per_head; }

// Queries, keys and values as attention sees them.
QkvParts attention_inputs(const ModelConfig& config, const BlockInside& inside, int64_t rows) {
  QkvParts parts(config, inside.qkv.first(rows));
  if (has_head_norms(config)) {
    const Matrix qk = inside.qk.first(rows);
    parts.q = qk.col_range(0, query_size(config));
    parts.k = qk.col_range(query_size(config), qk.cols);
  }
  return parts;
}

int64_t total_bytes(std::initializer_list<const Plane*> planes) {
  int64_t total = 0;
  for (const Plane* plane : planes) total += plane->bytes();
  return total;
}

}  // namespace

BlockInside::BlockInside(const ModelConfig& config, const Ops& ops, DType weights, int max_rows)
    : normed(ops.operand(weights), max_rows, config.hidden),
      attended(ops.operand(weights), max_rows, query_size(config)),
      ffn_normed(ops.operand(weights), max_rows, config.hidden),
      gated(ops.operand(weights), max_rows, config.ffn),
      qkv(ops.activation(), max_rows, query_size(config) + 2 * kv_size(config)),
      qk(ops.activation(), max_rows,
         has_head_norms(config) ? query_size(config) + kv_size(config) : 0),
      middle(ops.activation(), max_rows, config.hidden),
      gate_up(ops.activation(), max_rows, 2 * int64_t{config.ffn}),
      log_sums(ops.activation(), max_rows, config.heads) {}

int64_t BlockInside::bytes() const {
  return total_bytes(
      {&normed, &attended, &ffn_normed, &gated, &qkv, &qk, &middle, &gate_up, &log_sums});
}

BlockGradients::BlockGradients(const ModelConfig& config, const Ops& ops, int max_rows)
    : qkv(ops.activation(), max_rows, query_size(config) + 2 * kv_size(config)),
      attention(ops.activation(), max_rows, query_size(config)),
      normed(ops.activation(), max_rows, config.hidden),
      gated(ops.activation(), max_rows, config.ffn),
      qkv_bias(ops.activation(), 1, query_size(config) + 2 * kv_size(config)) {}

int64_t BlockGradients::bytes() const {
  return total_bytes({&qkv, &attention, &normed, &gated, &qkv_bias});
}

TrainedBlock::TrainedBlock(const ModelConfig& config, Parameters& parameters, int layer,
                           BackwardOps& ops, DType dtype)
    : config_(config), parameters_(parameters), layer_(layer), ops_(ops) {
  const auto make = [&](PackOrder order, auto... roles) {
    const std::array masters = {parameter(roles).value...};
    return ops_.make_weight(order, masters, dtype);
  };
  using enum WeightRole;
  qkv_ = make(PackOrder::stacked, query, key, value);
  attention_out_ = make(PackOrder::stacked, attention_out);
  gate_up_ = make(PackOrder::interleaved, gate, up);
  down_ = make(PackOrder::stacked, down);
  refresh();
}

void TrainedBlock::refresh() {
  for (TrainedWeight* weight : {qkv_.get(), attention_out_.get(), gate_up_.get(), down_.get()}) {
    ops_.refresh(*weight);
  }
  qkv_bias_.clear();
  if (config_.qkv_bias == QkvBias::none) return;
  for (const WeightRole role :
       {WeightRole::query_bias, WeightRole::key_bias, WeightRole::value_bias}) {
    const auto bias = parameter(role).vector();
    qkv_bias_.insert(qkv_bias_.end(), bias.begin(), bias.end());
  }
}

int64_t TrainedBlock::bytes() const {
  return qkv_->bytes() + attention_out_->bytes() + gate_up_->bytes() + down_->bytes();
}

void TrainedBlock::forward(const TrainedBlockInputs& inputs, Matrix entrance, BlockInside& inside,
                           Matrix out) const {
  using enum WeightRole;
  Ops& ops = ops_.forward();
  const int64_t rows = entrance.rows;
  const double eps = config_.norm_eps;
  const Matrix normed = inside.normed.first(rows), qkv = inside.qkv.first(rows);
  const Matrix attended = inside.attended.first(rows), middle = inside.middle.first(rows);
  ops.rms_norm(entrance, parameter(input_norm).vector(), eps, 1, normed);
  ops.linear(normed, qkv_->forward(), qkv_bias_, qkv);
  const QkvParts parts = attention_inputs(config_, inside, rows);
  if (has_head_norms(config_)) {
    const QkvParts raw(config_, qkv);
    ops.rms_norm(raw.q, parameter(query_norm).vector(), eps, config_.heads, parts.q);
    ops.rms_norm(raw.k, parameter(key_norm).vector(), eps, config_.kv_heads, parts.k);
  }
  ops.rope(parts.q, config_.heads, inputs.positions, *inputs.rope);
  ops.rope(parts.k, config_.kv_heads, inputs.positions, *inputs.rope);
  ops_.attend({parts.q, parts.k, parts.v, inputs.sights, config_.kv_heads}, attended,
              inside.log_sums.first(rows));
  ops.gather(entrance, inputs.every_row, middle);
  ops.linear_add(attended, attention_out_->forward(), middle);

  ops.rms_norm(middle, parameter(ffn_norm).vector(), eps, 1, inside.ffn_normed.first(rows));
  ops_.gate_up(inside.ffn_normed.first(rows), *gate_up_, inside.gate_up.first(rows));
  ops_.swiglu(inside.gate_up.first(rows), inside.gated.first(rows));
  if (out.data == nullptr) return;
  ops.gather(middle, inputs.every_row, out);
  ops.linear_add(inside.gated.first(rows), down_->forward(), out);
}

void TrainedBlock::backward(const TrainedBlockInputs& inputs, Matrix entrance, BlockInside& inside,
                            BlockGradients& gradients, Matrix d_x) const {
  ffn_backward(inside, gradients, d_x);
  attention_backward(inputs, entrance, inside, gradients, d_x);
}

// d_x is the gradient of both the sum behind the ffn and, through the residual, of `middle`.
void TrainedBlock::ffn_backward(BlockInside& inside, BlockGradients& gradients, Matrix d_x) const {
  using enum WeightRole;
  const int64_t rows = d_x.rows;
  const Matrix d_gated = gradients.gated.first(rows), gate_up_sums = inside.gate_up.first(rows);
  const Matrix d_normed = gradients.normed.first(rows);
  const std::array d_down = {parameter(down).gradient};
  ops_.linear(inside.gated.first(rows), *down_, d_x, {.d_x = d_gated, .d_parts = d_down});
  ops_.swiglu_backward(gate_up_sums, d_gated, gate_up_sums);
  const std::array d_gate_up = {parameter(gate).gradient, parameter(up).gradient};
  ops_.linear(inside.ffn_normed.first(rows), *gate_up_, gate_up_sums,
              {.d_x = d_normed, .d_parts = d_gate_up});
  Parameter& norm = parameter(ffn_norm);
  ops_.rms_norm({inside.middle.first(rows), norm.vector(), config_.norm_eps}, d_normed, Into::add,
                d_x, norm.gradient);
}

void TrainedBlock::attention_backward(const TrainedBlockInputs& inputs, Matrix entrance,
                                      BlockInside& inside, BlockGradients& gradients,
                                      Matrix d_x) const {
  using enum WeightRole;
  const int64_t rows = d_x.rows;
  const Matrix attended = inside.attended.first(rows),
               d_attention = gradients.attention.first(rows);
  const std::array d_out = {parameter(attention_out).gradient};
  ops_.linear(attended, *attention_out_, d_x, {.d_x = d_attention, .d_parts = d_out});

  const QkvParts parts = attention_inputs(config_, inside, rows);
  const Matrix d_qkv = gradients.qkv.first(rows);
  const QkvParts d_parts(config_, d_qkv);
  ops_.attend_backward({parts.q, parts.k, parts.v, inputs.sights, config_.kv_heads}, attended,
                       inside.log_sums.first(rows), d_attention, {d_parts.q, d_parts.k, d_parts.v});
  ops_.rope(d_parts.q, config_.heads, inputs.positions, *inputs.rope);
  ops_.rope(d_parts.k, config_.kv_heads, inputs.positions, *inputs.rope);
  if (has_head_norms(config_)) head_norms_backward(inside, d_qkv);

  const std::array d_weights = {parameter(query).gradient, parameter(key).gradient,
                                parameter(value).gradient};
  const Matrix d_normed = gradients.normed.first(rows);
  LinearGradients wanted = {.d_x = d_normed, .d_parts = d_weights};
  if (!qkv_bias_.empty()) {
    wanted.d_bias = gradients.qkv_bias.first(1);
    std::memset(wanted.d_bias.data, 0, static_cast<size_t>(wanted.d_bias.bytes()));
  }
  ops_.linear(inside.normed.first(rows), *qkv_, d_qkv, wanted);
  if (!qkv_bias_.empty()) add_bias_gradients(wanted.d_bias);
  Parameter& norm = parameter(input_norm);
  ops_.rms_norm({entrance, norm.vector(), config_.norm_eps}, d_normed, Into::add, d_x,
                norm.gradient);
}

void TrainedBlock::head_norms_backward(BlockInside& inside, Matrix d_qkv) const {
  const QkvParts raw(config_, inside.qkv.first(d_qkv.rows));
  const QkvParts d_parts(config_, d_qkv);
  Parameter& query = parameter(WeightRole::query_norm);
  Parameter& key = parameter(WeightRole::key_norm);
  ops_.rms_norm({raw.q, query.vector(), config_.norm_eps, config_.heads}, d_parts.q,
                Into::overwrite, d_parts.q, query.gradient);
  ops_.rms_norm({raw.k, key.vector(), config_.norm_eps, config_.kv_heads}, d_parts.k,
                Into::overwrite, d_parts.k, key.gradient);
}

void TrainedBlock::add_bias_gradients(Matrix d_bias) const {
  int64_t first = 0;
  for (const WeightRole role :
       {WeightRole::query_bias, WeightRole::key_bias, WeightRole::value_bias}) {
    const Matrix gradient = parameter(role).gradient;
    constexpr std::array<int32_t, 1> kOnlyRow = {0};
    ops_.gather(d_bias.col_range(first, first + gradient.cols), kOnlyRow, gradient);
    first += gradient.cols;
  }
}

}  // namespace tidar
