#include "constrain/json_schema.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "constrain/grammar_testing.h"
#include "constrain/json_text.h"

namespace tidar {
namespace {

OrderedJson json(std::string_view text) { return OrderedJson::parse(text); }

Grammar grammar_of(std::string_view schema) { return grammar_of_schema(json(schema)).value(); }

/// Whether a value is one that a schema of the subset allows, from what JSON Schema says.
bool is_valid(const OrderedJson& value, const OrderedJson& schema, const OrderedJson& root) {
  if (schema == true) return true;
  if (schema.contains("$ref")) {
    const OrderedJson::json_pointer place(schema["$ref"].get<std::string>().substr(1));
    return is_valid(value, root.at(place), root);
  }
  if (schema.contains("anyOf")) {
    for (const OrderedJson& one : schema["anyOf"])
      if (is_valid(value, one, root)) return true;
    return false;
  }
  if (schema.contains("enum"))
    return std::find(schema["enum"].begin(), schema["enum"].end(), value) != schema["enum"].end();
  if (schema.contains("const")) return value == schema["const"];
  const std::string type = schema.value("type", "");
  if (type == "object") {
    if (!value.is_object()) return false;
    const OrderedJson properties = schema.value("properties", OrderedJson::object());
    for (const auto& name : schema.value("required", OrderedJson::array()))
      if (!value.contains(name.get<std::string>())) return false;
    for (const auto& [key, item] : value.items()) {
      const auto others = schema.find("additionalProperties");
      if (properties.contains(key)) {
        if (!is_valid(item, properties[key], root)) return false;
      } else if (others != schema.end()) {
        if (*others == false || !is_valid(item, *others, root)) return false;
      }
    }
    return true;
  }
  if (type == "array") {
    if (!value.is_array() || value.size() < schema.value("minItems", 0u)) return false;
    if (value.size() > schema.value("maxItems", 1000u)) return false;
    for (const OrderedJson& item : value)
      if (schema.contains("items") && !is_valid(item, schema["items"], root)) return false;
    return true;
  }
  if (type == "string") {
    if (!value.is_string()) return false;
    const auto text = value.get<std::string>();
    if (schema.contains("pattern"))
      return std::regex_search(text, std::regex(schema["pattern"].get<std::string>()));
    const auto characters =
        std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; });
    return characters >= schema.value("minLength", 0) &&
           characters <= schema.value("maxLength", 1'000'000);
  }
  if (type == "number") return value.is_number();
  if (type == "integer") {  // large ones are read as fractions
    return value.is_number_integer() ||
           (value.is_number() && std::floor(value.get<double>()) == value.get<double>());
  }
  if (type == "boolean") return value.is_boolean();
  return type == "null" && value.is_null();
}

std::string random_string(Rng& rng) {
  const std::array<std::string, 9> pieces = {"a", "b", "\"", "\\", "\n", "é", "😀", "\x01", "/"};
  std::string text;
  for (int n = rng.below(5); n > 0; --n) text += pieces[static_cast<size_t>(rng.below(9))];
  return text;
}

OrderedJson random_value(Rng& rng, int depth) {
  switch (rng.below(depth > 0 ? 7 : 5)) {
    case 0:
      return random_string(rng);
    case 1:
      return rng.below(1000) - 500;
    case 2:
      return std::ldexp(rng.normal(), rng.below(200) - 100);
    case 3:
      return rng.below(2) == 0;
    case 4:
      return nullptr;
    case 5: {
      OrderedJson list = OrderedJson::array();
      for (int n = rng.below(4); n > 0; --n) list.push_back(random_value(rng, depth - 1));
      return list;
    }
    default: {
      OrderedJson object = OrderedJson::object();
      for (int n = rng.below(4); n > 0; --n)
        object[random_string(rng)] = random_value(rng, depth - 1);
      return object;
    }
  }
}

constexpr std::array<const char*, 5> kPatterns = {"^[a-c]+$", "b", "^\\d{2,3}-[x\"]?$", "^$|a$",
                                                  "^(?:ab|c)*$"};

