#include "net/block.h"

namespace tidar {

namespace {

// The stream goes on in `to`, which may be where it is.
void go_on(Ops& ops, Matrix from, Matrix to) {
  if (to.data != from.data) ops.copy(from, to);
}

}  // namespace

void forward_block(const BlockForward& call, const BlockPlanes& planes, BlockKeeping& keeping) {
  Ops& ops = call.ops;
  const ModelConfig& config = call.config;
  const BlockWeights& weights = call.weights;
  const double eps = config.norm_eps;

  ops.rms_norm(planes.entrance, *weights.input_norm, eps, 1, planes.normed);
  ops.linear(planes.normed, *weights.qkv, weights.qkv_bias, planes.qkv);
  call.adapter.add(PackedRole::qkv, planes.normed, planes.qkv);
  QkvParts parts(config, planes.qkv);
  if (weights.query_norm != nullptr) {
    ops.rms_norm(parts.q, *weights.query_norm, eps, config.heads, planes.q);
    ops.rms_norm(parts.k, *weights.key_norm, eps, config.kv_heads, planes.k);
  }
  parts.q = planes.q;
  parts.k = planes.k;
  ops.rope(parts.q, config.heads, call.pass, call.rope);
  ops.rope(parts.k, config.kv_heads, call.pass, call.rope);
  keeping.attend(parts, planes.attended);
  go_on(ops, planes.entrance, planes.middle);
  ops.linear_add(planes.attended, *weights.attention_out, planes.middle);
  call.adapter.add(PackedRole::attention_out, planes.attended, planes.middle);

  ops.rms_norm(planes.middle, *weights.ffn_norm, eps, 1, planes.ffn_normed);
  keeping.swiglu(planes.ffn_normed, planes.gated);
  if (planes.exit.data == nullptr) return;
  go_on(ops, planes.middle, planes.exit);
  ops.linear_add(planes.gated, *weights.down, planes.exit);
  call.adapter.add(PackedRole::down, planes.gated, planes.exit);
}

}  // namespace tidar
