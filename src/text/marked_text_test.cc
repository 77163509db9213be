#include "text/marked_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace tidar {
namespace {

/// Upper case is the author's, lower case the user's.
MarkedText marked_by_case(const std::string& text) {
  MarkedText result;
  for (char c : text) {
    result.append(std::string(1, c), c >= 'a' && c <= 'z' ? Origin::user : Origin::author);
  }
  return result;
}

TEST(MarkedText, SpansOfTheUserAreJoined) {
  const MarkedText text = marked_by_case("AbcDDe");
  EXPECT_EQ(text.bytes(), "AbcDDe");
  EXPECT_EQ(text.user(), (std::vector<Span>{{1, 3}, {5, 6}}));
  EXPECT_EQ(text.origin(0), Origin::author);
  EXPECT_EQ(text.origin(1), Origin::user);
  EXPECT_EQ(text.origin(2), Origin::user);
  EXPECT_EQ(text.origin(3), Origin::author);
  EXPECT_EQ(marked_by_case("AB").origin(), Origin::author);
  EXPECT_EQ(text.origin(), Origin::user);
}

TEST(MarkedText, EmptyTextsLeaveNoMarks) {
  MarkedText text("", Origin::user);
  text.append("A", Origin::author);
  text.append("", Origin::user);
  text.append(MarkedText());
  EXPECT_TRUE(text.user().empty());
}

// Whatever is cut and joined, each byte keeps its origin, and spans stay sorted and apart.
TEST(MarkedText, CutsAndJoinsKeepOrigins) {
  std::mt19937 rng(std::random_device{}());
  for (int round = 0; round < 300; ++round) {
    MarkedText text;
    std::string expected;
    for (int piece = 0; piece < 8; ++piece) {
      std::string source;
      for (unsigned i = rng() % 9; i > 0; --i) source += "AaBb"[rng() % 4];
      const size_t end = rng() % (source.size() + 1), begin = rng() % (end + 1);
      text.append(marked_by_case(source).slice({0, end}), {begin, end});
      expected += source.substr(begin, end - begin);
    }
    ASSERT_EQ(text.bytes(), expected);
    EXPECT_EQ(text.user(), marked_by_case(expected).user()) << expected;
  }
}

}  // namespace
}  // namespace tidar
