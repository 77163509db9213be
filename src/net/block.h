#pragma once
// The one transformer block of all families, for serving and for training: which verbs follow each
// other. What becomes of keys and of the inside of the block is its caller's (BlockKeeping).

#include "model/config.h"
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
  const PackedWeight* gate_up = nullptr;        // interleaved [2 F, D]
  const PackedWeight* down = nullptr;           // [D, F]
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
  Matrix ffn_normed;  // [D] operand; may be normed
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
};

void forward_block(const BlockForward& call, const BlockPlanes& planes, BlockKeeping& keeping);

}  // namespace tidar