/// Some of them refer to "#/$defs/node", which refers to itself.
OrderedJson random_schema(Rng& rng, int depth) {
  switch (rng.below(depth > 0 ? 14 : 9)) {
    case 0:
      return {{"type", "string"}};
    case 1:
      return {{"type", "number"}};
    case 2:
      return {{"type", "integer"}, {"description", "which one"}};
    case 3:
      return {{"type", "boolean"}};
    case 4:
      return {{"type", "null"}};
    case 5:
      return {{"enum", {random_value(rng, 1), random_value(rng, 2), "x"}}};
    case 6:
      return {{"const", random_value(rng, 2)}};
    case 7:
      return {{"type", "string"}, {"pattern", kPatterns[static_cast<size_t>(rng.below(5))]}};
    case 8: {
      const int least = rng.below(3);
      return {{"type", "string"}, {"minLength", least}, {"maxLength", least + rng.below(3)}};
    }
    case 9: {
      OrderedJson schema = {{"type", "array"}, {"items", random_schema(rng, depth - 1)}};
      const int least = rng.below(3);
      if (rng.below(2) == 0) schema["minItems"] = least;
      if (rng.below(2) == 0) schema["maxItems"] = least + rng.below(3);
      return schema;
    }
    case 10:
      return {{"anyOf", {random_schema(rng, depth - 1), random_schema(rng, depth - 1)}}};
    case 11:
      return {{"type", "object"}, {"additionalProperties", random_schema(rng, depth - 1)}};
    case 12:
      return {{"$ref", "#/$defs/node"}};
    default: {
      OrderedJson schema = {{"type", "object"}, {"properties", OrderedJson::object()}};
      for (int n = rng.below(4); n > 0; --n)
        schema["properties"][random_string(rng)] = random_schema(rng, depth - 1);
      schema["additionalProperties"] = false;
      schema["required"] = OrderedJson::array();
      for (const auto& [name, property] : schema["properties"].items())
        if (rng.below(3) > 0) schema["required"].push_back(name);
      return schema;
    }
  }
}

OrderedJson random_root(Rng& rng) {
  OrderedJson root = random_schema(rng, 3);
  root["$defs"]["node"] =
      json(R"({"type": "object", "additionalProperties": false, "required": ["value", "next"],
               "properties": {"value": {"type": "integer"},
                              "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}})");
  return root;
}

/// A value of the schema; its strings are not those that patterns want.
OrderedJson random_valid(Rng& rng, const OrderedJson& schema, const OrderedJson& root) {
  if (schema.contains("$ref")) {
    OrderedJson node = nullptr;
    for (int n = rng.below(4); n >= 0; --n) node = {{"value", rng.below(100)}, {"next", node}};
    return node;
  }
  const auto any = [&](const OrderedJson& list) {
    return list[static_cast<size_t>(rng.below(static_cast<int>(list.size())))];
  };
  if (schema.contains("anyOf")) return random_valid(rng, any(schema["anyOf"]), root);
  if (schema.contains("enum")) return any(schema["enum"]);
  if (schema.contains("const")) return schema["const"];
  const std::string type = schema["type"];
  if (type == "number") return std::ldexp(rng.normal(), rng.below(200) - 100);
  if (type == "integer") return rng.below(2'000'000) - 1'000'000;
  if (type == "boolean") return rng.below(2) == 0;
  if (type == "null") return nullptr;
  if (type == "string") {
    if (schema.contains("pattern")) return rng.below(2) == 0 ? "ab" : "abcab";
    std::string text;
    const int least = schema.value("minLength", 0);
    const int most = schema.value("maxLength", least + 3);
    for (int n = least + rng.below(most - least + 1); n > 0; --n) text += n % 2 == 0 ? "é" : "\"";
    return text;
  }
  if (type == "array") {
    OrderedJson list = OrderedJson::array();
    const int least = schema.value("minItems", 0);
    const int most = schema.value("maxItems", least + 3);
    for (int n = least + rng.below(most - least + 1); n > 0; --n)
      list.push_back(random_valid(rng, schema["items"], root));
    return list;
  }
  OrderedJson object = OrderedJson::object();
  if (!schema.contains("properties")) {
    for (int n = rng.below(3); n > 0; --n)
      object[random_string(rng)] = random_valid(rng, schema["additionalProperties"], root);
    return object;
  }
  const OrderedJson& required = schema["required"];
  for (const auto& [name, property] : schema["properties"].items()) {
    const bool must = std::find(required.begin(), required.end(), name) != required.end();
    if (must || rng.below(2) == 0) object[name] = random_valid(rng, property, root);
  }
  return object;
}

/// JSON as json.dumps() of Python writes it.
std::string python_dump(const OrderedJson& value) {
  if (!value.is_structured()) return value.dump();
  std::string text = value.is_object() ? "{" : "[";
  for (const auto& [key, item] : value.items()) {
    if (text.size() > 1) text += ", ";
    if (value.is_object()) text += OrderedJson(key).dump() + ": ";
    text += python_dump(item);
  }
  return text + (value.is_object() ? "}" : "]");
}

TEST(JsonSchema, TextsOfASchemaAreValid) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const OrderedJson schema = random_root(rng);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << schema.dump());
    const Grammar grammar = grammar_of_schema(schema).value();
    Automaton automaton(grammar);
    for (int i = 0; i < 10; ++i) {
      const std::string text = random_text_of(automaton, rng);
      const OrderedJson value = OrderedJson::parse(text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << text;
      ASSERT_TRUE(is_valid(value, schema, schema)) << text;
      // No change of a byte makes something of it that is allowed and not valid.
      std::string changed = text;
      changed[static_cast<size_t>(rng.below(static_cast<int>(text.size())))] =
          "\"\\{}[],:0a- "[rng.below(12)];
      if (!is_text_of(automaton, changed)) continue;
      const OrderedJson other = OrderedJson::parse(changed, nullptr, false);
      ASSERT_FALSE(other.is_discarded()) << changed;
      ASSERT_TRUE(is_valid(other, schema, schema)) << changed;
    }
  }
}

