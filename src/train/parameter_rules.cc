#include "train/parameter_rules.h"

#include <algorithm>

#include "format/files.h"

namespace tidar {

namespace {

/// Calls f(index of a weight) for each that the pattern fits. An Error where there is none.
template <class F>
Result<void> for_each_fitting(std::string_view field, const std::string& pattern,
                              std::span<const WeightSpec> table, F&& f) {
  bool found = false;
  for (size_t i = 0; i < table.size(); ++i) {
    if (!fits_pattern(table[i].name, pattern)) continue;
    found = true;
    TIDAR_TRY_VOID(f(i));
  }
  if (found) return {};
  return error(
      "{}: no weight of this model is called {}; names are such as {} and {}, and * stands for "
      "any text",
      field, in_quotes(pattern), table.front().name, table[table.size() / 2].name);
}

}  // namespace

bool fits_pattern(std::string_view name, std::string_view pattern) {
  size_t n = 0, p = 0;
  // Where to go on when what follows the last star does not fit: the star takes one letter more.
  size_t star = std::string_view::npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p, ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

Result<RuledParameters> apply_rules(const ParameterRules& rules,
                                    std::span<const WeightSpec> table) {
  RuledParameters ruled;
  ruled.updates.resize(table.size());
  std::vector<bool> frozen(table.size()), rated(table.size());
  const auto is_whole = [](const WeightSpec& spec) { return spec.part == WeightPart::whole; };
  if (!std::ranges::all_of(table, is_whole)) {
    for (size_t i = 0; i < table.size(); ++i) frozen[i] = is_whole(table[i]);
  }
  for (const std::string& pattern : rules.frozen) {
    TIDAR_TRY_VOID(for_each_fitting("frozen", pattern, table, [&](size_t i) -> Result<void> {
      frozen[i] = true;
      return {};
    }));
  }
  for (const std::string& pattern : rules.no_decay) {
    TIDAR_TRY_VOID(for_each_fitting("no_decay", pattern, table, [&](size_t i) -> Result<void> {
      ruled.updates[i].decays = false;
      return {};
    }));
  }
  for (const auto& rule : rules.rates) {
    TIDAR_TRY_VOID(for_each_fitting("rates", rule.first, table, [&](size_t i) -> Result<void> {
      if (rated[i]) return error("rates: {} has two, {} is the second", table[i].name, rule.first);
      rated[i] = true;
      ruled.updates[i].rate = rule.second;
      return {};
    }));
  }
  if (std::find(frozen.begin(), frozen.end(), false) == frozen.end()) {
    return error("frozen: all weights are, so that nothing is left to be trained");
  }
  for (size_t i = 0; i < table.size(); ++i) {
    if (frozen[i]) ruled.frozen.push_back(table[i].name);
  }
  return ruled;
}

}  // namespace tidar
