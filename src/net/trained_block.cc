#include "net/trained_block.h"

#include <array>
#include <vector>

namespace tidar {

namespace {

bool has_head_norms(const ModelConfig& config) { return config.qk_norm == QkNorm::per_head; }

// Queries, keys and values as attention sees them.
QkvParts attention_inputs(const ModelConfig& config, const BlockInside& inside, int64_t rows) {
  QkvParts parts(config, first(inside.qkv, rows));
  if (has_head_norms(config)) {
    const Matrix qk = first(inside.qk, rows);
    parts.q = qk.col_range(0, query_size(config));
    parts.k = qk.col_range(query_size(config), qk.cols);
  }
  return parts;
}

// Everything that the backward needs is kept.
class InsideKept final : public BlockKeeping {
 public:
  struct GateUp {
    const TrainedWeight& weight;
    AdapterForward adapter;
  };
  InsideKept(BackwardOps& ops, const ModelConfig& config, const PreparedPass& pass,
             const GateUp& gate_up, const BlockInside& inside)
      : ops_(ops), config_(config), pass_(pass), gate_up_(gate_up), inside_(inside) {}

  void attend(const QkvParts& parts, Matrix attended) override {
    ops_.attend({parts.q, parts.k, parts.v, &pass_, config_.kv_heads}, attended,
                first(inside_.log_sums, attended.rows));
  }
  void swiglu(Matrix normed, Matrix gated) override {
    const Matrix sums = first(inside_.gate_up, normed.rows);
    ops_.gate_up(normed, gate_up_.weight, sums);
    gate_up_.adapter.add(PackedRole::gate_up, normed, sums);
    ops_.forward().swiglu(sums, gated);
  }

