#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <string>

namespace tidar {
namespace {

using Pieces = std::vector<std::string>;

Split split(std::string_view pattern, SplitBehavior behavior, bool invert = false) {
  auto regex = Regex::compile(pattern);
  EXPECT_TRUE(regex.ok());
  return {std::move(*regex), behavior, invert};
}

Pieces pieces(const PreTokenizer& pre_tokenizer, std::string_view text) {
  Pieces found;
  Matcher matcher;
  pre_tokenizer.split(text, TextPlace::begin, matcher,
                      [&](std::string_view piece) { found.emplace_back(piece); });
  return found;
}

Pieces pieces_of_one(Split one, std::string_view text) {
  std::vector<Split> splits;
  splits.push_back(std::move(one));
  return pieces(PreTokenizer(std::move(splits)), text);
}

// The example of the documentation of Hugging Face's tokenizers.
TEST(PreTokenizer, BehavioursAsDocumented) {
  const std::string text = "the-final--countdown";
  using enum SplitBehavior;
  EXPECT_EQ(pieces_of_one(split("-", removed), text), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(pieces_of_one(split("-", isolated), text),
            (Pieces{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(pieces_of_one(split("-", merged_with_previous), text),
            (Pieces{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(pieces_of_one(split("-", merged_with_next), text),
            (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(pieces_of_one(split("-", contiguous), text),
            (Pieces{"the", "-", "final", "--", "countdown"}));
}

TEST(PreTokenizer, InvertedMatchesAreWhatLiesBetween) {
  using enum SplitBehavior;
  EXPECT_EQ(pieces_of_one(split("[a-z]+", removed, true), "-a--bc"), (Pieces{"a", "bc"}));
  EXPECT_EQ(pieces_of_one(split("-", merged_with_next, true), "a-b"), (Pieces{"a-", "b"}));
}

TEST(PreTokenizer, EmptyMatchesCutAndLeaveNothing) {
  using enum SplitBehavior;
  EXPECT_EQ(pieces_of_one(split("(?=[A-Z])", isolated), "oneTwo\u00C9Three"),
            (Pieces{"one", "Two\u00C9", "Three"}));
  EXPECT_EQ(pieces_of_one(split("x*", isolated), "\u4E2Dxx"), (Pieces{"\u4E2D", "xx"}));
  EXPECT_EQ(pieces_of_one(split("$", isolated), "ab"), Pieces{"ab"});
  EXPECT_EQ(pieces_of_one(split("a", isolated), ""), Pieces{});
}

TEST(PreTokenizer, SplitsFollowOneAnotherWithTheSpaceBetween) {
  using enum SplitBehavior;
  for (size_t space_before : {size_t{0}, size_t{1}, size_t{2}}) {
    std::vector<Split> splits;
    splits.push_back(split("\\p{N}", isolated));
    splits.push_back(split(" ", isolated));
    const Pieces expected[] = {
        {" ", "a", " ", "b", "1"}, {" ", "a", " ", "b", " ", "1"}, {" a", " ", " b", " 1"}};
    EXPECT_EQ(pieces(PreTokenizer(std::move(splits), space_before), "a b1"), expected[space_before])
        << space_before;
  }
}

}  // namespace
}  // namespace tidar
