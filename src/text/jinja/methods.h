#pragma once
// Methods of texts, maps and loops: 'a b'.split(), tool.items(), loop.cycle(…).

#include <string_view>

#include "base/result.h"
#include "text/jinja/arguments.h"
#include "text/jinja/value.h"

namespace tidar::jinja {

bool has_method(const Value& self, std::string_view name);

/// `method` must be one that its value has.
Result<Value> call_method(Heap& heap, const Method& method, const Arguments& arguments);

}  // namespace tidar::jinja
