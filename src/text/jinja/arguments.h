#pragma once
// The arguments of a call, a filter or a test.

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja/value.h"

namespace tidar::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;

  /// The arguments by the names of their parameters: nullptr for one that is not given. Errors:
  /// more than there are, unknown, or given twice; they name `callee`.
  template <size_t N>
  Result<std::array<const Value*, N>> bind(std::string_view callee,
                                           const std::array<std::string_view, N>& names) const {
    std::array<const Value*, N> bound{};
    if (positional.size() > N) return error("{} takes at most {} arguments", callee, N);
    for (size_t i = 0; i < positional.size(); ++i) bound[i] = &positional[i];
    for (const auto& [name, value] : named) {
      size_t at = 0;
      while (at < N && names[at] != name) ++at;
      if (at == N) return error("{} takes no argument '{}'", callee, name);
      if (bound[at] != nullptr) return error("{} is given '{}' twice", callee, name);
      bound[at] = &value;
    }
    return bound;
  }
};

// Values of optional arguments, with a sentence for others.
Result<int64_t> integer_or(const Value* value, int64_t absent, std::string_view what);
/// Any value is true or not.
bool flag_or(const Value* value, bool absent);
/// nullptr when absent or none.
Result<const MarkedText*> text_or_none(const Value* value, std::string_view what);
/// A text that must be given.
Result<const MarkedText*> needed_text(const Value* value, std::string_view what);

}  // namespace tidar::jinja
