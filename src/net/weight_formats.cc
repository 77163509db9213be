#include "net/weight_formats.h"

#include <algorithm>

namespace tidar {

std::optional<PackedRole> packed_role_named(std::string_view name) {
  const auto* const found = std::find(kPackedRoles.begin(), kPackedRoles.end(), name);
  if (found == kPackedRoles.end()) return std::nullopt;
  return static_cast<PackedRole>(found - kPackedRoles.begin());
}

std::optional<PackedRole> packed_role(WeightRole role) {
  switch (role) {
    case WeightRole::embedding:
      return PackedRole::embedding;
    case WeightRole::query:
    case WeightRole::key:
    case WeightRole::value:
      return PackedRole::qkv;
    case WeightRole::attention_out:
      return PackedRole::attention_out;
    case WeightRole::gate:
    case WeightRole::up:
      return PackedRole::gate_up;
    case WeightRole::down:
      return PackedRole::down;
    case WeightRole::head:
      return PackedRole::head;
    default:
      return std::nullopt;
  }
}

std::vector<PackedPlace> packed_weights(const ModelConfig& config) {
  std::vector<PackedPlace> places;
  for (const WeightSpec& spec : weight_table(config)) {
    const auto role = packed_role(spec.role);
    if (!role) continue;
    const PackedPlace place{*role, spec.layer};
    if (places.empty() || places.back() != place) places.push_back(place);
  }
  return places;
}

WeightFormat WeightFormats::of(PackedPlace place) const {
  const auto found = others_.find(place);
  return found != others_.end() ? found->second : by_role_[static_cast<size_t>(place.role)];
}

void WeightFormats::set(PackedRole role, WeightFormat format) {
  by_role_[static_cast<size_t>(role)] = format;
  std::erase_if(others_, [role](const auto& other) { return other.first.role == role; });
}

void WeightFormats::set(PackedPlace place, WeightFormat format) {
  others_.insert_or_assign(place, format);
}

namespace {

WeightFormat stored_format(StoredForm form, DType numbers) {
  switch (form) {
    case StoredForm::codes4:
      return WeightFormat::w4;
    case StoredForm::codes8:
    case StoredForm::other_codes:
      return WeightFormat::w8;
    case StoredForm::numbers:
      break;
  }
  // f16 has numbers that bf16 has not.
  return numbers == DType::bf16 ? WeightFormat::bf16 : WeightFormat::f32;
}

}  // namespace

WeightFormats stored_formats(const ModelConfig& config, const ModelWeights& weights) {
  std::map<PackedPlace, WeightFormat> widest;
  for (const WeightSpec& spec : weight_table(config)) {
    const auto role = packed_role(spec.role);
    if (!role) continue;
    const WeightFormat format = stored_format(weights.form(spec.role, spec.layer),
                                              weights.look_at(spec.role, spec.layer).dtype);
    const auto [found, added] = widest.emplace(PackedPlace{*role, spec.layer}, format);
    const bool wider = facts_of(format).element_bits > facts_of(found->second).element_bits;
    if (!added && wider) found->second = format;
  }
  WeightFormats formats;
  for (const auto& [place, format] : widest) formats.set(place, format);
  return formats;
}

namespace {

using Counts = std::array<int, kWeightFormats.size()>;

WeightFormat most_frequent(const Counts& counts) {
  return static_cast<WeightFormat>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

/// How many weights have each format, by role.
std::array<Counts, kPackedRoles.size()> counts_of(const WeightFormats& formats,
                                                  const ModelConfig& config) {
  std::array<Counts, kPackedRoles.size()> counts{};
  for (const PackedPlace& place : packed_weights(config)) {
    ++counts[static_cast<size_t>(place.role)][static_cast<size_t>(formats.of(place))];
  }
  return counts;
}

/// "w8", or "w4:9+w8:3".
std::string text_of(const Counts& counts) {
  std::vector<std::string> parts;
  for (size_t f = 0; f < counts.size(); ++f) {
    if (counts[f] > 0) parts.push_back(fmt::format("{}:{}", kWeightFormats[f].name, counts[f]));
  }
  if (parts.size() == 1) return std::string(name_of(most_frequent(counts)));
  return fmt::format("{}", fmt::join(parts, "+"));
}

}  // namespace

WeightFormat usual_format(const WeightFormats& formats, const ModelConfig& config) {
  Counts all{};
  for (const Counts& counts : counts_of(formats, config)) {
    for (size_t f = 0; f < all.size(); ++f) all[f] += counts[f];
  }
  return most_frequent(all);
}

std::string text_of(const WeightFormats& formats, const ModelConfig& config) {
  const std::string usual(name_of(usual_format(formats, config)));
  std::string text = usual;
  const auto by_role = counts_of(formats, config);
  for (size_t role = 0; role < by_role.size(); ++role) {
    const Counts& counts = by_role[role];
    if (counts == Counts{}) continue;  // a tied head
    if (const std::string own = text_of(counts); own != usual) {
      text += fmt::format(",{}={}", kPackedRoles[role], own);
    }
  }
  return text;
}

}  // namespace tidar
