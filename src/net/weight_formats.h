#pragma once
// In which format each weight of a network is packed, where not all of them are alike.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "model/config.h"
#include "model/weights.h"
#include "ops/weight_format.h"

namespace tidar {

/// What is packed as one weight, and so in one format: the tensors of one role, or of several.
enum class PackedRole : uint8_t { embedding, qkv, attention_out, gate_up, down, head };

/// In the order of the enum. What people call them.
inline constexpr std::array<std::string_view, 6> kPackedRoles = {
    "embedding", "qkv", "attention_out", "gate_up", "down", "head"};

constexpr std::string_view name_of(PackedRole role) {
  return kPackedRoles[static_cast<size_t>(role)];
}
std::optional<PackedRole> packed_role_named(std::string_view name);

/// The weight that a tensor of this role is packed into; nothing for a vector, which is f32.
std::optional<PackedRole> packed_role(WeightRole role);

/// One packed weight of a network.
struct PackedPlace {
  PackedRole role = PackedRole::embedding;
  int layer = -1;  ///< -1: not in a layer
  bool operator==(const PackedPlace&) const = default;
  bool operator<(const PackedPlace& other) const {
    return std::tie(role, layer) < std::tie(other.role, other.layer);
  }
};

/// All that a network of this config packs, in the order in which a pass uses them. A tied head is
/// not among them: it is the embedding.
std::vector<PackedPlace> packed_weights(const ModelConfig& config);

/// The format of each packed weight.
class WeightFormats {
 public:
  /// All alike.
  WeightFormats(WeightFormat all = WeightFormat::f32) { by_role_.fill(all); }

  WeightFormat of(PackedPlace place) const;
  /// Of a role, in all layers.
  void set(PackedRole role, WeightFormat format);
  /// Of one weight.
  void set(PackedPlace place, WeightFormat format);

 private:
  std::array<WeightFormat, kPackedRoles.size()> by_role_;
  std::map<PackedPlace, WeightFormat> others_;  ///< that are not as their role has them
};

/// As the weights are stored: codes that a format has as such in that one, other codes in w8, and
/// numbers in the narrowest format that holds them. Tensors that are packed as one weight have the
/// widest of theirs.
WeightFormats stored_formats(const ModelConfig& config, const ModelWeights& weights);

/// The format that most of the model's packed weights have.
WeightFormat usual_format(const WeightFormats& formats, const ModelConfig& config);

/// "w4", or "w4,head=w8": the usual format, and the roles that differ from it; "down=w4:9+w8:3"
/// where nine layers have one format and three another. Two texts of one model differ where two
/// formats of a role, or their numbers, do.
std::string text_of(const WeightFormats& formats, const ModelConfig& config);

}  // namespace tidar