TEST(JsonSchema, ValidValuesAreTexts) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng(seed);
    const OrderedJson schema = random_root(rng);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << schema.dump());
    const Grammar grammar = grammar_of_schema(schema).value();
    Automaton automaton(grammar);
    for (int i = 0; i < 10; ++i) {
      const OrderedJson value = random_valid(rng, schema, schema);
      const bool valid = is_valid(value, schema, schema);  // where patterns are met
      for (const std::string& text : {value.dump(), value.dump(2), python_dump(value)})
        ASSERT_EQ(is_text_of(automaton, text), valid) << text;
    }
  }
}

TEST(JsonSchema, AnyObjectIsAnyJson) {
  const Grammar grammar = grammar_of_any_object().value();
  Automaton automaton(grammar);
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const OrderedJson value = random_value(rng, 4);
    for (const std::string& text : {value.dump(), value.dump(4), python_dump(value)})
      ASSERT_EQ(is_text_of(automaton, text), value.is_object()) << text;
    const std::string text = random_text_of(automaton, rng);
    ASSERT_TRUE(OrderedJson::parse(text, nullptr, false).is_object()) << text;
  }
  for (const char* text :
       {R"({"a":"\u00e9\ud83d\ude00\uDBFF\uDFFF\/"})", "{\n}", R"({"a":-0.0e-10})"})
    EXPECT_TRUE(is_text_of(automaton, text)) << text;
  for (const char* text : {R"({"a":"\ud83d"})", R"({"a":"\ude00"})", R"({"a":01})", R"({"a":1.})",
                           R"({"a":1,})", "{ \n}", "{  }", R"({"a" :1})", R"({"a":1} )", " {}",
                           R"({"a":"\x"})", R"({"a":1e999})", "{\"a\":\"\n\"}"})
    EXPECT_FALSE(is_text_of(automaton, text)) << text;
}

TEST(JsonSchema, IntegersLieWithinTheirBorders) {
  const std::array<int64_t, 12> kBorders = {0,  1,   -1,   9,    10,  -10,
                                            99, 105, -199, 2000, -90, 100'000};
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const auto border = [&]() -> int64_t {
      if (rng.below(2) == 0) return rng.below(600) - 300;
      return kBorders[static_cast<size_t>(rng.below(12))];
    };
    OrderedJson schema = {{"type", "integer"}};
    int64_t least = -1'000'000, most = 1'000'000;
    if (rng.below(3) > 0) schema["minimum"] = least = border();
    if (rng.below(3) > 0) schema["maximum"] = most = border();
    if (rng.below(4) == 0) {
      const int64_t above = border();
      schema["exclusiveMinimum"] = above;
      least = std::max(least, above + 1);
    }
    SCOPED_TRACE(schema.dump());
    const auto grammar = grammar_of_schema(schema);
    ASSERT_EQ(grammar.ok(), least <= most);
    if (!grammar.ok()) continue;
    Automaton automaton(*grammar);
    for (int64_t number = -2100; number < 2100; number += 1 + (std::abs(number) > 300) * 7)
      ASSERT_EQ(is_text_of(automaton, std::to_string(number)), number >= least && number <= most)
          << number;
  }
  const Grammar safe =
      grammar_of(R"({"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991})");
  EXPECT_TRUE(is_text_of(safe, "-9007199254740991"));
  EXPECT_FALSE(is_text_of(safe, "9007199254740992"));
}

