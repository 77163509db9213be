#pragma once
// How --help looks: two columns, 80 characters wide; names and values on the left, what they mean
// on the right. CLI11's own formatter repeats types and ranges in its words, and wraps by another
// rule.

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace tidar {

/// For CLI::App::formatter(); subcommands inherit it. What each function makes is a part of the
/// page.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_group(std::string group, bool positional,
                         std::vector<const CLI::Option*> options) const override;
  /// "  --name VALUE   description (required) (default: X)"
  std::string make_option(const CLI::Option* option, bool positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

/// `text` in lines of at most `width` characters, broken at blanks; all but the first begin with
/// `indent` blanks more. A word that is longer than a line stays whole, with all that follows it.
std::string wrap(std::string_view text, size_t width, size_t indent);

}  // namespace tidar
