#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/arguments.h"
#include "text/jinja/printing.h"
#include "text/jinja/texts.h"

namespace tidar::jinja {
namespace {

std::string_view symbol_of(Operator op) {
  constexpr std::array<std::string_view, 16> kSymbols = {
      "+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kSymbols[static_cast<size_t>(op)];
}

Error do_not_go(Operator op, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (const auto* undefined = std::get_if<Undefined>(&value->data())) {
      return error("'{}' is not defined; '{}' needs a value", undefined->name, symbol_of(op));
    }
  }
  return error("'{}' does not take {} and {}", symbol_of(op), kind_of(left), kind_of(right));
}

int64_t whole(const Value& value) {
  return value.is<bool>() ? static_cast<int64_t>(is_true(value)) : *value.integer();
}

Result<Value> divided(Operator op, int64_t left, int64_t right) {
  if (right == 0) return error("'{}' divides by 0", symbol_of(op));
  if (right == -1) {
    if (left == std::numeric_limits<int64_t>::min()) return error("a number is too large");
    return Value(op == Operator::modulo ? 0 : -left);
  }
  const int64_t rest = left % right;
  const bool rounds = rest != 0 && (rest < 0) != (right < 0);
  if (op == Operator::modulo) return Value(rounds ? rest + right : rest);
  return Value(left / right - static_cast<int64_t>(rounds));
}

Result<Value> power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return error("0 has no negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  bool overflow = false;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) overflow = __builtin_mul_overflow(result, base, &result) || overflow;
    if (exponent > 1) overflow = __builtin_mul_overflow(base, base, &base) || overflow;
  }
  if (overflow) return error("a number is too large");
  return Value(result);
}

Result<Value> calculate_whole(Operator op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Operator::add:
      overflow = __builtin_add_overflow(left, right, &result);
      break;
    case Operator::subtract:
      overflow = __builtin_sub_overflow(left, right, &result);
      break;
    case Operator::multiply:
      overflow = __builtin_mul_overflow(left, right, &result);
      break;
    case Operator::power:
      return power(left, right);
    default:
      return divided(op, left, right);
  }
  if (overflow) return error("a number is too large");
  return Value(result);
}

Result<Value> calculate_fraction(Operator op, double left, double right) {
  const bool divides =
      op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo;
  if (divides && right == 0) return error("'{}' divides by 0", symbol_of(op));
  switch (op) {
    case Operator::add:
      return Value(left + right);
    case Operator::subtract:
      return Value(left - right);
    case Operator::multiply:
      return Value(left * right);
    case Operator::divide:
      return Value(left / right);
    case Operator::floor_divide:
      return Value(std::floor(left / right));
    case Operator::modulo: {
      const double rest = std::fmod(left, right);
      return Value(rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest);
    }
    default:
      return Value(std::pow(left, right));
  }
}