TEST(JsonSchema, AValueMeetsAllThatIsSaidOfIt) {
  const Grammar both = grammar_of(R"({"enum":[1,2,"2",null],"const":2})");
  EXPECT_TRUE(is_text_of(both, "2"));
  for (const char* const other : {"1", "\"2\"", "null"}) EXPECT_FALSE(is_text_of(both, other));
  const Grammar typed = grammar_of(R"({"enum":[1,2,"2",null],"type":["string","null"]})");
  for (const char* const one : {"\"2\"", "null"}) EXPECT_TRUE(is_text_of(typed, one));
  EXPECT_FALSE(is_text_of(typed, "2"));
}

TEST(JsonSchema, PropertiesComeInTheirOrder) {
  const Grammar grammar =
      grammar_of(R"({"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"null"}},)"
                 R"("required":["b"],"additionalProperties":false})");
  for (const char* text : {R"({"b":1,"a":null})", R"({"b":1})"})
    EXPECT_TRUE(is_text_of(grammar, text));
  for (const char* text : {R"({"a":null,"b":1})", R"({"a":null})", "{}", R"({"b":1,"b":1})"})
    EXPECT_FALSE(is_text_of(grammar, text)) << text;
  const Grammar all = grammar_of(R"({"properties":{"b":{"type":"integer"},"a":{"type":"null"}}})");
  EXPECT_TRUE(is_text_of(all, R"({"b":1,"a":null})"));
  EXPECT_FALSE(is_text_of(all, R"({"b":1})")) << "none may be left out unless it says so";
}

TEST(JsonSchema, FormatsAreWhatTheyAreCalled) {
  const auto matches = [](const char* format, const std::string& text) {
    const OrderedJson schema = {{"type", "string"}, {"format", format}};
    return is_text_of(grammar_of_schema(schema).value(), '"' + text + '"');
  };
  const Grammar date_grammar = grammar_of(R"({"type":"string","format":"date"})");
  Automaton dates(date_grammar);
  const std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (int year = 1599; year < 2105; ++year) {
    for (int month = 0; month <= 13; ++month) {
      for (const int day : {0, 1, 28, 29, 30, 31, 32}) {
        const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        const int days = month < 1 || month > 12
                             ? 0
                             : kDays[static_cast<size_t>(month - 1)] + (month == 2 && leap ? 1 : 0);
        if (year % 50 > 2 && month != 2) continue;
        ASSERT_EQ(is_text_of(dates, fmt::format("\"{:04}-{:02}-{:02}\"", year, month, day)),
                  day >= 1 && day <= days);
      }
    }
  }
  EXPECT_TRUE(matches("date-time", "2026-02-28T23:59:59.125+05:30"));
  EXPECT_FALSE(matches("date-time", "2026-02-28T24:00:00Z"));
  EXPECT_TRUE(matches("time", "00:00:00Z"));
  EXPECT_FALSE(matches("time", "00:00"));
  EXPECT_TRUE(matches("ipv4", "255.0.10.199"));
  EXPECT_FALSE(matches("ipv4", "256.0.0.1"));
  EXPECT_FALSE(matches("ipv4", "1.2.3"));
  EXPECT_TRUE(matches("uuid", "123e4567-e89b-12d3-a456-426614174000"));
  EXPECT_TRUE(matches("email", "a.b+c@mail.example.org"));
  EXPECT_FALSE(matches("email", "a@b"));
  EXPECT_TRUE(matches("hostname", "a-b.example"));
  EXPECT_FALSE(matches("hostname", "-a"));
}

