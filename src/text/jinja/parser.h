#pragma once
// Reads a template into its syntax tree: the part of Jinja that chat templates are written in.
// Supported: {{ }}, if, for (with a condition, else, break, continue), set, macro, call, filter,
// generation, all operators, filters and tests with arguments. Not supported, and an Error: raw,
// with, include, import, extends, block, recursive loops.

#include <string_view>

#include "base/result.h"
#include "text/jinja/syntax.h"

namespace tidar::jinja {

/// `source` must be UTF-8. Errors begin with "line N: ".
Result<Syntax> parse(std::string_view source);

}  // namespace tidar::jinja
