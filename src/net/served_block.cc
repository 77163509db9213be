#include "net/served_block.h"

#include <array>
#include <vector>

#include "base/check.h"

namespace tidar {

namespace {

HostMatrix as_matrix(const StoredTensor& tensor) {
  const bool is_vector = tensor.shape.size() == 1;
  TIDAR_CHECK(is_vector || tensor.shape.size() == 2);
  return {tensor.data.data(), tensor.dtype, is_vector ? 1 : tensor.shape[0], tensor.shape.back()};
}

std::vector<HostMatrix> as_matrices(std::span<const StoredTensor* const> parts) {
  std::vector<HostMatrix> matrices;
  for (const StoredTensor* part : parts) matrices.push_back(as_matrix(*part));
  return matrices;
}

// Keys and values go into the store; nothing else is kept.
class KeysInStore final : public BlockKeeping {
 public:
  KeysInStore(Ops& ops, const ServedPass& pass, int layer, const PackedWeight& gate_up)
      : ops_(ops), pass_(pass), layer_(layer), gate_up_(gate_up) {}

  void attend(const QkvParts& parts, Matrix attended) override {
    ops_.store_kv(parts.k, parts.v, pass_.pass, pass_.kv, layer_);
    ops_.attend(parts.q, pass_.pass, pass_.kv, layer_, attended);
  }
  void swiglu(Matrix normed, Matrix gated) override { ops_.linear_swiglu(normed, gate_up_, gated); }

 private:
  Ops& ops_;
  const ServedPass& pass_;
  int layer_;
  const PackedWeight& gate_up_;
};

}  // namespace

std::unique_ptr<PackedWeight> pack_tensors(Ops& ops, const ModelWeights& weights, PackOrder order,
                                           std::span<const StoredTensor* const> parts,
                                           WeightFormat format) {
  auto packed = ops.pack(order, as_matrices(parts), format);
  for (const StoredTensor* part : parts) weights.release(*part);
  return packed;
}

std::unique_ptr<PackedVector> pack_vectors(Ops& ops, const ModelWeights& weights,
                                           std::span<const StoredTensor* const> parts) {
  auto packed = ops.pack_vector(as_matrices(parts));
  for (const StoredTensor* part : parts) weights.release(*part);
  return packed;
}

ServedPlanes::ServedPlanes(const ModelConfig& config, Ops& ops, WeightFormat weights, int max_rows)
    : planes_(ops, max_rows,
              {{&x_, ops.activation(), config.hidden},
               {&normed_, ops.operand(weights), config.hidden},
               {&qkv_, ops.activation(), query_size(config) + 2 * kv_size(config)},
               {&attended_, ops.operand(weights), query_size(config)},
               {&gated_, ops.operand(weights), config.ffn}}) {}

BlockPlanes ServedPlanes::of_rows(const ModelConfig& config, int64_t rows) const {
  BlockPlanes planes;
  planes.entrance = planes.middle = planes.exit = stream(rows);
  planes.normed = planes.ffn_normed = first(normed_, rows);
  planes.qkv = first(qkv_, rows);
  const QkvParts parts(config, planes.qkv);
  planes.q = parts.q;
  planes.k = parts.k;
  planes.attended = first(attended_, rows);
  planes.gated = first(gated_, rows);
  return planes;
}

ServedBlock::ServedBlock(Ops& ops, const ModelConfig& config, const ModelWeights& weights,
                         int layer, WeightFormat format)
    : layer_(layer),
      weights_(
          config,
          [&](PackOrder order, auto... roles) {
            const std::array parts = {&weights.get(roles, layer)...};
            return pack_tensors(ops, weights, order, parts, format);
          },
          [&](auto... roles) {
            const std::array parts = {&weights.get(roles, layer)...};
            return pack_vectors(ops, weights, parts);
          }) {}

void ServedBlock::forward(Ops& ops, const ModelConfig& config, const ServedPass& pass,
                          const BlockPlanes& planes) const {
  KeysInStore keeping(ops, pass, layer_, *weights_.gate_up);
  const BlockWeights weights = weights_.view([](const auto& packed) { return &packed; });
  forward_block({ops, config, weights, pass.pass, pass.rope}, planes, keeping);
}

int64_t ServedBlock::bytes() const {
  int64_t bytes = 0;
  weights_.for_each([&](const auto& packed) { bytes += packed.bytes; });
  return bytes;
}

}  // namespace tidar
