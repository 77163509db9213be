#pragma once
// What --weights says: a format for all weights of products, and other formats for some roles.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "net/weight_formats.h"

namespace tidar {

/// "w4", "w4,head=w8", or "head=w8" alone.
struct WeightChoice {
  std::optional<WeightFormat> all;                          ///< none: as they are stored
  std::vector<std::pair<PackedRole, WeightFormat>> others;  ///< each role once

  bool is_default() const { return !all && others.empty(); }
};

/// Adds --weights; `help` is what it says before it lists the roles. `choice` must outlive the
/// parsing.
void add_weights_flag(CLI::App& command, WeightChoice& choice, const std::string& help);

/// Errors name what is wrong and list what there is, but not the flag.
Result<WeightChoice> parse_weight_choice(std::string_view text);

/// What each weight of this model is packed in; `stored` is how, where the choice does not say. A
/// tied embedding and head are one weight: what is said of one is said of both, and two different
/// formats are an Error.
Result<WeightFormats> chosen_formats(const WeightChoice& choice, const ModelConfig& config,
                                     WeightFormats stored);

}  // namespace tidar
