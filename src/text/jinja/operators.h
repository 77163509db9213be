#pragma once
// What operators do to values, as in Python.

#include <array>

#include "base/result.h"
#include "text/jinja/syntax.h"
#include "text/jinja/value.h"

namespace tidar::jinja {

/// The arithmetic operators, and ~. Errors: values that do not go together, numbers too large.
Result<Value> calculate(Heap& heap, Operator op, const Value& left, const Value& right);

/// The operators that are true or false.
Result<bool> compares(Heap& heap, Operator op, const Value& left, const Value& right);

Result<Value> negated(const Value& operand);

/// object[from:to:step] of a list or a text; bounds that are none are those of Python.
Result<Value> slice(Heap& heap, const Value& object, const std::array<Value, 3>& bounds);

}  // namespace tidar::jinja
