#include "decode/methods.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "decode/ar.h"

namespace tidar {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// With the default options of alternative I.
template <size_t I>
Method by_default() {
  return Method(std::in_place_index<I>);
}

TidarOptions two_passes(const SelfSpeculativeOptions& options) {
  return {.draft_length = options.draft_length, .groups = no_groups()};
}

SpeculativeOptions by_lookup(const LookupMethodOptions& options) {
  return {.draft_length = options.draft_length, .drafters = lookup_drafters(options.lookup)};
}

}  // namespace

std::span<const MethodInfo> all_methods() {
  static constexpr std::array<MethodInfo, std::variant_size_v<Method>> kMethods = {{
      {"ar", "one token a pass", by_default<0>},
      {"tidar", "drafts by masks and verifies them in the same pass", by_default<1>},
      {"self-speculative", "a pass of masks drafts, a causal pass verifies", by_default<2>},
      {"lookup", "drafts what followed the same tokens before", by_default<3>},
      {"speculative", "another model drafts", by_default<4>},
      {"block-diffusion", "denoises block after block", by_default<5>},
      {"masked-diffusion", "denoises the whole output", by_default<6>},
  }};
  return kMethods;
}

std::string_view name_of(const Method& method) { return all_methods()[method.index()].name; }

Result<Method> method_named(std::string_view name) {
  std::vector<std::string> names;
  std::string list;
  for (const MethodInfo& info : all_methods()) {
    if (info.name == name) return info.make();
    names.emplace_back(info.name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const std::string meant = nearest(name, names);
  if (!meant.empty()) return error("unknown method {}; did you mean {}?", name, meant);
  return error("unknown method {}; expected one of {}", name, list);
}

bool needs_mask_token(const Method& method) {
  return std::visit(
      Overloaded{[](const ArOptions&) { return false; }, [](const TidarOptions&) { return true; },
                 [](const SelfSpeculativeOptions&) { return true; },
                 [](const LookupMethodOptions&) { return false; },
                 [](const SpeculativeOptions&) { return false; },
                 [](const BlockDiffusionOptions&) { return true; },
                 [](const MaskedDiffusionOptions&) { return true; }},
      method);
}

bool equals_ar(const Method& method) {
  return std::visit(Overloaded{[](const ArOptions&) { return true; },
                               [](const TidarOptions& tidar) { return tidar.trust == 1; },
                               [](const SelfSpeculativeOptions&) { return true; },
                               [](const LookupMethodOptions&) { return true; },
                               [](const SpeculativeOptions&) { return true; },
                               [](const BlockDiffusionOptions&) { return false; },
                               [](const MaskedDiffusionOptions&) { return false; }},
                    method);
}

int useful_rows(const Method& method, int prompt_tokens) {
  return std::visit(
      Overloaded{
          [](const ArOptions&) { return 1; },
          [](const TidarOptions& tidar) { return rows_of_whole_step(tidar.draft_length); },
          [](const SelfSpeculativeOptions& self) { return self.draft_length + 1; },
          [](const LookupMethodOptions& lookup) { return lookup.draft_length + 1; },
          [](const SpeculativeOptions& speculative) { return speculative.draft_length + 1; },
          // A finished block beside the one that is being denoised.
          [](const BlockDiffusionOptions& block) { return 2 * block.block_size; },
          [&](const MaskedDiffusionOptions& masked) { return prompt_tokens + masked.length; }},
      method);
}

bool keeps_keys(const Method& method) {
  return !std::holds_alternative<MaskedDiffusionOptions>(method);
}

int draft_keys(const Method& method) {
  return std::visit(
      Overloaded{[](const ArOptions&) { return 0; },
                 [](const TidarOptions& tidar) { return tidar.draft_length - 1; },
                 [](const SelfSpeculativeOptions& self) { return self.draft_length - 1; },
                 [](const LookupMethodOptions& lookup) { return lookup.draft_length; },
                 [](const SpeculativeOptions& speculative) { return speculative.draft_length; },
                 [](const BlockDiffusionOptions&) { return 0; },
                 [](const MaskedDiffusionOptions&) { return 0; }},
      method);
}

Result<std::unique_ptr<Decoder>> make_decoder(const Method& method, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  const auto with = [&](auto&& make, const auto& options) {
    return make(std::move(spec), options, std::move(cache), limits);
  };
  return std::visit(
      Overloaded{
          [&](const ArOptions&) { return make_ar(std::move(spec), std::move(cache), limits); },
          [&](const TidarOptions& tidar) { return with(make_tidar, tidar); },
          [&](const SelfSpeculativeOptions& self) { return with(make_tidar, two_passes(self)); },
          [&](const LookupMethodOptions& lookup) {
            return with(make_speculative, by_lookup(lookup));
          },
          [&](const SpeculativeOptions& speculative) {
            return with(make_speculative, speculative);
          },
          [&](const BlockDiffusionOptions& block) { return with(make_block_diffusion, block); },
          [&](const MaskedDiffusionOptions& masked) {
            return with(make_masked_diffusion, masked);
          }},
      method);
}

}  // namespace tidar
