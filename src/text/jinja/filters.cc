#include "text/jinja/filters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/methods.h"
#include "text/jinja/printing.h"
#include "text/jinja/texts.h"

namespace tidar::jinja {
namespace {

using Filter = Result<Value> (*)(Heap&, const Value& operand, const Arguments&);
using Test = Result<bool> (*)(Heap&, const Value& operand, const Arguments&);

/// A text as it is; anything else as it is printed.
Result<Value> as_text(Heap& heap, const Value& value) {
  if (value.text() != nullptr) return value;
  MarkedText printed;
  TIDAR_TRY_VOID(print(heap.budget(), value, printed));
  return heap.text(std::move(printed));
}

/// The filter that does what the method of this name does to a text.
template <const char* name>
Result<Value> method_filter(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const Value text, as_text(heap, operand));
  return call_method(heap, {text, name}, arguments);
}
constexpr char kUpper[] = "upper", kLower[] = "lower", kCapitalize[] = "capitalize",
               kStrip[] = "strip", kReplace[] = "replace";

Result<Value> headline(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("title", {}));
  TIDAR_TRY(const Value text, as_text(heap, operand));
  TIDAR_TRY_VOID(heap.budget().spend_bytes(text.text()->size()));
  return heap.text(with_case(*text.text(), Case::headline));
}

Result<Value> same(Heap& /*heap*/, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("safe", {}));
  return operand;
}

Result<Value> to_text(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("string", {}));
  return as_text(heap, operand);
}

Result<Value> to_json(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given,
            arguments.bind<4>("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  style.ascii = flag_or(given[0], false);
  style.sorted = flag_or(given[3], false);
  if (given[1] != nullptr && !given[1]->is<None>()) {
    TIDAR_TRY(style.indent, integer_or(given[1], 0, "the indent of tojson"));
  }
  if (given[2] != nullptr && !given[2]->is<None>()) {
    const List* pair = given[2]->list();
    if (pair == nullptr || pair->items.size() != 2) {
      return error("the separators of tojson are {}; expected two texts", kind_of(*given[2]));
    }
    TIDAR_TRY(style.item_separator, needed_text(&pair->items[0], "a separator of tojson"));
    TIDAR_TRY(style.key_separator, needed_text(&pair->items[1], "a separator of tojson"));
  }
  MarkedText json;
  TIDAR_TRY_VOID(print_json(heap.budget(), operand, style, json));
  return heap.text(std::move(json));
}

Result<Value> absent_value(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<2>("default", {"default_value", "boolean"}));
  const bool wanted = operand.is<Undefined>() || (flag_or(given[1], false) && !is_true(operand));
  if (!wanted) return operand;
  return given[0] != nullptr ? Result<Value>(*given[0]) : heap.text("");
}

Result<Value> length(Heap& /*heap*/, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("length", {}));
  size_t count = 0;
  if (operand.text() != nullptr) {
    count = character_count(operand.text()->bytes());
  } else if (operand.list() != nullptr) {
    count = operand.list()->items.size();
  } else if (operand.map() != nullptr) {
    count = operand.map()->entries.size();
  } else if (!operand.is<Undefined>()) {
    return error("{} has no length", kind_of(operand));
  }
  return Value(static_cast<int64_t>(count));
}

Result<Value> to_list(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("list", {}));
  TIDAR_TRY(std::vector<Value> items, items_of(heap, operand));
  return heap.list(std::move(items));
}

template <bool first>
Result<Value> end_item(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("first or last", {}));
  TIDAR_TRY(const std::vector<Value> items, items_of(heap, operand));
  if (items.empty()) return Value(Undefined{"item"});
  return first ? items.front() : items.back();
}

Result<Value> reverse(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("reverse", {}));
  TIDAR_TRY(std::vector<Value> items, items_of(heap, operand));
  std::reverse(items.begin(), items.end());
  if (operand.text() == nullptr) return heap.list(std::move(items));
  MarkedText text;
  for (const Value& character : items) text.append(*character.text());
  return heap.text(std::move(text));
}

