#include "apps/help.h"

#include <algorithm>

namespace tidar {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kColumn = 26;  // where descriptions begin

std::string entry(const std::string& name, const std::string& description) {
  std::string line = "  " + name;
  // A name that reaches into the second column has a line of its own.
  line += line.size() + 2 <= kColumn ? std::string(kColumn - line.size(), ' ')
                                     : "\n" + std::string(kColumn, ' ');
  return line + wrap(description, kWidth - kColumn, kColumn) + "\n";
}

/// " N", " f32|bf16", "" for a flag: what the parser calls "N:INT in [0 - 9]", ":{f32,bf16}", "".
std::string value_name(const CLI::Option& option) {
  if (option.get_type_size() == 0) return "";
  if (!option.get_option_text().empty()) return " " + option.get_option_text();
  const std::string type = option.get_type_name();
  if (!type.starts_with(":{")) return " " + type.substr(0, type.find(':'));
  std::string choices = type.substr(2, type.find('}') - 2);
  std::replace(choices.begin(), choices.end(), ',', '|');
  return " " + choices;
}

}  // namespace

std::string wrap(std::string_view text, size_t width, size_t indent) {
  std::string wrapped;
  while (text.size() > width) {
    const size_t blank = text.find_last_of(' ', width);
    if (blank == std::string_view::npos || blank == 0) break;
    wrapped += text.substr(0, blank);
    wrapped += "\n" + std::string(indent, ' ');
    text.remove_prefix(blank + 1);
  }
  return wrapped += text;
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  return wrap(app->get_description(), kWidth, 0) + "\n\n";
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  const bool has_commands = !app->get_subcommands(nullptr).empty();
  return "Usage: " + name + (has_commands ? " SUBCOMMAND" : "") + " [FLAGS]\n\n";
}

std::string HelpFormatter::make_group(std::string group, bool positional,
                                      std::vector<const CLI::Option*> options) const {
  std::string text = group + ":\n";
  for (const CLI::Option* option : options) text += make_option(option, positional);
  return text;
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool positional) const {
  std::string description = option->get_description();
  const std::string& by_default = option->get_default_str();
  if (option->get_required()) description += " (required)";
  if (!by_default.empty()) description += " (default: " + by_default + ")";
  return entry(make_option_name(option, positional) + value_name(*option), description);
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return entry(command->get_name(), command->get_description());
}

}  // namespace tidar
