#pragma once
// Which weights are trained, and how: told by patterns of their names, such as "*embed*" or
// "model.layers.0.*", in which '*' stands for any text, also for none.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/weights.h"
#include "train/optimizer.h"

namespace tidar {

struct ParameterRules {
  std::vector<std::string> frozen{};      ///< these stay as they are
  std::vector<std::string> no_decay{};    ///< these have no weight decay; vectors never have
  std::map<std::string, double> rates{};  ///< factors of the learning rate, by pattern
};

/// Whether the whole name is what the pattern says.
bool fits_pattern(std::string_view name, std::string_view pattern);

/// What the rules come to.
struct RuledParameters {
  std::vector<std::string> frozen;       ///< names
  std::vector<ParameterUpdate> updates;  ///< one for each weight of the table
};

/// Where the table has tensors of an adapter, they alone are trained: all others are frozen,
/// whatever the rules say. An Error: a pattern that fits no weight, a weight with two rates, and
/// where nothing is left to be trained.
Result<RuledParameters> apply_rules(const ParameterRules& rules, std::span<const WeightSpec> table);

}  // namespace tidar
