#pragma once
// Filters (value | name) and tests (value is name).

#include <string_view>

#include "base/result.h"
#include "text/jinja/arguments.h"
#include "text/jinja/value.h"

namespace tidar::jinja {

/// Errors: no such filter, wrong arguments, a value that it does not take.
Result<Value> apply_filter(Heap& heap, std::string_view name, const Value& operand,
                           const Arguments& arguments);

Result<bool> apply_test(Heap& heap, std::string_view name, const Value& operand,
                        const Arguments& arguments);

}  // namespace tidar::jinja