Result<Value> repeated(Heap& heap, const Value& value, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  if (const MarkedText* text = value.text()) {
    TIDAR_TRY_VOID(heap.budget().spend_bytes(times, text->size() + 1));
    MarkedText result;
    for (size_t i = 0; i < times; ++i) result.append(*text);
    return heap.text(std::move(result));
  }
  const List& list = *value.list();
  TIDAR_TRY_VOID(heap.budget().spend_bytes(times, list.items.size() * sizeof(Value) + 1));
  std::vector<Value> items;
  for (size_t i = 0; i < times; ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return heap.list(std::move(items), list.tuple);
}

Result<Value> joined(Heap& heap, const Value& left, const Value& right) {
  MarkedText text;
  TIDAR_TRY_VOID(print(heap.budget(), left, text));
  TIDAR_TRY_VOID(print(heap.budget(), right, text));
  return heap.text(std::move(text));
}

Result<Value> added_lists(Heap& heap, const List& left, const List& right) {
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return heap.list(std::move(items), left.tuple);
}

/// The places of a slice, as Python counts them.
Result<std::vector<size_t>> places(Heap& heap, size_t count, const std::array<Value, 3>& bounds) {
  const auto size = static_cast<int64_t>(count);
  const auto part = [&](size_t i, int64_t absent) {
    return integer_or(bounds[i].is<None>() ? nullptr : &bounds[i], absent, "a bound of a slice");
  };
  TIDAR_TRY(const int64_t step, part(2, 1));
  if (step == 0) return error("a slice cannot go in steps of 0");
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto clamped = [&](int64_t bound) {
    return std::clamp(bound < 0 ? bound + size : bound, low, high);
  };
  std::array<int64_t, 2> ends = {step > 0 ? low : high, step > 0 ? high : low};
  for (size_t i = 0; i < ends.size(); ++i) {
    if (bounds[i].is<None>()) continue;
    TIDAR_TRY(const int64_t bound, part(i, 0));
    ends[i] = clamped(bound);
  }
  std::vector<size_t> found;
  TIDAR_TRY_VOID(heap.budget().spend_bytes(count, sizeof(size_t)));
  for (int64_t i = ends[0]; step > 0 ? i < ends[1] : i > ends[1];) {
    found.push_back(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return found;
}

}  // namespace

Result<Value> calculate(Heap& heap, Operator op, const Value& left, const Value& right) {
  if (op == Operator::join) return joined(heap, left, right);
  if (is_number(left) && is_number(right)) {
    if (left.is<double>() || right.is<double>() || op == Operator::divide) {
      return calculate_fraction(op, number_of(left), number_of(right));
    }
    return calculate_whole(op, whole(left), whole(right));
  }
  if (op == Operator::add) {
    if (left.text() != nullptr && right.text() != nullptr) return joined(heap, left, right);
    if (left.list() != nullptr && right.list() != nullptr &&
        left.list()->tuple == right.list()->tuple) {
      return added_lists(heap, *left.list(), *right.list());
    }
  }
  if (op == Operator::multiply) {
    const auto repeats = [](const Value& value, const Value& count) {
      return (value.text() != nullptr || value.list() != nullptr) &&
             (count.is<bool>() || count.integer() != nullptr);
    };
    if (repeats(left, right)) return repeated(heap, left, whole(right));
    if (repeats(right, left)) return repeated(heap, right, whole(left));
  }
  return do_not_go(op, left, right);
}

Result<bool> compares(Heap& heap, Operator op, const Value& left, const Value& right) {
  if (op == Operator::equal || op == Operator::unequal) {
    TIDAR_TRY(const bool same, equal(heap.budget(), left, right));
    return same == (op == Operator::equal);
  }
  if (op == Operator::in || op == Operator::not_in) {
    TIDAR_TRY(const bool found, contains(heap, right, left));
    return found == (op == Operator::in);
  }
  if (left.is<Undefined>() || right.is<Undefined>()) return do_not_go(op, left, right);
  TIDAR_TRY(const int order, compare(heap.budget(), left, right));
  switch (op) {
    case Operator::less:
      return order < 0;
    case Operator::less_equal:
      return order <= 0;
    case Operator::greater:
      return order > 0;
    default:
      return order >= 0;
  }
}

Result<Value> negated(const Value& operand) {
  if (!is_number(operand)) return error("{} has no negative", kind_of(operand));
  if (operand.is<double>()) return Value(-number_of(operand));
  if (whole(operand) == std::numeric_limits<int64_t>::min()) return error("a number is too large");
  return Value(-whole(operand));
}

Result<Value> slice(Heap& heap, const Value& object, const std::array<Value, 3>& bounds) {
  if (const List* list = object.list()) {
    TIDAR_TRY(const auto kept, places(heap, list->items.size(), bounds));
    std::vector<Value> items;
    for (size_t place : kept) items.push_back(list->items[place]);
    return heap.list(std::move(items), list->tuple);
  }
  const MarkedText* text = object.text();
  if (text == nullptr) return error("{} has no slices", kind_of(object));
  const size_t count = character_count(text->bytes());
  TIDAR_TRY(const auto kept, places(heap, count, bounds));
  TIDAR_TRY_VOID(heap.budget().spend_bytes(count, sizeof(Span)));
  const std::vector<Span> characters = characters_of(text->bytes());
  MarkedText part;
  for (size_t place : kept) part.append(*text, characters[place]);
  return heap.text(std::move(part));
}

}  // namespace tidar::jinja
