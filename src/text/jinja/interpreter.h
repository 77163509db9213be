#pragma once
// Carries out a template.

#include <ctime>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "text/jinja/syntax.h"
#include "text/jinja/value.h"

namespace tidar::jinja {

/// Renders `syntax` with the names of `globals`, and with range, namespace, dict, raise_exception
/// and, if there is a `now` (local time), strftime_now. All texts that it makes belong to `heap`,
/// whose limits hold. Errors begin with "line N: ", but for what the template itself raises.
Result<MarkedText> render(const Syntax& syntax, Heap& heap, Scope& globals,
                          const std::optional<std::tm>& now);

}  // namespace tidar::jinja