// Where a text is as deep as it may be it can still be brought to an end.
TEST(JsonSchema, TextsNestNoDeeperThanTheyMay) {
  const Grammar grammar = grammar_of(R"({"type":"array","items":{"$ref":"#"}})");
  for (const int depth : {10, 60, 62}) {
    const std::string text =
        std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
    EXPECT_TRUE(is_text_of(grammar, text));
  }
  Automaton automaton(grammar);
  auto state = automaton.begin();
  int depth = 0;
  for (; automaton.next(state, '[') != Automaton::kDead; ++depth)
    state = automaton.next(state, '[');
  EXPECT_LE(depth, kDeepestCalls + 1);
  for (; depth > 0; --depth) state = automaton.next(state, ']');
  EXPECT_TRUE(automaton.may_end(state));
}

TEST(JsonSchema, SaysWhatIsWrong) {
  const auto complaint = [](std::string_view text) {
    const auto schema = parse_schema(text);
    if (!schema.ok()) return schema.error().message;
    const auto grammar = grammar_of_schema(*schema);
    return grammar.ok() ? "" : grammar.error().message;
  };
  const auto has = [&](std::string_view text, const char* part) {
    EXPECT_NE(complaint(text).find(part), std::string::npos) << text << ": " << complaint(text);
  };
  EXPECT_EQ(complaint(R"({"type":["string","null"],"title":"a","default":null})"), "");
  EXPECT_EQ(complaint("{}"), "");
  EXPECT_EQ(complaint(R"({"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"type":"null"}}})"), "");
  has("[]", "expected a JSON object");
  has(R"({"type":"object","type":"null"})", "twice");
  has(R"({"type":"text"})", "expected 'type' to be one of object, array");
  has(R"({"type":["null",1]})", "found 1");
  has(R"({"oneOf":[{"type":"null"}]})", "'oneOf' is not supported; use anyOf");
  has(R"({"type":"integer","multipleOf":3})",
      "the schema at #: 'multipleOf' is not supported here");
  has(R"({"type":"number","minimum":3})", "'minimum' is supported for integers alone");
  has(R"({"type":"integer","minimum":0.5})", "a whole number from -2^53");
  has(R"({"type":"integer","minimum":3,"exclusiveMaximum":3})", "no integer lies within");
  has(R"({"properties":{"a/b":{"properties":{"c":{"not":{}}}}}})",
      "#/properties/a~1b/properties/c: 'not'");
  has(R"({"anyOf":[]})", "'anyOf' to be a list");
  has(R"({"anyOf":[{"type":"null"}, 3]})", "#/anyOf/1: expected an object");
  has(R"({"allOf":[{},{}]})", "merge them");
  has(R"({"enum":[]})", "no value of 'enum'");
  has(R"({"enum":["a"],"type":"integer"})", "no value of 'enum'");
  has(R"({"$ref":"other.json"})", "must begin with #");
  has(R"({"$ref":"#/$defs/a"})", "'#/$defs/a' is not in the schema");
  has(R"({"$ref":"#a"})", "is no place in the schema");
  for (const char* rest : {R"("properties":{"a":{}},)", R"("properties":{},)", "",
                           R"("additionalProperties":{"type":"integer"},)"}) {
    has(fmt::format(R"({{"type":"object",{}"required":["b"]}})", rest), "'required' names \"b\"");
  }
  has(R"({"type":"object","properties":{"a":{}},"additionalProperties":true})", "set it to false");
  has(R"({"type":"array","minItems":3,"maxItems":2})", "no array meets both");
  has(R"({"type":"array","minItems":-1})", "a whole number from 0");
  has(R"({"type":"array","items":[{}]})", "a list of 'items'");
  has(R"({"type":"string","format":"iri"})", "'format' must be date-time, date");
  has(R"x({"type":"string","pattern":"(?=a)"})x", "'pattern': regular expression, at byte 2");
  has(R"({"type":"string","pattern":"a","minLength":1})", "keep one of them");
  has(R"({"$ref":"#"})", "endless");
  has(R"({"anyOf":[{"type":"null"},{"$ref":"#"}]})", "endless");
  has(R"({"type":"object","properties":{"next":{"$ref":"#"}}})", "impossible: no finite text");
  has(R"({"type":"string","minLength":90000})", "too large");
  has(std::string(300'000, ' '), "use at most");
}

// Schemas that are small and mean much: shared parts are built once.
TEST(JsonSchema, WhatGrowsWithoutEndIsBounded) {
  OrderedJson doubling = {{"$ref", "#/$defs/0"}};
  for (int i = 0; i < 40; ++i) {
    const OrderedJson next = {{"$ref", fmt::format("#/$defs/{}", i + 1)}};
    doubling["$defs"][std::to_string(i)] = {{"properties", {{"a", next}, {"b", next}}}};
  }
  doubling["$defs"]["40"] = {{"type", "null"}};
  EXPECT_TRUE(grammar_of_schema(doubling).ok());

  // Each level can be read in two ways, so that there are 2^depth readings.
  const Grammar ambiguous =
      grammar_of(R"({"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#"},"minItems":1},)"
                 R"({"type":"array","items":{"$ref":"#"},"minItems":1,"maxItems":3}]})");
  EXPECT_TRUE(is_text_of(ambiguous, std::string(20, '[') + "null" + std::string(20, ']')));
  EXPECT_TRUE(is_text_of(ambiguous, "[[null,null],null]"));
  EXPECT_FALSE(is_text_of(ambiguous, "[[null,null],null"));
}

}  // namespace
}  // namespace tidar
