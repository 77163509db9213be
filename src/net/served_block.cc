#include "net/served_block.h"

#include <array>
#include <list>
#include <vector>

#include "base/check.h"
#include "net/host_weight.h"

namespace tidar {

namespace {

std::vector<HostMatrix> as_matrices(std::span<const StoredTensor* const> parts) {
  std::vector<HostMatrix> matrices;
  for (const StoredTensor* part : parts) matrices.push_back(host_matrix(*part));
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
                                           std::span<const WeightRole> roles, int layer,
                                           WeightFormat format) {
  std::list<HostWeight> parts;
  std::vector<HostMatrix> matrices;
  for (const WeightRole role : roles) {
    matrices.push_back(parts.emplace_back(weights, role, layer, format).matrix());
  }
  return ops.pack(order, matrices, format);
}

std::unique_ptr<PackedVector> pack_vectors(Ops& ops, const ModelWeights& weights,
                                           std::span<const StoredTensor* const> parts) {
  auto packed = ops.pack_vector(as_matrices(parts));
  for (const StoredTensor* part : parts) weights.release(*part);
  return packed;
}

namespace {

DType widest_operand(const ModelConfig& config, const Ops& ops, const WeightFormats& weights) {
  const auto type_of = [&](PackedPlace place) { return ops.operand(weights.of(place)); };
  DType widest = type_of({PackedRole::qkv, 0});
  for (const PackedPlace& place : packed_weights(config)) {
    if (place.layer >= 0 && size_of(type_of(place)) > size_of(widest)) widest = type_of(place);
  }
  return widest;
}

/// The first rows of a plane, as elements of a type that is no wider than its own.
Matrix first_as(DType type, Matrix plane, int64_t rows) {
  TIDAR_CHECK_LE(rows, plane.rows);
  return {plane.data, type, rows, plane.cols};
}

}  // namespace

ServedPlanes::ServedPlanes(const ModelConfig& config, Ops& ops, const WeightFormats& weights,
                           int max_rows)
    : planes_(ops, max_rows,
              {{&x_, ops.activation(), config.hidden},
               {&normed_, widest_operand(config, ops, weights), config.hidden},
               {&qkv_, ops.activation(), query_size(config) + 2 * kv_size(config)},
               {&attended_, widest_operand(config, ops, weights), query_size(config)},
               {&gated_, widest_operand(config, ops, weights), config.ffn}}) {}

BlockPlanes ServedPlanes::of_rows(const ModelConfig& config, const BlockOperands& operands,
                                  int64_t rows) const {
  BlockPlanes planes;
  planes.entrance = planes.middle = planes.exit = stream(rows);
  planes.normed = first_as(operands.qkv, normed_, rows);
  planes.ffn_normed = first_as(operands.gate_up, normed_, rows);
  planes.qkv = first(qkv_, rows);
  const QkvParts parts(config, planes.qkv);
  planes.q = parts.q;
  planes.k = parts.k;
  planes.attended = first_as(operands.attention_out, attended_, rows);
  planes.gated = first_as(operands.down, gated_, rows);
  return planes;
}

ServedBlock::ServedBlock(Ops& ops, const ModelConfig& config, const ModelWeights& weights,
                         int layer, const WeightFormats& formats)
    : layer_(layer),
      weights_(
          config,
          [&](PackOrder order, auto... roles) {
            const std::array all = {roles...};
            return pack_tensors(ops, weights, order, all, layer,
                                formats.of({*packed_role(all.front()), layer}));
          },
          [&](auto... roles) {
            const std::array parts = {&weights.get(roles, layer)...};
            return pack_vectors(ops, weights, parts);
          }) {}

void ServedBlock::forward(Ops& ops, const ModelConfig& config, const ServedPass& pass,
                          const ServedPlanes& planes) const {
  KeysInStore keeping(ops, pass, layer_, *weights_.gate_up);
  const BlockWeights weights = weights_.view([](const auto& packed) { return &packed; });
  const BlockOperands operands = {.qkv = ops.operand(weights.qkv->format),
                                  .attention_out = ops.operand(weights.attention_out->format),
                                  .gate_up = ops.operand(weights.gate_up->format),
                                  .down = ops.operand(weights.down->format)};
  forward_block({ops, config, weights, pass.pass, pass.rope},
                planes.of_rows(config, operands, pass.pass.rows), keeping);
}

int64_t ServedBlock::bytes() const {
  int64_t bytes = 0;
  weights_.for_each([&](const auto& packed) { bytes += packed.bytes; });
  return bytes;
}

}  // namespace tidar