/// What value.a.0.b is for the path "a.0.b".
Result<Value> at_path(Heap& heap, Value value, const Value& path) {
  if (path.text() == nullptr) return item_of(heap, value, path);
  const std::string_view bytes = path.text()->bytes(), dot = ".";
  for (const Span& part : split(bytes, &dot, -1)) {
    const std::string_view name = bytes.substr(part.begin, part.size());
    int64_t index = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), index);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size()) {
      TIDAR_TRY(value, item_of(heap, value, index));
      continue;
    }
    TIDAR_TRY(const Value key, heap.text(name));
    TIDAR_TRY(value, item_of(heap, value, key));
  }
  return value;
}

/// `value`, or the field `attribute` of it; a text in lower case unless case counts.
Result<Value> sort_key(Heap& heap, const Value& value, const Value* attribute,
                       bool case_sensitive) {
  Value key = value;
  if (attribute != nullptr && !attribute->is<None>()) {
    TIDAR_TRY(key, at_path(heap, value, *attribute));
  }
  if (case_sensitive || key.text() == nullptr) return key;
  TIDAR_TRY_VOID(heap.budget().spend_bytes(key.text()->size()));
  return heap.text(with_case(*key.text(), Case::lower));
}

/// Sorts items by keys of their own. Equal ones keep their order.
Result<Value> sorted(Heap& heap, std::vector<std::pair<Value, Value>> keyed, bool reversed) {
  Result<void> failed;
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    if (!failed.ok()) return false;
    const Result<int> order = reversed ? compare(heap.budget(), b.first, a.first)
                                       : compare(heap.budget(), a.first, b.first);
    if (!order.ok()) failed = order.error();
    return order.ok() && *order < 0;
  });
  TIDAR_TRY_VOID(std::move(failed));
  std::vector<Value> items;
  for (const auto& [key, item] : keyed) items.push_back(item);
  return heap.list(std::move(items));
}

Result<Value> sort(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given,
            arguments.bind<3>("sort", {"reverse", "case_sensitive", "attribute"}));
  TIDAR_TRY(const std::vector<Value> items, items_of(heap, operand));
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items) {
    TIDAR_TRY(const Value key, sort_key(heap, item, given[2], flag_or(given[1], false)));
    keyed.emplace_back(key, item);
  }
  return sorted(heap, std::move(keyed), flag_or(given[0], false));
}

Result<Value> sort_map(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<3>("dictsort", {"case_sensitive", "by", "reverse"}));
  TIDAR_TRY(const MarkedText* by, text_or_none(given[1], "what dictsort sorts by"));
  if (operand.map() == nullptr) return error("dictsort sorts maps, not {}", kind_of(operand));
  const bool by_value = by != nullptr && by->bytes() == "value";
  if (by != nullptr && !by_value && by->bytes() != "key") {
    return error("dictsort sorts by 'key' or 'value', not by '{}'", by->bytes());
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : operand.map()->entries) {
    TIDAR_TRY(const Value order,
              sort_key(heap, by_value ? value : Value(key), nullptr, flag_or(given[0], false)));
    TIDAR_TRY(const Value pair, heap.list({key, value}, true));
    keyed.emplace_back(order, pair);
  }
  return sorted(heap, std::move(keyed), flag_or(given[2], false));
}

Result<Value> unique(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<2>("unique", {"case_sensitive", "attribute"}));
  TIDAR_TRY(const std::vector<Value> items, items_of(heap, operand));
  std::vector<Value> keys, kept;
  for (const Value& item : items) {
    TIDAR_TRY(const Value key, sort_key(heap, item, given[1], flag_or(given[0], false)));
    bool known = false;
    for (size_t i = 0; i < keys.size() && !known; ++i) {
      TIDAR_TRY(known, equal(heap.budget(), keys[i], key));
    }
    if (known) continue;
    keys.push_back(key);
    kept.push_back(item);
  }
  return heap.list(std::move(kept));
}

Result<Value> join(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<2>("join", {"d", "attribute"}));
  TIDAR_TRY(const MarkedText* separator, text_or_none(given[0], "the separator of join"));
  TIDAR_TRY(const std::vector<Value> items, items_of(heap, operand));
  MarkedText joined;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0 && separator != nullptr) {
      TIDAR_TRY_VOID(print(heap.budget(), separator, joined));
    }
    Value item = items[i];
    if (given[1] != nullptr && !given[1]->is<None>()) {
      TIDAR_TRY(item, at_path(heap, item, *given[1]));
    }
    TIDAR_TRY_VOID(print(heap.budget(), item, joined));
  }
  return heap.text(std::move(joined));
}

