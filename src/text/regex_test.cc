#include "text/regex.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidar {
namespace {

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  auto regex = Regex::compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.error().message;
  std::vector<std::string> found;
  if (!regex.ok()) return found;
  Matcher matcher;
  Span match;
  for (size_t from = 0; matcher.find(*regex, text, from, match); from = match.end) {
    found.emplace_back(text.substr(match.begin, match.size()));
    if (match.size() == 0) break;
  }
  return found;
}

using Matches = std::vector<std::string>;

TEST(Regex, MatchesAsOnigurumaDoes) {
  EXPECT_EQ(matches("\\p{L}+", "a\u00E9\u4E2D1b"), (Matches{"a\u00E9\u4E2D", "b"}));
  EXPECT_EQ(matches("(?i:'s|'ll)", "'S 'Ll '\u017F"), (Matches{"'S", "'Ll", "'\u017F"}));
  EXPECT_EQ(matches("\\s", " \u0085\u180E\u3000\u200B"), (Matches{" ", "\u0085", "\u3000"}));
  EXPECT_EQ(matches("[^\\S\\n]+", " \n\t\t"), (Matches{" ", "\t\t"}));
  EXPECT_EQ(matches("\\w+", "a\u0301_1\u203F-b"), (Matches{"a\u0301_1\u203F", "b"}));
  EXPECT_EQ(matches("\\W", "a-\u0301"), (Matches{"-"}));
  EXPECT_EQ(matches("\\d\\D", "1a\u0661b\u00BDc"), (Matches{"1a", "\u0661b"}));
  EXPECT_EQ(matches("\\v", "\n\v\f"), (Matches{"\v"}));
  EXPECT_EQ(matches("[\\u4e00-\\u9fa5]+", "a\u4E2D\u6587b"), (Matches{"\u4E2D\u6587"}));
  EXPECT_EQ(matches("\\p{N}{1,3}", "12345"), (Matches{"123", "45"}));
  EXPECT_EQ(matches("\\s+(?!\\S)|\\s+", "a   b  "), (Matches{"  ", " ", "  "}));
  EXPECT_EQ(matches("(?<=a)b|(?<!a)c", "abacxc"), (Matches{"b", "c"}));
  EXPECT_EQ(matches("^a|b$", "a\nab\nb"), (Matches{"a", "a", "b", "b"}));
  EXPECT_EQ(matches(".", "\r\n\u2028"), (Matches{"\r", "\u2028"}));
  EXPECT_EQ(matches("[\\[\\]\\^\\-\\\\]", "[x]^-\\"), (Matches{"[", "]", "^", "-", "\\"}));
}

TEST(Regex, AScriptIsNotItsExtensions) {
  // U+3001, the comma of Chinese and Japanese, is of script Common and extends Han.
  EXPECT_EQ(matches("\\p{Han}", "\u4E2D\u3001"), (Matches{"\u4E2D"}));
  EXPECT_EQ(matches("\\p{^Han}", "\u4E2D\u3001"), (Matches{"\u3001"}));
  EXPECT_EQ(matches("\\P{Han}", "\u4E2D\u3001"), (Matches{"\u3001"}));
}

TEST(Regex, RefusesWhatTheLibrariesReadDifferently) {
  for (const char* pattern :
       {"a{2}+", "a{,3}", "a{x}",     "a{2",    "[a[b]]",     "[a&&b]",  "[[:alpha:]]",
        "[]a]",  "[^]a]", "[a",       "(?m:a)", "(?<name>a)", "(*UTF)a", "\\h",
        "\\R",   "\\X",   "\\b",      "\\K",    "\\1",        "\\xE4",   "\\pL",
        "\\p{L", "\\p{}", "\\p{L=x}", "\\u12",  "\\u12G4",    "[\\W]",   "a\\"}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_NE(regex.error().message.find(pattern), std::string::npos) << regex.error().message;
  }
}

TEST(Regex, NamesWhatCannotBeCompiled) {
  const auto open = Regex::compile("(a");
  ASSERT_FALSE(open.ok());
  EXPECT_NE(open.error().message.find("parenthesis"), std::string::npos) << open.error().message;
  EXPECT_FALSE(Regex::compile("\\p{Nonsense}").ok());
}

TEST(Regex, LiteralTakesNothingForASign) {
  auto regex = Regex::literal("a.\\s(");
  ASSERT_TRUE(regex.ok());
  Matcher matcher;
  Span match;
  ASSERT_TRUE(matcher.find(*regex, "abc a.\\s(", 0, match));
  EXPECT_EQ(match.begin, 4u);
  EXPECT_EQ(match.end, 9u);
}

TEST(Regex, LongRunsOfOneCharacter) {
  const std::string spaces(1 << 20, ' ');
  EXPECT_EQ(matches("\\s+(?!\\S)|\\s+", spaces), Matches{spaces});
  EXPECT_EQ(matches("\\s+(?!\\S)|\\s+", " " + spaces + "x"), (Matches{spaces, " "}));
}

TEST(Regex, LongRunsOfGroupsOutgrowTheSmallStack) {
  const std::string text = std::string(100'000, 'a') + " ";
  EXPECT_EQ(matches("(?:ab|a)+\\s", text), Matches{text});
}

TEST(Regex, APatternThatGoesAstrayMatchesNothing) {
  EXPECT_EQ(matches("(?:a|a)+\\d", std::string(5000, 'a')), Matches{});
  EXPECT_EQ(matches("(?:a|a)+\\d", "aa1"), Matches{"aa1"});
}

}  // namespace
}  // namespace tidar
