#include "text/added_tokens.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace tidar {
namespace {

using Found = std::vector<std::pair<int32_t, std::string>>;

Found split(const AddedTokens& tokens, std::string_view text) {
  Matcher matcher;
  std::vector<TextSection> sections;
  tokens.split(text, matcher, sections);
  Found found;
  for (const TextSection& section : sections) found.emplace_back(section.id, section.text);
  return found;
}

AddedTokens build(std::vector<AddedToken> tokens) {
  auto built = AddedTokens::build(std::move(tokens));
  EXPECT_TRUE(built.ok());
  return std::move(*built);
}

AddedToken token(int32_t id, std::string content) {
  AddedToken made;
  made.id = id;
  made.content = std::move(content);
  return made;
}

/// From the left, the longest at each place.
Found defined(const std::vector<AddedToken>& tokens, const std::string& text) {
  Found found;
  std::string between;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* best = nullptr;
    for (const AddedToken& each : tokens) {
      if (text.compare(at, each.content.size(), each.content) != 0) continue;
      if (best == nullptr || each.content.size() > best->content.size()) best = &each;
    }
    if (best == nullptr) {
      between += text[at++];
      continue;
    }
    if (!between.empty()) found.emplace_back(-1, between);
    between.clear();
    found.emplace_back(best->id, best->content);
    at += best->content.size();
  }
  if (!between.empty()) found.emplace_back(-1, between);
  return found;
}

TEST(AddedTokens, FindsTheLongestFromTheLeft) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Rng rng(seed);
    const auto random_text = [&](int longest) {
      std::string text;
      for (int n = 1 + rng.below(longest); n > 0; --n) text += "ab\xC3"[rng.below(3)];
      return text;
    };
    std::vector<AddedToken> tokens;
    for (int32_t id = rng.below(8); id >= 0; --id) tokens.push_back(token(id, random_text(5)));
    const AddedTokens added = build(tokens);
    const std::string text = random_text(30);
    ASSERT_EQ(split(added, text), defined(tokens, text)) << "seed " << seed;
    for (const AddedToken& each : tokens) {
      ASSERT_EQ(added.find(each.content), defined(tokens, each.content)[0].first);
    }
  }
}

TEST(AddedTokens, NoneOfThem) {
  EXPECT_EQ(split(AddedTokens(), "abc"), (Found{{-1, "abc"}}));
  EXPECT_EQ(split(AddedTokens(), ""), Found{});
  EXPECT_EQ(AddedTokens().find("abc"), -1);
}

TEST(AddedTokens, StripsWhiteSpaceOnTheSidesItNames) {
  AddedToken both = token(1, "<x>");
  both.lstrip = both.rstrip = true;
  EXPECT_EQ(split(build({both}), "a \n<x>\u3000b"),
            (Found{{-1, "a"}, {1, " \n<x>\u3000"}, {-1, "b"}}));
  EXPECT_EQ(split(build({both}), "<x> <x>"), (Found{{1, "<x> "}, {1, "<x>"}}));
  AddedToken left = token(1, "<x>");
  left.lstrip = true;
  EXPECT_EQ(split(build({left}), " <x> "), (Found{{1, " <x>"}, {-1, " "}}));
}

TEST(AddedTokens, SingleWordsStandAlone) {
  AddedToken word = token(1, "x");
  word.single_word = true;
  const AddedTokens tokens = build({word});
  EXPECT_EQ(split(tokens, "x-x"), (Found{{1, "x"}, {-1, "-"}, {1, "x"}}));
  for (const char* text : {"ax", "x\u00E9", "\u4E2Dx", "x1", "_x", "x\u0301", "\u200Dx", "xx"}) {
    EXPECT_EQ(split(tokens, text), (Found{{-1, text}}));
  }
}

}  // namespace
}  // namespace tidar