Result<Value> indent(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<3>("indent", {"width", "first", "blank"}));
  const MarkedText* own = given[0] == nullptr ? nullptr : given[0]->text();
  int64_t width = 4;
  if (own == nullptr) {
    TIDAR_TRY(width, integer_or(given[0], 4, "the width of indent"));
  }
  TIDAR_TRY_VOID(heap.budget().spend_bytes(static_cast<size_t>(std::max<int64_t>(width, 0))));
  const MarkedText spaces(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '),
                          Origin::author);
  const MarkedText& indentation = own != nullptr ? *own : spaces;
  TIDAR_TRY(const Value value, as_text(heap, operand));
  const MarkedText& text = *value.text();
  TIDAR_TRY_VOID(heap.budget().spend_bytes(text.size() + 1, sizeof(Span)));
  std::vector<Span> lines = split_lines(text.bytes() + "\n");
  MarkedText indented;
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool wanted =
        i == 0 ? flag_or(given[1], false) : flag_or(given[2], false) || lines[i].size() > 0;
    if (i > 0) indented.append("\n", text.origin(lines[i].begin - 1));
    if (wanted) {
      TIDAR_TRY_VOID(heap.budget().spend_bytes(indentation.size()));
      indented.append(indentation);
    }
    indented.append(text, lines[i]);
  }
  return heap.text(std::move(indented));
}

/// The number that a text is from its first to its last character, white space apart.
template <class T>
bool parse(std::string_view text, T& value) {
  const Span kept = stripped(text, Ends::both);
  const char* begin = text.data() + kept.begin;
  const char* end = text.data() + kept.end;
  if (begin != end && *begin == '+') ++begin;
  const auto parsed = std::from_chars(begin, end, value);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

bool fits_integer(double value) { return std::fabs(value) < 9.2e18; }

Result<Value> to_integer(Heap& /*heap*/, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("int", {"default"}));
  const Value absent = given[0] != nullptr ? *given[0] : Value(int64_t{0});
  if (operand.integer() != nullptr) return operand;
  int64_t integer = 0;
  double fraction = 0;
  if (operand.text() != nullptr && parse(operand.text()->bytes(), integer)) return Value(integer);
  if (is_number(operand)) {
    fraction = number_of(operand);
  } else if (operand.text() == nullptr || !parse(operand.text()->bytes(), fraction)) {
    return absent;
  }
  return fits_integer(fraction) ? Value(static_cast<int64_t>(fraction)) : absent;
}

Result<Value> to_fraction(Heap& /*heap*/, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("float", {"default"}));
  if (is_number(operand)) return Value(number_of(operand));
  double value = 0;
  if (operand.text() != nullptr && parse(operand.text()->bytes(), value)) return Value(value);
  return given[0] != nullptr ? *given[0] : Value(0.0);
}

Result<Value> absolute(Heap& /*heap*/, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("abs", {}));
  if (!is_number(operand)) return error("abs takes a number, not {}", kind_of(operand));
  if (operand.is<double>()) return Value(std::fabs(number_of(operand)));
  if (operand.is<bool>()) return Value(static_cast<int64_t>(is_true(operand)));
  const int64_t value = *operand.integer();
  if (value == std::numeric_limits<int64_t>::min()) return error("abs makes too large a number");
  return Value(value < 0 ? -value : value);
}

Result<Value> pairs(Heap& heap, const Value& operand, const Arguments& arguments) {
  if (operand.is<Undefined>()) return heap.list({});
  if (operand.map() == nullptr) return error("items takes a map, not {}", kind_of(operand));
  return call_method(heap, {operand, "items"}, arguments);
}

/// The arguments behind the first `count`, which name something else.
Arguments rest_of(const Arguments& arguments, size_t count) {
  Arguments rest = arguments;
  const size_t given = std::min(count, rest.positional.size());
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<ptrdiff_t>(given));
  return rest;
}

