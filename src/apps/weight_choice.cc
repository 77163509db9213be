#include "apps/weight_choice.h"

#include <algorithm>

#include "apps/ranges.h"
#include "format/files.h"

namespace tidar {
namespace {

std::string formats_there_are() {
  std::vector<std::string_view> names;
  for (const WeightFormatFacts& facts : kWeightFormats) names.push_back(facts.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<WeightFormat> parse_format(std::string_view name) {
  const auto format = weight_format_named(name);
  if (format) return *format;
  return error("{} is no format of weights; there are {}", in_quotes(name), formats_there_are());
}

/// "head=w8"
Result<std::pair<PackedRole, WeightFormat>> parse_other(std::string_view text) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const auto role = packed_role_named(name);
  if (!role) {
    return error("{} is no role of weights; there are {}", in_quotes(name),
                 fmt::join(kPackedRoles, ", "));
  }
  TIDAR_TRY(const WeightFormat format, parse_format(text.substr(equals + 1)));
  return std::pair(*role, format);
}

}  // namespace

void add_weights_flag(CLI::App& command, WeightChoice& choice, const std::string& help) {
  command
      .add_option_function<std::string>(
          "--weights",
          [&choice](const std::string& text) { choice = parse_weight_choice(text).value(); },
          fmt::format("{}. Roles: {}", help, fmt::join(kPackedRoles, ", ")))
      ->check(parsed_by(parse_weight_choice))
      ->type_name("");
}

Result<WeightChoice> parse_weight_choice(std::string_view text) {
  WeightChoice choice;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    if (part.find('=') == std::string_view::npos) {
      TIDAR_TRY(const WeightFormat format, parse_format(part));
      if (begin > 0) {
        return error(
            "{} stands behind a comma; expected a format for all weights first, then "
            "role=format for others, as in w4,head=w8",
            in_quotes(part));
      }
      choice.all = format;
    } else {
      TIDAR_TRY(const auto other, parse_other(part));
      const bool again = std::any_of(choice.others.begin(), choice.others.end(),
                                     [&](const auto& one) { return one.first == other.first; });
      if (again) return error("the role {} is given twice", name_of(other.first));
      choice.others.push_back(other);
    }
    begin = end + 1;
  }
  return choice;
}

Result<WeightFormats> chosen_formats(const WeightChoice& choice, const ModelConfig& config,
                                     WeightFormats stored) {
  WeightFormats formats = choice.all ? WeightFormats(*choice.all) : std::move(stored);
  std::optional<WeightFormat> tied;
  for (const auto& [role, format] : choice.others) {
    const bool is_tied = config.head == HeadWeight::tied &&
                         (role == PackedRole::embedding || role == PackedRole::head);
    if (is_tied && tied && *tied != format) {
      return error(
          "--weights: this model's embedding and head are one weight, which cannot be {} and {}; "
          "name one format for it",
          name_of(*tied), name_of(format));
    }
    if (is_tied) tied = format;
    formats.set(is_tied ? PackedRole::embedding : role, format);
  }
  return formats;
}

}  // namespace tidar
