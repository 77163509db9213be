#pragma once
// One transformer block for serving: packed weights, keys in a store, planes that all blocks share.

#include <memory>
#include <span>

#include "model/adapter.h"
#include "model/weights.h"
#include "net/adapter_weights.h"
#include "net/block.h"
#include "net/planes.h"
#include "net/weight_formats.h"

namespace tidar {

/// Packs one weight from tensors of these roles, which it lays out together, then releases them.
/// Codes that a file has in the very format stay what they are; others never stand in memory as
/// numbers, but for a row at a time, unless the format is plain.
std::unique_ptr<PackedWeight> pack_tensors(Ops& ops, const ModelWeights& weights, PackOrder order,
                                           std::span<const WeightRole> roles, int layer,
                                           WeightFormat format);
/// One vector of these tensors, one behind another; releases them too.
std::unique_ptr<PackedVector> pack_vectors(Ops& ops, const ModelWeights& weights,
                                           std::span<const StoredTensor* const> parts);

/// Types of the operands of a block's products.
struct BlockOperands {
  DType qkv = DType::f32;
  DType attention_out = DType::f32;
  DType gate_up = DType::f32;
  DType down = DType::f32;
};

/// The intermediate results of a block, for passes of up to `max_rows` rows. Blocks whose weights
/// have different formats share them.
class ServedPlanes {
 public:
  /// `adapter`: of the network, or nullptr.
  ServedPlanes(const ModelConfig& config, Ops& ops, const WeightFormats& weights,
               const Adapter* adapter, int max_rows);

  /// The residual stream [R, D].
  Matrix stream(int64_t rows) const { return first(x_, rows); }
  /// Views, for a block with these operands.
  BlockPlanes of_rows(const ModelConfig& config, const BlockOperands& operands, int64_t rows) const;
  /// [R, 2 F] activation, where an adapter acts between the products of gate and up and the rest.
  Matrix gate_up(int64_t rows) const { return first(gate_up_, rows); }
  int64_t bytes() const { return planes_.bytes(); }

 private:
  Matrix x_, qkv_, gate_up_;
  Matrix normed_, attended_, gated_;  // operands, of the widest type that a block wants
  Planes planes_;
};

/// The pass that blocks carry out, and where its keys go.
struct ServedPass {
  const PreparedPass& pass;
  const RopeTable& rope;
  KvStore& kv;
  const AdaptedRows* adapted = nullptr;  ///< where the network has an adapter
};

class ServedBlock {
 public:
  /// `adapter`: of the network, or nullptr; it is packed as well.
  ServedBlock(Ops& ops, const ModelConfig& config, const ModelWeights& weights, int layer,
              const WeightFormats& formats, const Adapter* adapter);

  /// Carries the stream of `planes` through the block, in place.
  void forward(Ops& ops, const ModelConfig& config, const ServedPass& pass,
               const ServedPlanes& planes) const;

  /// Of all weights, those of the adapter included.
  int64_t bytes() const;

 private:
  int layer_;
  OwnedBlock<PackedWeight, PackedVector> weights_;
  OwnedAdapter<PackedWeight> adapter_;
};

}  // namespace tidar