/// select, reject, selectattr and rejectattr.
template <bool wanted, bool by_field>
Result<Value> choose(Heap& heap, const Value& operand, const Arguments& arguments) {
  constexpr size_t kTestAt = by_field ? 1 : 0;
  if (arguments.positional.size() < kTestAt) return error("selectattr is not told a field");
  const bool tested = arguments.positional.size() > kTestAt;
  const MarkedText* test = nullptr;
  if (tested) {
    TIDAR_TRY(test, needed_text(&arguments.positional[kTestAt], "the name of the test"));
  }
  const Arguments rest = rest_of(arguments, kTestAt + 1);
  TIDAR_TRY(const std::vector<Value> items, items_of(heap, operand));
  std::vector<Value> chosen;
  for (const Value& item : items) {
    Value value = item;
    if (by_field) {
      TIDAR_TRY(value, at_path(heap, item, arguments.positional[0]));
    }
    bool passes = is_true(value);
    if (tested) {
      TIDAR_TRY(passes, apply_test(heap, test->bytes(), value, rest));
    }
    if (passes == wanted) chosen.push_back(item);
  }
  return heap.list(std::move(chosen));
}

Result<Value> map_items(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const std::vector<Value> items, items_of(heap, operand));
  std::vector<Value> mapped;
  if (arguments.positional.empty()) {
    TIDAR_TRY(const auto given, arguments.bind<2>("map", {"attribute", "default"}));
    if (given[0] == nullptr) return error("map is told neither a filter nor an attribute");
    for (const Value& item : items) {
      TIDAR_TRY(const Value value, at_path(heap, item, *given[0]));
      mapped.push_back(value.is<Undefined>() && given[1] != nullptr ? *given[1] : value);
    }
    return heap.list(std::move(mapped));
  }
  TIDAR_TRY(const MarkedText* filter, needed_text(arguments.positional.data(), "a filter's name"));
  const Arguments rest = rest_of(arguments, 1);
  for (const Value& item : items) {
    TIDAR_TRY(const Value value, apply_filter(heap, filter->bytes(), item, rest));
    mapped.push_back(value);
  }
  return heap.list(std::move(mapped));
}

constexpr std::pair<std::string_view, Filter> kFilters[] = {
    {"abs", absolute},
    {"capitalize", method_filter<kCapitalize>},
    {"count", length},
    {"d", absent_value},
    {"default", absent_value},
    {"dictsort", sort_map},
    {"first", end_item<true>},
    {"float", to_fraction},
    {"indent", indent},
    {"int", to_integer},
    {"items", pairs},
    {"join", join},
    {"last", end_item<false>},
    {"length", length},
    {"list", to_list},
    {"lower", method_filter<kLower>},
    {"map", map_items},
    {"reject", choose<false, false>},
    {"rejectattr", choose<false, true>},
    {"replace", method_filter<kReplace>},
    {"reverse", reverse},
    {"safe", same},
    {"select", choose<true, false>},
    {"selectattr", choose<true, true>},
    {"sort", sort},
    {"string", to_text},
    {"title", headline},
    {"tojson", to_json},
    {"trim", method_filter<kStrip>},
    {"unique", unique},
    {"upper", method_filter<kUpper>},
};

// Tests.

template <class... Ts>
Result<bool> is_one_of(Heap& /*heap*/, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("the test", {}));
  return (operand.is<Ts>() || ...);
}

Result<bool> is_defined(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const bool undefined, is_one_of<Undefined>(heap, operand, arguments));
  return !undefined;
}

template <bool wanted>
Result<bool> is_flag(Heap& /*heap*/, const Value& operand, const Arguments& /*arguments*/) {
  return operand.is<bool>() && is_true(operand) == wanted;
}

/// Whether the operand, divided by `divisor`, leaves `remainder`.
Result<bool> leaves(const Value& operand, int64_t divisor, bool something) {
  int64_t value = 0;
  if (operand.is<bool>()) {
    value = is_true(operand);
  } else if (operand.integer() != nullptr) {
    value = *operand.integer();
  } else {
    return error("{} is not divided; expected a whole number", kind_of(operand));
  }
  const bool rest = divisor != -1 && value % divisor != 0;
  return rest == something;
}