 private:
  BackwardOps& ops_;
  const ModelConfig& config_;
  const PreparedPass& pass_;
  GateUp gate_up_;
  const BlockInside& inside_;
};

}  // namespace

BlockInside::BlockInside(const ModelConfig& config, Ops& ops, WeightFormat weights, int max_rows)
    : planes_(ops, max_rows,
              {{&normed, ops.operand(weights), config.hidden},
               {&attended, ops.operand(weights), query_size(config)},
               {&ffn_normed, ops.operand(weights), config.hidden},
               {&gated, ops.operand(weights), config.ffn},
               {&qkv, ops.activation(), query_size(config) + 2 * kv_size(config)},
               {&qk, ops.activation(),
                has_head_norms(config) ? query_size(config) + kv_size(config) : 0},
               {&middle, ops.activation(), config.hidden},
               {&gate_up, ops.activation(), 2 * int64_t{config.ffn}},
               {&log_sums, ops.activation(), config.heads}}) {}

BlockGradients::BlockGradients(const ModelConfig& config, Ops& ops, int max_rows)
    : planes_(ops, max_rows,
              {{&qkv, ops.activation(), query_size(config) + 2 * kv_size(config)},
               {&attention, ops.activation(), query_size(config)},
               {&normed, ops.activation(), config.hidden},
               {&gated, ops.activation(), config.ffn}}) {}

TrainedBlock::TrainedBlock(const ModelConfig& config, Parameters& parameters, int layer,
                           BackwardOps& ops, WeightFormat format, TrainedAdapterRows* adapted)
    : config_(config),
      parameters_(parameters),
      layer_(layer),
      ops_(ops),
      weights_(
          config, PackOrder::interleaved,
          [&](PackOrder order, auto... roles) {
            const std::array masters = {parameter(roles).value...};
            return ops.make_weight(order, masters, format);
          },
          [&](auto... roles) {
            const std::array masters = {parameter(roles).value...};
            return ops.make_vector(masters);
          }),
      adapter_(config, parameters, layer, ops, format, adapted) {
  refresh();
}

void TrainedBlock::refresh() {
  weights_.for_each([&](auto& trained) { ops_.refresh(trained); });
  adapter_.refresh();
}

int64_t TrainedBlock::bytes() const {
  return weights_.qkv->bytes() + weights_.attention_out->bytes() + weights_.gate_up->bytes() +
         weights_.down->bytes() + adapter_.bytes();
}

void TrainedBlock::forward(const TrainedPass& pass, Matrix entrance, BlockInside& inside,
                           Matrix out) const {
  const int64_t rows = entrance.rows;
  const QkvParts parts = attention_inputs(config_, inside, rows);
  const BlockPlanes planes = {.entrance = entrance,
                              .normed = first(inside.normed, rows),
                              .qkv = first(inside.qkv, rows),
                              .q = parts.q,
                              .k = parts.k,
                              .attended = first(inside.attended, rows),
                              .middle = first(inside.middle, rows),
                              .ffn_normed = first(inside.ffn_normed, rows),
                              .gated = first(inside.gated, rows),
                              .exit = out};
  const BlockWeights weights =
      weights_.view([](const auto& trained) { return &trained.forward(); });
  const BlockAdapter adapters = adapter_.view();
  const AdapterForward adapter = adapter_.forward(adapters);
  InsideKept keeping(ops_, config_, pass.pass, {*weights_.gate_up, adapter}, inside);
  forward_block({ops_.forward(), config_, weights, pass.pass, pass.rope, adapter}, planes, keeping);
}

void TrainedBlock::backward(const TrainedPass& pass, Matrix entrance, BlockInside& inside,
                            BlockGradients& gradients, Matrix d_x) const {
  ffn_backward(inside, gradients, d_x);
  attention_backward(pass, entrance, inside, gradients, d_x);
}

// d_x is the gradient of both the sum behind the ffn and, through the residual, of `middle`.
void TrainedBlock::ffn_backward(BlockInside& inside, BlockGradients& gradients, Matrix d_x) const {
  using enum WeightRole;
  const int64_t rows = d_x.rows;
  const Matrix d_gated = first(gradients.gated, rows), gate_up_sums = first(inside.gate_up, rows);
  const Matrix d_normed = first(gradients.normed, rows);
  const std::array d_down = {parameter(down).gradient};
  ops_.linear(first(inside.gated, rows), *weights_.down, d_x, {.d_x = d_gated, .d_parts = d_down});
  adapter_.backward(PackedRole::down, first(inside.gated, rows), d_x, d_gated);
  ops_.swiglu_backward(gate_up_sums, d_gated, gate_up_sums);
  const std::array d_gate_up = {parameter(gate).gradient, parameter(up).gradient};
  ops_.linear(first(inside.ffn_normed, rows), *weights_.gate_up, gate_up_sums,
              {.d_x = d_normed, .d_parts = d_gate_up});
  adapter_.backward(PackedRole::gate_up, first(inside.ffn_normed, rows), gate_up_sums, d_normed);
  ops_.rms_norm({first(inside.middle, rows), &weights_.ffn_norm->forward(), config_.norm_eps},
                d_normed, Into::add, d_x, parameter(ffn_norm).gradient);
}

void TrainedBlock::attention_backward(const TrainedPass& pass, Matrix entrance, BlockInside& inside,
                                      BlockGradients& gradients, Matrix d_x) const {
  using enum WeightRole;
  const int64_t rows = d_x.rows;
  const Matrix attended = first(inside.attended, rows),
               d_attention = first(gradients.attention, rows);
  const std::array d_out = {parameter(attention_out).gradient};
  ops_.linear(attended, *weights_.attention_out, d_x, {.d_x = d_attention, .d_parts = d_out});
  adapter_.backward(PackedRole::attention_out, attended, d_x, d_attention);

  const QkvParts parts = attention_inputs(config_, inside, rows);
  const Matrix d_qkv = first(gradients.qkv, rows);
  const QkvParts d_parts(config_, d_qkv);
  ops_.attend_backward({parts.q, parts.k, parts.v, &pass.pass, config_.kv_heads}, attended,
                       first(inside.log_sums, rows), d_attention,
                       {d_parts.q, d_parts.k, d_parts.v});
  ops_.rope(d_parts.q, config_.heads, pass.pass, pass.rope);
  ops_.rope(d_parts.k, config_.kv_heads, pass.pass, pass.rope);
  if (has_head_norms(config_)) head_norms_backward(inside, d_qkv);

  const std::array d_weights = {parameter(query).gradient, parameter(key).gradient,
                                parameter(value).gradient};
  const Matrix d_normed = first(gradients.normed, rows);
  LinearGradients wanted = {.d_x = d_normed, .d_parts = d_weights};
  std::vector<Matrix> d_biases;
  if (weights_.qkv_bias) {
    for (const WeightRole role : {query_bias, key_bias, value_bias}) {
      d_biases.push_back(parameter(role).gradient);
    }
    wanted.d_biases = d_biases;
  }
  ops_.linear(first(inside.normed, rows), *weights_.qkv, d_qkv, wanted);
  adapter_.backward(PackedRole::qkv, first(inside.normed, rows), d_qkv, d_normed);
  ops_.rms_norm({entrance, &weights_.input_norm->forward(), config_.norm_eps}, d_normed, Into::add,
                d_x, parameter(input_norm).gradient);
}

void TrainedBlock::head_norms_backward(BlockInside& inside, Matrix d_qkv) const {
  const QkvParts raw(config_, first(inside.qkv, d_qkv.rows));
  const QkvParts d_parts(config_, d_qkv);
  ops_.rms_norm({raw.q, &weights_.query_norm->forward(), config_.norm_eps, config_.heads},
                d_parts.q, Into::overwrite, d_parts.q, parameter(WeightRole::query_norm).gradient);
  ops_.rms_norm({raw.k, &weights_.key_norm->forward(), config_.norm_eps, config_.kv_heads},
                d_parts.k, Into::overwrite, d_parts.k, parameter(WeightRole::key_norm).gradient);
}

}  // namespace tidar
