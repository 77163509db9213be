#pragma once
// What an adapter (model/adapter.h) adds to the products of a block, for serving and for training:
//
//   down = x A^T                       of all rows, A of all parts of a packed weight at once
//   up = down B^T                      of the rows that the adapter acts on, part by part
//   out[those rows] += scale * up      into the part's columns
//
// Other rows of out are not written, so that they have the bits that they had.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/adapter.h"
#include "model/config.h"
#include "net/planes.h"
#include "net/weight_formats.h"
#include "ops/ops.h"
#include "plan/pass.h"

namespace tidar {

/// One of the tensors that a packed weight of a block is made of.
struct PackedPart {
  WeightRole role = WeightRole::query;
  int64_t first_column = 0;  ///< of its outputs, in those of the packed weight
  int64_t outputs = 0;
};

/// Those of qkv, attention_out, gate_up or down, in the order of their columns.
std::vector<PackedPart> parts_of(const ModelConfig& config, PackedRole role);

/// The adapter of one packed weight, whose tensors are somebody else's.
struct AdapterWeights {
  struct Part {
    const PackedWeight* up = nullptr;  // B [N, r]
    int64_t first_column = 0;
  };
  const PackedWeight* down = nullptr;  // A of all parts, stacked [parts · r, K]; nullptr: none
  std::vector<Part> parts{};
};

/// Those of one layer.
class BlockAdapter {
 public:
  AdapterWeights& of(PackedRole role) { return by_role_[static_cast<size_t>(role)]; }
  const AdapterWeights& of(PackedRole role) const { return by_role_[static_cast<size_t>(role)]; }

 private:
  std::array<AdapterWeights, kPackedRoles.size()> by_role_;
};

/// The same as its owner keeps it. A Weight is a PackedWeight or a TrainedWeight.
template <class Weight>
class OwnedAdapter {
 public:
  struct Part {
    WeightRole role = WeightRole::query;
    std::unique_ptr<Weight> up;
    int64_t first_column = 0;
  };
  struct Product {
    std::unique_ptr<Weight> down;
    std::vector<Part> parts;
  };

  OwnedAdapter() = default;
  /// has(role): whether a tensor of this role has an adapter in this layer. make_a(packed, roles)
  /// and make_b(role) make A, stacked, and B.
  template <class Has, class MakeA, class MakeB>
  OwnedAdapter(const ModelConfig& config, Has&& has, MakeA&& make_a, MakeB&& make_b) {
    using enum PackedRole;
    for (const PackedRole packed : {qkv, attention_out, gate_up, down}) {
      std::vector<WeightRole> roles;
      Product product;
      for (const PackedPart& part : parts_of(config, packed)) {
        if (!has(part.role)) continue;
        roles.push_back(part.role);
        product.parts.push_back({part.role, make_b(part.role), part.first_column});
      }
      if (!roles.empty()) product.down = make_a(packed, std::span<const WeightRole>(roles));
      by_role_[static_cast<size_t>(packed)] = std::move(product);
    }
  }

  const Product& of(PackedRole role) const { return by_role_[static_cast<size_t>(role)]; }

  /// use(x) for all that there are.
  template <class Use>
  void for_each(Use&& use) const {
    for (const Product& product : by_role_) {
      if (product.down) use(*product.down);
      for (const Part& part : product.parts) use(*part.up);
    }
  }

  /// packed(x): the address of what verbs of the forward read of x.
  template <class Packed>
  BlockAdapter view(Packed&& packed) const {
    BlockAdapter view;
    for (size_t role = 0; role < by_role_.size(); ++role) {
      const Product& product = by_role_[role];
      if (!product.down) continue;
      AdapterWeights& weights = view.of(static_cast<PackedRole>(role));
      weights.down = packed(*product.down);
      for (const Part& part : product.parts) {
        weights.parts.push_back({packed(*part.up), part.first_column});
      }
    }
    return view;
  }

 private:
  std::array<Product, kPackedRoles.size()> by_role_;
};

/// The rows of a pass that an adapter acts on, and room for what stands between A and B. One for
/// all layers.
class AdaptedRows {
 public:
  AdaptedRows(const ModelConfig& config, Ops& ops, const AdapterConfig& adapter, int max_rows);

  /// Finds the rows of this pass.
  void take(const Pass& pass);

  bool are_all() const { return config_.rows == AdapterRows::all; }
  std::span<const int32_t> indices() const { return indices_; }
  /// 0, 1, …, below `count`, at most max_rows.
  std::span<const int32_t> first_indices(int64_t count) const {
    return std::span(ascending_).first(static_cast<size_t>(count));
  }
  const AdapterConfig& config() const { return config_; }

  // Activation type; of as many rows as there are.
  Matrix down;    ///< [3 r]
  Matrix picked;  ///< [r]
  Matrix up;      ///< [most outputs of a part]

  int64_t bytes() const { return planes_.bytes(); }

 private:
  AdapterConfig config_;
  std::vector<int32_t> ascending_;
  std::vector<int32_t> indices_;
  Planes planes_;
};

/// What an adapter does in one block of one pass; where there is none, nothing.
class AdapterForward {
 public:
  AdapterForward() = default;
  AdapterForward(Ops& ops, const BlockAdapter& weights, const AdaptedRows& rows)
      : ops_(&ops), weights_(&weights), rows_(&rows) {}

  /// Whether it adds to this product, on some rows.
  bool acts_on(PackedRole product) const {
    return weights_ != nullptr && weights_->of(product).down != nullptr;
  }

  /// out += scale (x A^T) B^T in the rows concerned. x [R, K]: the operand of the product; out
  /// [R, N] activation: its result, columns part after part.
  void add(PackedRole product, Matrix x, Matrix out) const;

 private:
  Ops* ops_ = nullptr;
  const BlockAdapter* weights_ = nullptr;
  const AdaptedRows* rows_ = nullptr;
};

/// The format of A for a product whose weights have this one: it reads the same operand.
WeightFormat adapter_format(const Ops& ops, WeightFormat weights);

}  // namespace tidar