Result<bool> is_odd(Heap& /*heap*/, const Value& operand, const Arguments& /*arguments*/) {
  return leaves(operand, 2, true);
}
Result<bool> is_even(Heap& /*heap*/, const Value& operand, const Arguments& /*arguments*/) {
  return leaves(operand, 2, false);
}
Result<bool> is_divisible(Heap& /*heap*/, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("divisibleby", {"num"}));
  TIDAR_TRY(const int64_t divisor, integer_or(given[0], 0, "the divisor"));
  if (divisor == 0) return error("divisibleby is not told by what, or by 0");
  return leaves(operand, divisor, false);
}

/// Whether a text has letters that have a case, and all of them this one.
template <Case wanted>
Result<bool> has_case(Heap& heap, const Value& operand, const Arguments& /*arguments*/) {
  TIDAR_TRY(const Value text, as_text(heap, operand));
  TIDAR_TRY_VOID(heap.budget().spend_bytes(2, text.text()->size()));
  const std::string lower = with_case(*text.text(), Case::lower).bytes();
  const std::string upper = with_case(*text.text(), Case::upper).bytes();
  return lower != upper && text.text()->bytes() == (wanted == Case::lower ? lower : upper);
}

Result<Value> compared_with(const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("the test", {"other"}));
  if (given[0] == nullptr) return error("the test is not told what to compare with");
  return *given[0];
}

template <bool wanted>
Result<bool> is_equal(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const Value other, compared_with(arguments));
  TIDAR_TRY(const bool same, equal(heap.budget(), operand, other));
  return same == wanted;
}

/// Whether the order of the operand and the argument is -1, 0 or 1, or, `orequal`, also 0.
template <int wanted, bool or_equal>
Result<bool> is_ordered(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const Value other, compared_with(arguments));
  TIDAR_TRY(const int order, compare(heap.budget(), operand, other));
  return wanted * order > 0 || (or_equal && order == 0);
}

Result<bool> is_in(Heap& heap, const Value& operand, const Arguments& arguments) {
  TIDAR_TRY(const Value other, compared_with(arguments));
  return contains(heap, other, operand);
}

constexpr std::pair<std::string_view, Test> kTests[] = {
    {"!=", is_equal<false>},
    {"<", is_ordered<-1, false>},
    {"<=", is_ordered<-1, true>},
    {"==", is_equal<true>},
    {">", is_ordered<1, false>},
    {">=", is_ordered<1, true>},
    {"boolean", is_one_of<bool>},
    {"callable", is_one_of<const Callable*>},
    {"defined", is_defined},
    {"divisibleby", is_divisible},
    {"eq", is_equal<true>},
    {"equalto", is_equal<true>},
    {"even", is_even},
    {"false", is_flag<false>},
    {"float", is_one_of<double>},
    {"ge", is_ordered<1, true>},
    {"greaterthan", is_ordered<1, false>},
    {"gt", is_ordered<1, false>},
    {"in", is_in},
    {"integer", is_one_of<int64_t>},
    {"iterable", is_one_of<const MarkedText*, const List*, const Map*, Undefined>},
    {"le", is_ordered<-1, true>},
    {"lessthan", is_ordered<-1, false>},
    {"lower", has_case<Case::lower>},
    {"lt", is_ordered<-1, false>},
    {"mapping", is_one_of<const Map*>},
    {"ne", is_equal<false>},
    {"none", is_one_of<None>},
    {"number", is_one_of<bool, int64_t, double>},
    {"odd", is_odd},
    {"sequence", is_one_of<const MarkedText*, const List*, const Map*, Undefined>},
    {"string", is_one_of<const MarkedText*>},
    {"true", is_flag<true>},
    {"undefined", is_one_of<Undefined>},
    {"upper", has_case<Case::upper>},
};

}  // namespace

Result<Value> apply_filter(Heap& heap, std::string_view name, const Value& operand,
                           const Arguments& arguments) {
  TIDAR_TRY_VOID(heap.budget().spend_steps(1));
  for (const auto& [known, filter] : kFilters) {
    if (known == name) return filter(heap, operand, arguments);
  }
  return error("there is no filter '{}'", name);
}

Result<bool> apply_test(Heap& heap, std::string_view name, const Value& operand,
                        const Arguments& arguments) {
  TIDAR_TRY_VOID(heap.budget().spend_steps(1));
  for (const auto& [known, test] : kTests) {
    if (known == name) return test(heap, operand, arguments);
  }
  return error("there is no test '{}'", name);
}

}  // namespace tidar::jinja
