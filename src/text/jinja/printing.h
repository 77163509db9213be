#pragma once
// Values as text: as they are printed, and as JSON.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "text/jinja/value.h"

namespace tidar::jinja {

/// How tojson writes, by the arguments of Python's json.dumps.
struct JsonStyle {
  std::optional<int64_t> indent;
  const MarkedText* item_separator = nullptr;  // nullptr: ", ", or "," where lines are indented
  const MarkedText* key_separator = nullptr;   // nullptr: ": "
  bool ascii = false;
  bool sorted = false;
};

/// A fraction as Python prints it: the fewest digits that say it, 1.0, 1e+16.
std::string fraction_text(double value);

/// Appends what {{ value }} prints: texts as they are, True, None, lists as in Python.
Result<void> print(Budget& budget, const Value& value, MarkedText& out);

/// Appends `value` as JSON. Errors: what JSON has no word for.
Result<void> print_json(Budget& budget, const Value& value, const JsonStyle& style,
                        MarkedText& out);

}  // namespace tidar::jinja
