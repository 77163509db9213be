#include "decode/methods.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/nearest.h"

namespace tidar {
namespace {

template <size_t... I>
constexpr auto table_of(std::index_sequence<I...>) {
  return std::array<MethodInfo, sizeof...(I)>{
      {{std::variant_alternative_t<I, Method>::kTitle.name,
        std::variant_alternative_t<I, Method>::kTitle.summary,
        [] { return Method(std::in_place_index<I>); }}...}};
}

}  // namespace

std::span<const MethodInfo> all_methods() {
  static constexpr auto kMethods =
      table_of(std::make_index_sequence<std::variant_size_v<Method>>());
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

MethodFacts facts_of(const Method& method) {
  return std::visit([](const auto& options) { return facts_of(options); }, method);
}

Result<std::unique_ptr<Decoder>> make_decoder(const Method& method, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  return std::visit(
      [&](const auto& options) {
        return make_decoder(options, std::move(spec), std::move(cache), limits);
      },
      method);
}

}  // namespace tidar
