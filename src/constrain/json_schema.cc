#include "constrain/json_schema.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "constrain/expression.h"
#include "constrain/json_text.h"

namespace tidar {
namespace {

/// More parts of an array or characters of a string than fit any grammar.
constexpr int kMostCount = 100'000;

/// The days of a year as RFC 3339 has them, each month with its own.
constexpr std::string_view kDate =
    "(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|"
    "02-(?:0[1-9]|1\\d|2[0-8]))|"
    "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)";
constexpr std::string_view kTime =
    "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
constexpr std::string_view kByte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
constexpr std::string_view kLabel = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

/// What "format" may say, as expressions; "" for others.
std::string expression_of_format(std::string_view format) {
  if (format == "date") return std::string(kDate);
  if (format == "time") return std::string(kTime);
  if (format == "date-time") return fmt::format("{}T{}", kDate, kTime);
  if (format == "uuid") return "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
  if (format == "ipv4") return fmt::format("{0}\\.{0}\\.{0}\\.{0}", kByte);
  if (format == "hostname") return fmt::format("{0}(?:\\.{0}){{0,3}}", kLabel);
  if (format == "email") {
    return fmt::format(
        "[A-Za-z0-9_+-]{{1,32}}(?:\\.[A-Za-z0-9_+-]{{1,32}}){{0,3}}@{0}(?:\\.{0}){{1,3}}", kLabel);
  }
  return "";
}
constexpr std::string_view kFormats = "date-time, date, time, uuid, ipv4, hostname or email";

constexpr std::array<std::string_view, 7> kTypes = {"object",  "array",   "string", "number",
                                                    "integer", "boolean", "null"};
constexpr std::array<std::string_view, 12> kDescribing = {
    "title", "description", "default",  "examples",  "deprecated", "readOnly",
    "$id",   "$schema",     "$comment", "writeOnly", "$defs",      "definitions"};

bool is_of_type(const OrderedJson& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "number") return value.is_number();
  if (type == "integer") return value.is_number_integer();
  if (type == "boolean") return value.is_boolean();
  return value.is_null();
}

/// The beginning of a value, for errors.
std::string to_shown(const OrderedJson& value) {
  constexpr size_t kShown = 60;
  std::string text = value.dump(-1, ' ', true, OrderedJson::error_handler_t::replace);
  if (text.size() > kShown) text.replace(kShown, std::string::npos, "…");
  return text;
}

/// Where in a schema something stands: "#/properties/a".
std::string within(std::string_view place, std::string_view key) {
  std::string path(place);
  path += '/';
  for (const char c : key) path += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return path;
}

class SchemaReader {
 public:
  explicit SchemaReader(const OrderedJson& root) : root_(root) {}

  Result<Grammar> read() {
    grammar_.end_rule(add(root_, "#", grammar_.begin_of(0)));
    // Rules are added while rules are read.
    for (size_t i = 0; i < unread_.size() && !wrong_; ++i) {
      const auto [rule, schema, place] = unread_[i];
      grammar_.end_rule(add(*schema, place, grammar_.begin_of(rule)));
    }
    if (wrong_) return *wrong_;
    auto grammar = grammar_.finish();
    if (!grammar.ok()) return error("the schema is {}", grammar.error().message);
    return grammar;
  }

 private:
  // Each adds what it is told and returns the node behind it; after something was wrong, any node.

  NodeId add(const OrderedJson& schema, const std::string& place, NodeId from);
  NodeId add_type(const OrderedJson& schema, const std::string& place, std::string_view type,
                  NodeId from);
  NodeId add_given(const OrderedJson& schema, const std::string& place, NodeId from);
  NodeId add_any_of(const OrderedJson& schema, const std::string& place, NodeId from);
  NodeId add_object(const OrderedJson& schema, const std::string& place, NodeId from);
  NodeId add_properties(const OrderedJson& properties, const OrderedJson* required,
                        const std::string& place, NodeId from);
  NodeId add_array(const OrderedJson& schema, const std::string& place, NodeId from);
  NodeId add_string(const OrderedJson& schema, const std::string& place, NodeId from);
  NodeId add_number(const OrderedJson& schema, const std::string& place, NodeId from);
  NodeId add_integer(const OrderedJson& schema, const std::string& place, NodeId from);

