#pragma once
// The regular expressions of tokenizer.json files. They are written for the library Oniguruma and
// carried out here by PCRE2, which reads a few things otherwise; those are translated or refused.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "text/span.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace tidar {

/// A compiled pattern. Immutable: may be used from several threads at once, each with a Matcher of
/// its own.
class Regex {
 public:
  /// Compiles a pattern in Oniguruma's syntax. Supported: literals, classes without nesting, \s \S
  /// \d \D \w \W, \p{…} with general categories, scripts and a few properties, groups (?: (?i: (?>
  /// and look-around, repeats, alternatives, ^ and $ (at lines). All else is an Error that names
  /// it. Character properties are those of Unicode 14.
  static Result<Regex> compile(std::string_view pattern);
  /// Matches exactly `text`.
  static Result<Regex> literal(std::string_view text);

 private:
  friend class Matcher;
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  static Result<Regex> build(std::string_view pattern, uint32_t options);

  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

/// The memory that matching needs. For one thread at a time.
class Matcher {
 public:
  Matcher();

  /// Finds the first match in `text` that begins at `from` or later; `text` must be UTF-8, and what
  /// lies before `from` is seen by look-behind. A pattern that goes astray (ten million steps of
  /// backtracking or 64 MiB for them at one place) counts as one that matches nothing more.
  bool find(const Regex& regex, std::string_view text, size_t from, Span& match);

 private:
  struct Free {
    void operator()(pcre2_real_match_data_8* data) const;
    void operator()(pcre2_real_match_context_8* context) const;
  };
  std::unique_ptr<pcre2_real_match_data_8, Free> data_;
  std::unique_ptr<pcre2_real_match_context_8, Free> context_;
};

}  // namespace tidar
