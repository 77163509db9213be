#include "constrain/expression.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "constrain/grammar_testing.h"
#include "text/utf8.h"

namespace tidar {
namespace {

using Extent = Expression::Extent;
using Writing = Expression::Writing;

// Characters of one to four bytes, and some at the borders between them.
const std::u32string kAlphabet =
    U"abc-\n\u007F\u0080\u07FF\u0800\u00E9\uD7FF\uE000\uFFFF😀\U0010FFFF";

std::string utf8_of(const std::u32string& text) {
  std::string bytes;
  for (const char32_t c : text) {
    if (c < 0x80) {
      bytes += static_cast<char>(c);
    } else if (c < 0x800) {
      bytes += static_cast<char>(0xC0 | c >> 6);
    } else if (c < 0x10000) {
      bytes += static_cast<char>(0xE0 | c >> 12);
      bytes += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    } else {
      bytes += static_cast<char>(0xF0 | c >> 18);
      bytes += static_cast<char>(0x80 | (c >> 12 & 0x3F));
      bytes += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    }
    if (c >= 0x80) bytes += static_cast<char>(0x80 | (c & 0x3F));
  }
  return bytes;
}

std::wstring wide_of(const std::u32string& text) { return {text.begin(), text.end()}; }

char32_t random_character(Rng& rng) {
  return kAlphabet[static_cast<size_t>(rng.below(static_cast<int>(kAlphabet.size())))];
}

std::u32string random_class(Rng& rng) {
  std::u32string text = rng.below(3) == 0 ? U"[^" : U"[";
  for (int n = 1 + rng.below(3); n > 0; --n) {
    char32_t a = random_character(rng), b = random_character(rng);
    if (a == '-') a = 'a';
    if (b == '-') b = 'b';
    if (b < a) std::swap(a, b);
    text += a;
    if (rng.below(2) == 0) text += std::u32string(U"-") + b;
  }
  return text + U"]";
}

std::u32string random_expression(Rng& rng, int depth) {
  switch (rng.below(depth > 0 ? 9 : 3)) {
    case 0:
      return random_class(rng);
    case 1: {
      const std::array<std::u32string, 4> kShort = {U".", U"\\d", U"\\w", U"\\D"};
      return kShort[static_cast<size_t>(rng.below(4))];
    }
    case 2:
      return std::u32string(1, random_character(rng));
    case 3:
    case 4:
      return random_expression(rng, depth - 1) + random_expression(rng, depth - 1);
    case 5:
      return U"(?:" + random_expression(rng, depth - 1) + U"|" + random_expression(rng, depth - 1) +
             U")";
    case 6:
      return U"(" + random_expression(rng, depth - 1) + U")?";
    case 7:
      return U"(?:" + random_expression(rng, depth - 1) + U")*";
    default: {
      const int least = rng.below(3), most = least + rng.below(3);
      const std::string count =
          rng.below(3) == 0 ? fmt::format("{{{},}}", least) : fmt::format("{{{},{}}}", least, most);
      return U"(?:" + random_expression(rng, depth - 1) + U")" +
             std::u32string(count.begin(), count.end());
    }
  }
}

// Against the standard library's, which reads wide characters and knows nothing of bytes.
TEST(Expression, MatchesWhatAnotherImplementationDoes) {
  int matched = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const std::u32string written = random_expression(rng, 3);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << utf8_of(written));
    const Grammar grammar = grammar_of_expression(utf8_of(written));
    Automaton automaton(grammar);
    const std::wregex expected(wide_of(written));
    for (int i = 0; i < 40; ++i) {
      std::u32string text;
      for (int n = rng.below(6); n > 0; --n) text += random_character(rng);
      const bool matches = std::regex_match(wide_of(text), expected);
      ASSERT_EQ(is_text_of(automaton, utf8_of(text)), matches) << utf8_of(text);
      matched += matches;
    }
    for (int i = 0; i < 5; ++i) {
      const std::string text = random_text_of(automaton, rng);
      ASSERT_TRUE(is_utf8(text));
      std::wstring wide;
      for (std::string_view rest = text; !rest.empty();) {
        const Utf8Unit unit = utf8_front(rest);
        wide += static_cast<wchar_t>(unit.code_point);
        rest.remove_prefix(unit.size);
      }
      // Longer ones would take the other one long: it goes back and forth.
      ASSERT_TRUE(wide.size() >= 12 || std::regex_match(wide, expected)) << text;
    }
  }
  EXPECT_GT(matched, 500);
}

// All of Unicode, each code point for itself, and nothing that is not UTF-8.
TEST(Expression, AClassIsItsCodePointsInUtf8) {
  const Grammar any_grammar = grammar_of_expression("[^\\]-]");
  const Grammar some_grammar = grammar_of_expression("[\\u0123-\\u{10456}]");
  Automaton any(any_grammar), some(some_grammar);
  for (char32_t c = 0; c <= kLastCodePoint; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    const std::string text = utf8_of({c});
    ASSERT_EQ(is_text_of(any, text), c != ']' && c != '-') << static_cast<uint32_t>(c);
    ASSERT_EQ(is_text_of(some, text), c >= 0x123 && c <= 0x10456) << static_cast<uint32_t>(c);
  }
  for (const std::string_view broken :
       {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE0\x80\x80", "\x80", "\xC3",
        "\xF0\x8F\xBF\xBF", "\xFF"}) {
    EXPECT_FALSE(is_text_of(any, broken));
  }
}

