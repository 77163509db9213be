#pragma once
// The one transformer block of all families, for serving and for training: which verbs follow each
// other. What becomes of keys and of the inside of the block is its caller's (BlockKeeping).

#include <memory>

#include "model/config.h"
#include "model/weights.h"
#include "net/adapter_weights.h"
#include "ops/ops.h"

namespace tidar {

/// Columns of the queries, and of the keys or the values, of a row.
inline int64_t query_size(const ModelConfig& config) {
  return int64_t{config.heads} * config.head_size;
}
inline int64_t kv_size(const ModelConfig& config) {
  return int64_t{config.kv_heads} * config.head_size;
}

/// The weights of one layer, which are somebody else's. Those that a family lacks are nullptr.
struct BlockWeights {
  const PackedVector* input_norm = nullptr;     // [D]
  const PackedWeight* qkv = nullptr;            // [(H + 2 G) E, D]
  const PackedVector* qkv_bias = nullptr;       // [(H + 2 G) E]
  const PackedVector* query_norm = nullptr;     // [E]
  const PackedVector* key_norm = nullptr;       // [E]
  const PackedWeight* attention_out = nullptr;  // [D, H E]
  const PackedVector* ffn_norm = nullptr;       // [D]
  const PackedWeight* gate_up = nullptr;        // interleaved [2 F, D]; stacked where it is asked
  const PackedWeight* down = nullptr;           // [D, F]
};

/// The weights of one layer as their owner keeps them: each of some of the layer's tensors. Those
/// that a family lacks are nullptr.
template <class Weight, class Vector>
struct OwnedBlock {
  std::unique_ptr<Weight> qkv, attention_out, gate_up, down;
  std::unique_ptr<Vector> input_norm, qkv_bias, query_norm, key_norm, ffn_norm;

  /// weight(order, roles…) and vector(roles…) make one out of the layer's tensors of these roles.
  template <class MakeWeight, class MakeVector>
  OwnedBlock(const ModelConfig& config, PackOrder gate_up_order, MakeWeight&& weight,
             MakeVector&& vector) {
    using Role = WeightRole;
    input_norm = vector(Role::input_norm);
    qkv = weight(PackOrder::stacked, Role::query, Role::key, Role::value);
    if (config.qkv_bias == QkvBias::present) {
      qkv_bias = vector(Role::query_bias, Role::key_bias, Role::value_bias);
    }
    if (config.qk_norm == QkNorm::per_head) {
      query_norm = vector(Role::query_norm);
      key_norm = vector(Role::key_norm);
    }
    attention_out = weight(PackOrder::stacked, Role::attention_out);
    ffn_norm = vector(Role::ffn_norm);
    gate_up = weight(gate_up_order, Role::gate, Role::up);
    down = weight(PackOrder::stacked, Role::down);
  }

  /// use(x) for all that there are.
  template <class Use>
  void for_each(Use&& use) const {
    for (const auto* one : {&qkv, &attention_out, &gate_up, &down}) use(**one);
    for (const auto* one : {&input_norm, &qkv_bias, &query_norm, &key_norm, &ffn_norm}) {
      if (*one) use(**one);
    }
  }

  /// packed(x): the address of what verbs of the forward read of x.
  template <class Packed>
  BlockWeights view(Packed&& packed) const {
    const auto there = [&](const auto& one) { return one ? packed(*one) : nullptr; };
    return {.input_norm = there(input_norm),
            .qkv = there(qkv),
            .qkv_bias = there(qkv_bias),
            .query_norm = there(query_norm),
            .key_norm = there(key_norm),
            .attention_out = there(attention_out),
            .ffn_norm = there(ffn_norm),
            .gate_up = there(gate_up),
            .down = there(down)};
  }
};

/// The three parts of a matrix of queries, keys and values.
struct QkvParts {
  Matrix q, k, v;
  QkvParts(const ModelConfig& config, Matrix qkv)
      : q(qkv.col_range(0, query_size(config))),
        k(qkv.col_range(query_size(config), query_size(config) + kv_size(config))),
        v(qkv.col_range(query_size(config) + kv_size(config), qkv.cols)) {}
};

/// Where the intermediate results of a block go, R rows each; activation type, unless "operand".
/// Serving uses planes again as soon as it may; training keeps what the backward needs.
struct BlockPlanes {
  Matrix entrance;    // [D] the residual stream before the block
  Matrix normed;      // [D] operand
  Matrix qkv;         // [(H + 2 G) E]
  Matrix q, k;        // [H E], [G E] behind norms of heads and rotation; may be those of qkv, and
                      // are where there are no such norms
  Matrix attended;    // [H E] operand
  Matrix middle;      // [D] the stream between attention and ffn; may be entrance
  Matrix ffn_normed;  // [D] operand; may be where normed is
  Matrix gated;       // [F] operand
  Matrix exit;        // [D] the stream behind the block; may be middle; without data: not wanted
};

/// The two steps of a block that depend on what is kept of it.
class BlockKeeping {
 public:
  virtual ~BlockKeeping() = default;
  /// attended = attention of the pass's rows; q, k and v are ready for it.
  virtual void attend(const QkvParts& parts, Matrix attended) = 0;
  /// gated = silu(gate) * up of `normed`.
  virtual void swiglu(Matrix normed, Matrix gated) = 0;
};

/// One block of one pass.
struct BlockForward {
  Ops& ops;
  const ModelConfig& config;
  const BlockWeights& weights;
  const PreparedPass& pass;
  const RopeTable& rope;
  AdapterForward adapter{};  ///< of all products but gate_up, which is the keeping's
};

/// From planes.entrance to planes.exit. Where that is not wanted, the product with `down` is left
/// out.
void forward_block(const BlockForward& call, const BlockPlanes& planes, BlockKeeping& keeping);

}  // namespace tidar
