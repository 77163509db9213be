#include "net/served_block.h"

#include <algorithm>
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
  struct GateUp {
    const PackedWeight& weight;
    AdapterForward adapter;
    Matrix sums;  // where the adapter acts on them
  };
  KeysInStore(Ops& ops, const ServedPass& pass, int layer, const GateUp& gate_up)
      : ops_(ops), pass_(pass), layer_(layer), gate_up_(gate_up) {}

  void attend(const QkvParts& parts, Matrix attended) override {
    ops_.store_kv(parts.k, parts.v, pass_.pass, pass_.kv, layer_);
    ops_.attend(parts.q, pass_.pass, pass_.kv, layer_, attended);
  }
  void swiglu(Matrix normed, Matrix gated) override {
    if (!gate_up_.adapter.acts_on(PackedRole::gate_up)) {
      return ops_.linear_swiglu(normed, gate_up_.weight, gated);
    }
    ops_.linear(normed, gate_up_.weight, nullptr, gate_up_.sums);
    gate_up_.adapter.add(PackedRole::gate_up, normed, gate_up_.sums);
    ops_.swiglu(gate_up_.sums, gated);
  }

 private:
  Ops& ops_;
  const ServedPass& pass_;
  int layer_;
  GateUp gate_up_;
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

bool adapts(const Adapter* adapter, WeightRole role, int layer) {
  return adapter != nullptr && adapter->find(role, layer) != nullptr;
}

bool has_target(const AdapterConfig& adapter, PackedRole packed) {
  return std::ranges::any_of(adapter.targets,
                             [&](WeightRole role) { return packed_role(role) == packed; });
}

/// A or B of weights of one layer, stacked.
std::unique_ptr<PackedWeight> pack_adapter(Ops& ops, const Adapter& adapter,
                                           StoredTensor Adapter::Pair::*which,
                                           std::span<const WeightRole> roles, int layer,
                                           WeightFormat format) {
  std::vector<HostMatrix> parts;
  for (const WeightRole role : roles) {
    parts.push_back(host_matrix(adapter.find(role, layer)->*which));
  }
  return ops.pack(PackOrder::stacked, parts, format);
}

OwnedAdapter<PackedWeight> pack_adapter(Ops& ops, const ModelConfig& config, const Adapter* adapter,
                                        int layer, const WeightFormats& formats) {
  if (adapter == nullptr) return {};
  return {
      config, [&](WeightRole role) { return adapts(adapter, role, layer); },
      [&](PackedRole packed, std::span<const WeightRole> roles) {
        return pack_adapter(ops, *adapter, &Adapter::Pair::a, roles, layer,
                            adapter_format(ops, formats.of({packed, layer})));
      },
      [&](WeightRole role) {
        return pack_adapter(ops, *adapter, &Adapter::Pair::b, {&role, 1}, layer, WeightFormat::f32);
      }};
}

}  // namespace

ServedPlanes::ServedPlanes(const ModelConfig& config, Ops& ops, const WeightFormats& weights,
                           const Adapter* adapter, int max_rows)
    : planes_(ops, max_rows,
              {{&x_, ops.activation(), config.hidden},
               {&normed_, widest_operand(config, ops, weights), config.hidden},
               {&qkv_, ops.activation(), query_size(config) + 2 * kv_size(config)},
               {&attended_, widest_operand(config, ops, weights), query_size(config)},
               {&gated_, widest_operand(config, ops, weights), config.ffn},
               {&gate_up_, ops.activation(),
                adapter != nullptr && has_target(adapter->config(), PackedRole::gate_up)
                    ? 2 * int64_t{config.ffn}
                    : 0}}) {}

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
                         int layer, const WeightFormats& formats, const Adapter* adapter)
    : layer_(layer),
      weights_(
          config,
          adapts(adapter, WeightRole::gate, layer) || adapts(adapter, WeightRole::up, layer)
              ? PackOrder::stacked
              : PackOrder::interleaved,
          [&](PackOrder order, auto... roles) {
            const std::array all = {roles...};
            return pack_tensors(ops, weights, order, all, layer,
                                formats.of({*packed_role(all.front()), layer}));
          },
          [&](auto... roles) {
            const std::array parts = {&weights.get(roles, layer)...};
            return pack_vectors(ops, weights, parts);
          }),
      adapter_(pack_adapter(ops, config, adapter, layer, formats)) {}

void ServedBlock::forward(Ops& ops, const ModelConfig& config, const ServedPass& pass,
                          const ServedPlanes& planes) const {
  const auto itself = [](const auto& packed) { return &packed; };
  const BlockAdapter adapters = adapter_.view(itself);
  const AdapterForward adapter =
      pass.adapted == nullptr ? AdapterForward() : AdapterForward(ops, adapters, *pass.adapted);
  KeysInStore keeping(ops, pass, layer_,
                      {*weights_.gate_up, adapter, planes.gate_up(pass.pass.rows)});
  const BlockWeights weights = weights_.view(itself);
  const BlockOperands operands = {.qkv = ops.operand(weights.qkv->format),
                                  .attention_out = ops.operand(weights.attention_out->format),
                                  .gate_up = ops.operand(weights.gate_up->format),
                                  .down = ops.operand(weights.down->format)};
  forward_block({ops, config, weights, pass.pass, pass.rope, adapter},
                planes.of_rows(config, operands, pass.pass.rows), keeping);
}

int64_t ServedBlock::bytes() const {
  int64_t bytes = 0;
  const auto count = [&](const auto& packed) { bytes += packed.bytes; };
  weights_.for_each(count);
  adapter_.for_each(count);
  return bytes;
}

}  // namespace tidar
