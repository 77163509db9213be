#pragma once
// One transformer block for serving: packed weights, keys in a store, planes that all blocks share.

#include <memory>
#include <span>

#include "model/weights.h"
#include "net/block.h"
#include "net/planes.h"

namespace tidar {

/// Packs one weight from tensors that it lays out together, then releases them.
std::unique_ptr<PackedWeight> pack_tensors(Ops& ops, const ModelWeights& weights, PackOrder order,
                                           std::span<const StoredTensor* const> parts,
                                           WeightFormat format);
std::unique_ptr<PackedVector> pack_vectors(Ops& ops, const ModelWeights& weights,
                                           std::span<const StoredTensor* const> parts);

/// The intermediate results of a block, for passes of up to `max_rows` rows.
class ServedPlanes {
 public:
  ServedPlanes(const ModelConfig& config, Ops& ops, WeightFormat weights, int max_rows);

  /// The residual stream [R, D].
  Matrix stream(int64_t rows) const { return first(x_, rows); }
  BlockPlanes of_rows(const ModelConfig& config, int64_t rows) const;
  int64_t bytes() const { return planes_.bytes(); }

 private:
  Matrix x_, normed_, qkv_, attended_, gated_;
  Planes planes_;
};

/// The pass that blocks carry out, and where its keys go.
struct ServedPass {
  const PreparedPass& pass;
  const RopeTable& rope;
  KvStore& kv;
};

class ServedBlock {
 public:
  ServedBlock(Ops& ops, const ModelConfig& config, const ModelWeights& weights, int layer,
              WeightFormat format);

  /// Carries the stream of `planes` through the block, in place.
  void forward(Ops& ops, const ModelConfig& config, const ServedPass& pass,
               const BlockPlanes& planes) const;

  /// Of all weights.
  int64_t bytes() const;

 private:
  int layer_;
  OwnedBlock<PackedWeight, PackedVector> weights_;
};

}  // namespace tidar
