#include "apps/method_list.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "apps/ids.h"

namespace tidar {
namespace {

constexpr std::string_view kComparable = "ar, tidar, self-speculative and lookup";

Result<Method> parse_method(std::string_view text) {
  const size_t colon = std::min(text.find(':'), text.size());
  TIDAR_TRY(Method method, method_named(text.substr(0, colon)));
  if (!facts_of(method).equals_ar || std::holds_alternative<SpeculativeOptions>(method)) {
    return error("methods to compare are {}, not {}", kComparable, name_of(method));
  }
  auto* tidar = std::get_if<TidarOptions>(&method);
  if (tidar == nullptr && colon < text.size()) {
    return error("only tidar has groups, found '{}'", text);
  }
  if (tidar != nullptr) {
    const auto groups = colon < text.size() ? text.substr(colon + 1) : "auto";
    TIDAR_TRY(tidar->groups, parse_policy(groups));
  }
  return method;
}

int* draft_length_of(Method& method) {
  return std::visit(
      [](auto& options) -> int* {
        if constexpr (requires { options.draft_length; }) return &options.draft_length;
        return nullptr;
      },
      method);
}

}  // namespace

Result<std::vector<Method>> parse_methods(const std::string& text) {
  std::vector<Method> methods;
  for (size_t from = 0; from <= text.size();) {
    const size_t comma = std::min(text.find(',', from), text.size());
    TIDAR_TRY(Method method, parse_method(std::string_view(text).substr(from, comma - from)));
    methods.push_back(std::move(method));
    from = comma + 1;
  }
  return methods;
}

Result<std::vector<int32_t>> parse_draft_lengths(const std::string& text, int most) {
  TIDAR_TRY(std::vector<int32_t> lengths, parse_ids(text, "", "numbers of tokens"));
  for (const int32_t length : lengths) {
    if (length >= 1 && length <= most) continue;
    return error("expected 1 to {} tokens, found {}", most, length);
  }
  return lengths;
}

std::vector<Method> with_draft_lengths(const std::vector<Method>& methods,
                                       std::span<const int32_t> draft_lengths) {
  std::vector<Method> all;
  for (Method method : methods) {
    int* const length = draft_length_of(method);
    if (length == nullptr || draft_lengths.empty()) {
      all.push_back(std::move(method));
      continue;
    }
    for (const int32_t one : draft_lengths) {
      *length = one;
      all.push_back(method);
    }
  }
  return all;
}

int draft_length_of(const Method& method) {
  Method copy = method;
  const int* length = draft_length_of(copy);
  return length == nullptr ? 0 : *length;
}

std::string groups_of(const Method& method) {
  const auto* tidar = std::get_if<TidarOptions>(&method);
  return tidar == nullptr ? "" : text_of(tidar->groups);
}

bool is_ar(const Method& method) { return std::holds_alternative<ArOptions>(method); }

void put_method(OrderedJson& json, const Method& method) {
  json["method"] = name_of(method);
  if (const int length = draft_length_of(method); length > 0) json["draft_length"] = length;
  if (const std::string groups = groups_of(method); !groups.empty()) json["groups"] = groups;
}

}  // namespace tidar
