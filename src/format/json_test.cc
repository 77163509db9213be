#include "format/json.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"

namespace tidar {
namespace {

struct BadText {
  const char* name;
  std::string text;
  const char* says;
};

class BadJson : public ::testing::TestWithParam<BadText> {};

TEST_P(BadJson, GivesOneSentence) {
  const auto result = parse_json_object(GetParam().text, "f.json");
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(says(result.error().message, GetParam().says));
}

std::string nested(int levels) {
  return "{\"a\":" + std::string(static_cast<size_t>(levels), '[') +
         std::string(static_cast<size_t>(levels), ']') + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Json, BadJson,
    ::testing::Values(
        BadText{"empty", "", "f.json, line 1, column 0: the JSON ends too early, after ''"},
        BadText{"place", "{\n  \"a\": 1,\n  \"b\" 2}",
                "f.json, line 3, column 7: not valid JSON near"},
        BadText{"cut", "{\"a\": [1, 2",
                "f.json, line 1, column 11: the JSON ends too early, after '{\"a\": [1, 2'"},
        BadText{"tail", "{} {}", "f.json, line 1, column 4: not valid JSON"},
        BadText{"utf8", "{\"a\": \"\xff\"}", "not valid JSON near '{\"a\": \"\\xff'"},
        BadText{"list", "[1, 2]", "f.json: expected a JSON object, found a list of 2"},
        BadText{"text", "\"{}\"", "f.json: expected a JSON object, found the text '{}'"},
        BadText{"huge", "{\"a\": 1e999}", "f.json: holds a number that is too large"},
        BadText{"twice", "{\"a\": 1, \"b\": {\"a\": 1}, \"a\": 1}", "field 'a' is given twice"},
        BadText{"twice_inside", "{\"b\": [{\"c\": 1, \"c\": 1}]}", "field 'c' is given twice"},
        BadText{"deep", nested(64), "f.json: is nested deeper than 64 levels"},
        BadText{"deepest", nested(1'000'000), "f.json: is nested deeper than 64 levels"}),
    CaseName());

TEST(Json, AcceptsNestingUpToTheLimitAndSameNamesInDifferentObjects) {
  EXPECT_TRUE(parse_json_object(nested(63), "f").ok());
  EXPECT_TRUE(parse_json_object(R"({"a": [{"x": 1}, {"x": 1}], "b": {"x": 1}, "x": 1})", "f").ok());
}

class Fields : public ::testing::Test {
 protected:
  const Json json = parse_json_object(R"({"five": 5, "half": 0.5, "yes": true, "word": "w",
    "nothing": null, "list": [1, 2], "words": ["a", "b"], "inner": {"x": "y"},
    "beyond_int": 2147483648, "beyond_63_bits": 18446744073709551615, "negative": -3})",
                                      "f.json")
                        .value();
  const JsonFields fields{json, "f.json"};
};

TEST_F(Fields, AreReadByType) {
  EXPECT_EQ(fields.integer("five", {5, 5}).value(), 5);
  EXPECT_EQ(fields.integer("negative", {-3, 5}).value(), -3);
  EXPECT_EQ(fields.number("half", {0, 1}).value(), 0.5);
  EXPECT_EQ(fields.number("five", {0, 9}).value(), 5.0);
  EXPECT_EQ(fields.boolean("yes").value(), true);
  EXPECT_EQ(fields.text("word").value(), "w");
  EXPECT_EQ(fields.integers("list", {1, 2}).value(), (std::vector<int>{1, 2}));
  EXPECT_EQ(fields.integers("five", {1, 9}).value(), std::vector<int>{5});
  EXPECT_EQ(fields.numbers("list", {1, 2}).value(), (std::vector<double>{1, 2}));
  EXPECT_EQ(fields.texts("words").value(), (std::vector<std::string>{"a", "b"}));
  const auto inner = fields.object("inner").value();
  ASSERT_TRUE(inner.has_value());
  EXPECT_EQ(inner->text("x").value(), "y");
}

TEST_F(Fields, ThatAreAbsentOrNullTakeTheirDefault) {
  for (const char* key : {"absent", "nothing"}) {
    EXPECT_FALSE(fields.has(key));
    EXPECT_EQ(fields.integer(key, {0, 9}, 7).value(), 7);
    EXPECT_EQ(fields.number(key, {0, 9}, 0.25).value(), 0.25);
    EXPECT_EQ(fields.boolean(key, true).value(), true);
    EXPECT_EQ(fields.text(key, "t").value(), "t");
    EXPECT_TRUE(fields.integers(key, {0, 9}).value().empty());
    EXPECT_TRUE(fields.numbers(key, {0, 9}).value().empty());
    EXPECT_TRUE(fields.texts(key).value().empty());
    EXPECT_FALSE(fields.object(key).value().has_value());
  }
  EXPECT_TRUE(fields.is_null("nothing"));
  EXPECT_FALSE(fields.is_null("absent"));
  EXPECT_FALSE(fields.is_null("five"));
}

TEST_F(Fields, OfTheWrongTypeOrRangeSayWhatWasExpected) {
  const auto integer = [&](const char* key) { return fields.integer(key, {0, 4}).error().message; };
  EXPECT_EQ(integer("absent"),
            "f.json: field 'absent' is missing; expected an integer from 0 to 4");
  EXPECT_EQ(integer("five"), "f.json: field 'five' is 5; expected an integer from 0 to 4");
  EXPECT_TRUE(says(integer("half"), "is 0.5; expected an integer"));
  EXPECT_TRUE(says(integer("word"), "is the text 'w'; expected an integer"));
  EXPECT_TRUE(says(integer("list"), "is a list of 2; expected an integer"));
  EXPECT_TRUE(says(integer("beyond_int"), "is 2147483648; expected"));
  EXPECT_TRUE(says(integer("beyond_63_bits"), "is 18446744073709551615; expected"));
  EXPECT_TRUE(says(integer("negative"), "is -3; expected"));
  // As a signed number it would be -1.
  EXPECT_FALSE(fields.integer("beyond_63_bits", {-3, 5}).ok());
  EXPECT_TRUE(says(fields.number("half", {1, 2}).error().message, "0.5; expected a number from 1"));
  EXPECT_TRUE(says(fields.number("yes", {1, 2}).error().message, "true; expected a number"));
  EXPECT_TRUE(says(fields.boolean("five").error().message, "is 5; expected true or false"));
  EXPECT_TRUE(says(fields.text("five").error().message, "is 5; expected a text"));
  EXPECT_TRUE(says(fields.integers("list", {0, 1}).error().message, "from 0 to 1, or a list"));
  EXPECT_TRUE(says(fields.numbers("list", {0, 1}).error().message, "of numbers from 0 to 1"));
  EXPECT_TRUE(says(fields.numbers("words", {0, 1}).error().message, "of numbers from 0 to 1"));
  EXPECT_TRUE(says(fields.numbers("five", {0, 9}).error().message, "of numbers from 0 to 9"));
  EXPECT_TRUE(says(fields.texts("list").error().message, "expected a list of texts"));
  EXPECT_TRUE(says(fields.texts("word").error().message, "expected a list of texts"));
  EXPECT_TRUE(says(fields.object("list").error().message, "expected an object"));
  EXPECT_TRUE(says(fields.object("inner").value()->integer("x", {0, 1}).error().message,
                   "f.json: inner: field 'x' is the text 'y'"));
}

}  // namespace
}  // namespace tidar