TEST(Expression, PartsMatchAnywhereUnlessTheyAreHeldToABorder) {
  const auto matches = [](const char* expression, std::string_view text) {
    return is_text_of(grammar_of_expression(expression, Writing::plain, Extent::part), text);
  };
  EXPECT_TRUE(matches("b+", "abba\nc"));
  EXPECT_TRUE(matches("^a|b$", "axx"));
  EXPECT_TRUE(matches("^a|b$", "xxb"));
  EXPECT_FALSE(matches("^a|b$", "xax"));
  EXPECT_TRUE(matches("^(?:a|b)$", "b"));
  EXPECT_FALSE(matches("^(?:a|b)$", "bb"));
}

// In a JSON string the same characters, escaped where they must be.
TEST(Expression, IsWrittenAsAJsonStringIs) {
  const std::string expression = "[\\x00-\\x7f\\u00e9]{0,4}";
  const Grammar plain_grammar = grammar_of_expression(expression);
  const Grammar json_grammar = grammar_of_expression(expression, Writing::json_string);
  Automaton plain(plain_grammar), json(json_grammar);
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const std::string text = random_text_of(plain, rng);
    const std::string written = nlohmann::json(text).dump();
    EXPECT_TRUE(is_text_of(json, written.substr(1, written.size() - 2))) << written;
    const std::string sampled = '"' + random_text_of(json, rng) + '"';
    EXPECT_TRUE(is_text_of(plain, nlohmann::json::parse(sampled).get<std::string>())) << sampled;
  }
}

TEST(Expression, SaysWhatItCannotRead) {
  const auto complaint = [](std::string_view text) {
    const auto read = Expression::parse(text, Extent::whole);
    return read.ok() ? "" : read.error().message;
  };
  const auto has = [&](std::string_view text, const char* part) {
    EXPECT_NE(complaint(text).find(part), std::string::npos) << complaint(text);
  };
  EXPECT_EQ(complaint("^(?P<year>\\d{4})-(?<m>\\d{2})\\/[\\]^-]$"), "");
  has("a(b", "a '(' has no ')'");
  has("a)b", "at byte 2: ')' has no '('");
  has("[ab", "a '[' has no ']'");
  has("[b-a]", "backwards");
  has("[\\d-a]", "one character on each side");
  has("[]", "holds none");
  has("*a", "nothing to repeat");
  has("a**", "count stands behind another");
  has("a++", "possessive");
  has("a{2,1}", "smaller");
  has("a{b}", "expected a count");
  has("a{1000000}", "counts go up to");
  has("(?=a)", "look-around");
  has("(?i)a", "options");
  has("a\\1", "earlier group");
  has("a\\b", "\\b is not supported");
  has("\\p{L}", "\\p is not supported");
  has("a^b", "^ and $ may stand only");
  has("\\ud800", "hexadecimal");
  has("\\x4", "hexadecimal");
  has("a\\", "stands at the end");
  has("\xFF", "not UTF-8");
  has(std::string(20'000, 'a'), "use at most");
  has(std::string(300, '(') + std::string(300, ')'), "too deep");
}

// Counts within counts multiply; what would be too large is refused before it is built.
TEST(Expression, TooManyStatesAreRefused) {
  for (const char* text :
       {"((((a{100}){100}){100}){100}){100}", "(((((){9999}){9999}){9999}){9999}bb){60000}",
        "((a?){300}){400}", "[^a]{90000}"}) {
    GrammarBuilder builder;
    const auto expression = Expression::parse(text, Extent::whole);
    ASSERT_TRUE(expression.ok()) << expression.error().message;
    builder.end_rule(expression->add_to(builder, builder.begin_of(0), Writing::plain));
    const auto grammar = builder.finish();
    ASSERT_FALSE(grammar.ok()) << text;
    EXPECT_NE(grammar.error().message.find("too large"), std::string::npos);
  }
}

// What one reader of expressions takes for white space and another does not is neither \s nor \S.
TEST(Expression, NoKindOfWhiteSpaceIsSomethingElse) {
  const Grammar some = grammar_of_expression("\\s"), others = grammar_of_expression("\\S");
  for (const char* const narrow : {" ", "\t", "\n", "\v", "\f", "\r"}) {
    EXPECT_TRUE(is_text_of(some, narrow));
    EXPECT_FALSE(is_text_of(others, narrow));
  }
  for (const char* const wide : {"\x1C", "\x1F", "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80",
                                 "\xE2\x80\xA8", "\xE3\x80\x80", "\xEF\xBB\xBF"}) {
    EXPECT_FALSE(is_text_of(some, wide));
    EXPECT_FALSE(is_text_of(others, wide));
  }
  for (const char* const other : {"a", "\x1B", "\xC3\xA9", "\xE3\x80\x81"}) {
    EXPECT_FALSE(is_text_of(some, other));
    EXPECT_TRUE(is_text_of(others, other));
  }
}

}  // namespace
}  // namespace tidar