  RuleId any();
  /// The rule of a schema that stands at a place; of a reference, that of what it refers to.
  RuleId rule_of(const OrderedJson& schema, const std::string& place);
  RuleId rule_at(const OrderedJson& schema, const std::string& place);
  RuleId rule_referred_to(const OrderedJson& schema, const std::string& place);
  std::vector<std::string> types_of(const OrderedJson& schema, const std::string& place);
  std::optional<int> count(const OrderedJson& schema, const char* key, const std::string& place);
  std::optional<int64_t> border(const OrderedJson& schema, const char* key,
                                const std::string& place);

  /// Refuses keywords that are none of `known`.
  void only(const OrderedJson& schema, const std::string& place,
            std::initializer_list<std::string_view> known);
  template <class... Args>
  NodeId fail(const std::string& place, fmt::format_string<Args...> pattern, Args&&... args) {
    if (!wrong_) {
      wrong_ =
          error("the schema at {}: {}", place, fmt::format(pattern, std::forward<Args>(args)...));
    }
    return 0;
  }

  const OrderedJson& root_;
  GrammarBuilder grammar_;
  std::optional<RuleId> any_;
  std::map<std::string, RuleId> rules_;  // by place
  struct Unread {
    RuleId rule;
    const OrderedJson* schema;
    std::string place;
  };
  std::vector<Unread> unread_;
  std::optional<Error> wrong_;
};

const OrderedJson* find(const OrderedJson& schema, const char* key) {
  const auto found = schema.find(key);
  return found == schema.end() ? nullptr : &*found;
}

RuleId SchemaReader::any() {
  if (!any_) any_ = add_any_json(grammar_);
  return *any_;
}

RuleId SchemaReader::rule_of(const OrderedJson& schema, const std::string& place) {
  if (schema.is_object() && schema.contains("$ref")) return rule_referred_to(schema, place);
  return rule_at(schema, place);
}

RuleId SchemaReader::rule_at(const OrderedJson& schema, const std::string& place) {
  const auto [known, is_new] = rules_.try_emplace(place);
  if (is_new) {
    known->second = grammar_.add_rule();
    unread_.push_back({known->second, &schema, place});
  }
  return known->second;
}

NodeId SchemaReader::add(const OrderedJson& schema, const std::string& place, NodeId from) {
  if (wrong_ || grammar_.full()) return from;
  if (schema == true) return grammar_.add_call(from, any());
  if (!schema.is_object()) return fail(place, "expected an object, found {}", schema.type_name());
  if (schema.contains("$ref")) return grammar_.add_call(from, rule_referred_to(schema, place));
  if (schema.contains("anyOf")) return add_any_of(schema, place, from);
  if (schema.contains("enum") || schema.contains("const")) return add_given(schema, place, from);
  if (const OrderedJson* const all = find(schema, "allOf")) {
    only(schema, place, {"allOf"});
    if (!all->is_array() || all->size() != 1) {
      return fail(place, "'allOf' of several schemas is not supported; merge them into one");
    }
    return add((*all)[0], within(place, "allOf") + "/0", from);
  }
  const auto types = types_of(schema, place);
  if (types.empty()) {
    only(schema, place, {});
    return grammar_.add_call(from, any());
  }
  only(schema, place,
       {"type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
        "pattern", "format", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum"});
  const NodeId end = grammar_.add_node();
  for (const std::string& type : types) {
    grammar_.add_jump(add_type(schema, place, type, from), end);
  }
  return end;
}

void SchemaReader::only(const OrderedJson& schema, const std::string& place,
                        std::initializer_list<std::string_view> known) {
  for (const auto& field : schema.items()) {
    const std::string& key = field.key();
    const auto is_key = [&](std::string_view other) { return key == other; };
    if (std::any_of(known.begin(), known.end(), is_key)) continue;
    if (std::any_of(kDescribing.begin(), kDescribing.end(), is_key)) continue;
    if (key == "oneOf") {
      fail(place, "'oneOf' is not supported; use anyOf, or remove it");
    } else {
      fail(place, "'{}' is not supported {}; remove it", key,
           known.size() == 0 ? "without \"type\"" : "here");
    }
  }
}

std::vector<std::string> SchemaReader::types_of(const OrderedJson& schema,
                                                const std::string& place) {
  std::vector<std::string> types;
  const OrderedJson* const type = find(schema, "type");
  if (type == nullptr) {
    // Schemas are often written so; what else could be meant is the same.
    if (schema.contains("properties")) types.emplace_back("object");
    if (schema.contains("items")) types.emplace_back("array");
    return types;
  }
  for (const OrderedJson& one : type->is_array() ? *type : OrderedJson::array({*type})) {
    const bool known = one.is_string() && std::find(kTypes.begin(), kTypes.end(),
                                                    one.get<std::string>()) != kTypes.end();
    if (!known) {
      fail(place, "expected 'type' to be one of {} or a list of them, found {}",
           fmt::join(kTypes, ", "), to_shown(one));
      return {};
    }
    types.push_back(one.get<std::string>());
  }
  if (types.empty()) fail(place, "'type' lists no type; name at least one");
  return types;
}

std::optional<int> SchemaReader::count(const OrderedJson& schema, const char* key,
                                       const std::string& place) {
  const OrderedJson* const value = find(schema, key);
  if (value == nullptr) return std::nullopt;
  const bool fits = value->is_number_integer() && *value >= 0 && *value <= kMostCount;
  if (!fits) {
    fail(place, "expected '{}' to be a whole number from 0 to {}", key, kMostCount);
    return std::nullopt;
  }
  return value->get<int>();
}

NodeId SchemaReader::add_type(const OrderedJson& schema, const std::string& place,
                              std::string_view type, NodeId from) {
  if (type == "object") return add_object(schema, place, from);
  if (type == "array") return add_array(schema, place, from);
  if (type == "string") return add_string(schema, place, from);
  if (type == "number") return add_number(schema, place, from);
  if (type == "integer") return add_integer(schema, place, from);
  if (type == "null") return grammar_.add_text(from, "null");
  const NodeId end = grammar_.add_text(from, "true");
  grammar_.add_jump(grammar_.add_text(from, "false"), end);
  return end;
}

RuleId SchemaReader::rule_referred_to(const OrderedJson& schema, const std::string& place) {
  only(schema, place, {"$ref"});
  const OrderedJson& reference = schema["$ref"];
  if (!reference.is_string()) return fail(place, "expected '$ref' to be a text");
  const std::string target = reference;
  if (!target.starts_with('#')) {
    return fail(place, "'$ref' must begin with #, since only this schema is read; found '{}'",
                target);
  }
  try {
    const OrderedJson::json_pointer pointer(target.substr(1));
    if (!root_.contains(pointer)) return fail(place, "'{}' is not in the schema", target);
    return rule_at(root_.at(pointer), target);
  } catch (const OrderedJson::exception&) {
    return fail(place, "'$ref' is no place in the schema, such as #/$defs/name; found '{}'",
                target);
  }
}

NodeId SchemaReader::add_given(const OrderedJson& schema, const std::string& place, NodeId from) {
  only(schema, place, {"type", "enum", "const"});
  const auto types = types_of(schema, place);
  const OrderedJson* const listed = find(schema, "enum");
  if (listed != nullptr && !listed->is_array()) return fail(place, "expected 'enum' to be a list");
  const OrderedJson* const one = find(schema, "const");
  const NodeId end = grammar_.add_node();
  bool any = false;
  for (const OrderedJson& value : listed != nullptr ? *listed : OrderedJson::array({*one})) {
    if (one != nullptr && value != *one) continue;
    const auto is_of = [&](const std::string& type) { return is_of_type(value, type); };
    if (!types.empty() && std::none_of(types.begin(), types.end(), is_of)) continue;
    grammar_.add_jump(add_json_value(grammar_, from, value), end);
    any = true;
  }
  if (!any) return fail(place, "no value of 'enum' and 'const' has its type; name one that has");
  return end;
}

NodeId SchemaReader::add_any_of(const OrderedJson& schema, const std::string& place, NodeId from) {
  only(schema, place, {"anyOf"});
  const OrderedJson& choices = schema["anyOf"];
  if (!choices.is_array() || choices.empty()) {
    return fail(place, "expected 'anyOf' to be a list of schemas");
  }
  const NodeId end = grammar_.add_node();
  for (size_t i = 0; i < choices.size(); ++i) {
    grammar_.add_jump(add(choices[i], within(within(place, "anyOf"), std::to_string(i)), from),
                      end);
  }
  return end;
}

NodeId SchemaReader::add_object(const OrderedJson& schema, const std::string& place, NodeId from) {
  const OrderedJson* const properties = find(schema, "properties");
  const OrderedJson* const others = find(schema, "additionalProperties");
  const bool more = others != nullptr && *others != false;
  if (properties != nullptr && !properties->is_object()) {
    return fail(place, "expected 'properties' to be an object");
  }
  const OrderedJson* const required = find(schema, "required");
  if (required != nullptr) {
    if (!required->is_array()) return fail(place, "expected 'required' to be a list of names");
    for (const OrderedJson& name : *required) {
      const bool known = name.is_string() && properties != nullptr &&
                         properties->contains(name.get<std::string>());
      if (!known) {
        return fail(place, "'required' names {}, which is not in 'properties'", to_shown(name));
      }
    }
  }
  if (properties == nullptr || properties->empty()) {
    if (more) {
      return add_json_map(grammar_, from, rule_of(*others, within(place, "additionalProperties")));
    }
    if (properties == nullptr && others == nullptr) return add_json_map(grammar_, from, any());
    return grammar_.add_text(from, "{}");
  }
  if (more) {
    return fail(place,
                "'additionalProperties' beside 'properties' is not supported; set it to false");
  }
  return add_properties(*properties, required, place, from);
}

// Two tracks, one where no property was written yet and one where a comma stands before the next.
NodeId SchemaReader::add_properties(const OrderedJson& properties, const OrderedJson* required,
                                    const std::string& place, NodeId from) {
  NodeId none = add_json_space(grammar_, grammar_.add_text(from, "{"));
  const NodeId empty = grammar_.add_node(), last = grammar_.add_node();
  std::optional<NodeId> some;
  bool may_be_empty = true;
  for (const auto& [name, property] : properties.items()) {
    if (wrong_ || grammar_.full()) return from;
    const bool optional = required != nullptr && std::find(required->begin(), required->end(),
                                                           OrderedJson(name)) == required->end();
    const NodeId key = grammar_.add_node(), after = grammar_.add_node();
    if (may_be_empty) grammar_.add_jump(none, key);
    if (some) {
      grammar_.add_jump(add_json_space(grammar_, grammar_.add_text(*some, ",")), key);
      if (optional) grammar_.add_jump(*some, after);
    }
    NodeId at = add_json_value(grammar_, key, OrderedJson(name));
    at = add_json_space(grammar_, grammar_.add_text(at, ":"));
    at = add(property, within(within(place, "properties"), name), at);
    grammar_.add_jump(at, after);
    some = after;
    may_be_empty = may_be_empty && optional;
  }
  if (may_be_empty) grammar_.add_jump(none, empty);
  grammar_.add_jump(empty, last);
  grammar_.add_jump(add_json_space(grammar_, *some), last);
  return grammar_.add_text(last, "}");
}

NodeId SchemaReader::add_array(const OrderedJson& schema, const std::string& place, NodeId from) {
  const int least = count(schema, "minItems", place).value_or(0);
  const auto most = count(schema, "maxItems", place);
  if (most && *most < least) {
    return fail(place, "'maxItems' is smaller than 'minItems'; no array meets both");
  }
  const OrderedJson* const items = find(schema, "items");
  if (items != nullptr && items->is_array()) {
    return fail(place, "a list of 'items' is not supported; use one schema for all of them");
  }
  const RuleId values = items == nullptr ? any() : rule_of(*items, within(place, "items"));
  return add_json_list(grammar_, from, values, least, most);
}

std::optional<int64_t> SchemaReader::border(const OrderedJson& schema, const char* key,
                                            const std::string& place) {
  constexpr int64_t kLargest = int64_t{1} << 53;  // doubles count no further
  const OrderedJson* const value = find(schema, key);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : 0.5;
  if (number != std::floor(number) || std::abs(number) > static_cast<double>(kLargest)) {
    fail(place, "expected '{}' to be a whole number from -2^53 to 2^53", key);
    return std::nullopt;
  }
  return static_cast<int64_t>(number);
}

NodeId SchemaReader::add_integer(const OrderedJson& schema, const std::string& place, NodeId from) {
  auto least = border(schema, "minimum", place);
  auto most = border(schema, "maximum", place);
  if (const auto above = border(schema, "exclusiveMinimum", place)) {
    least = std::max(least.value_or(*above + 1), *above + 1);
  }
  if (const auto below = border(schema, "exclusiveMaximum", place)) {
    most = std::min(most.value_or(*below - 1), *below - 1);
  }
  if (least && most && *most < *least) return fail(place, "no integer lies within its borders");
  return add_json_integer(grammar_, from, least, most);
}

NodeId SchemaReader::add_number(const OrderedJson& schema, const std::string& place, NodeId from) {
  for (const char* key : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) {
    if (!schema.contains(key)) continue;
    return fail(place, "'{}' is supported for integers alone; remove it, or use that type", key);
  }
  return add_json_number(grammar_, from);
}

NodeId SchemaReader::add_string(const OrderedJson& schema, const std::string& place, NodeId from) {
  const OrderedJson* const pattern = find(schema, "pattern");
  const OrderedJson* const format = find(schema, "format");
  const int least = count(schema, "minLength", place).value_or(0);
  const auto most = count(schema, "maxLength", place);
  if (most && *most < least) {
    return fail(place, "'maxLength' is smaller than 'minLength'; no string meets both");
  }
  if (pattern == nullptr && format == nullptr) return add_json_string(grammar_, from, least, most);
  if ((pattern != nullptr && format != nullptr) || least > 0 || most) {
    return fail(place,
                "'pattern', 'format' and lengths of one string are not supported together; "
                "keep one of them");
  }
  const OrderedJson& rule = pattern != nullptr ? *pattern : *format;
  if (!rule.is_string()) {
    return fail(place, "expected '{}' to be a text", pattern != nullptr ? "pattern" : "format");
  }
  std::string text = rule;
  auto extent = Expression::Extent::part;
  if (format != nullptr) {
    extent = Expression::Extent::whole;
    text = expression_of_format(text);
    if (text.empty()) {
      return fail(place, "'format' must be {}; remove it", kFormats);
    }
  }
  auto expression = Expression::parse(text, extent);
  if (!expression.ok()) return fail(place, "'pattern': {}", expression.error().message);
  const NodeId begin = grammar_.add_text(from, "\"");
  const NodeId end = expression->add_to(grammar_, begin, Expression::Writing::json_string);
  return grammar_.add_text(end, "\"");
}

}  // namespace

Result<OrderedJson> parse_schema(std::string_view text) {
  if (text.size() > kLongestSchema) {
    return error("the schema has {} bytes; use at most {}", text.size(), kLongestSchema);
  }
  // Reports what is wrong, nesting included; its order of keys is not that of the text.
  TIDAR_TRY(const Json checked, parse_json_object(text, "the schema"));
  return OrderedJson::parse(text);
}

Result<Grammar> grammar_of_schema(const OrderedJson& schema) { return SchemaReader(schema).read(); }

Result<Grammar> grammar_of_any_object() {
  GrammarBuilder grammar;
  const RuleId any = add_any_json(grammar);
  grammar.end_rule(add_json_map(grammar, grammar.begin_of(0), any));
  return grammar.finish();
}

}  // namespace tidar
