#include "engine/stop_strings.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace tidar {
namespace {

struct Outcome {
  std::string text;
  bool found = false;
  bool operator==(const Outcome&) const = default;
};

/// The definition, letter by letter: the text ends before the longest stop string that is complete
/// at the earliest letter.
Outcome expected(const std::string& text, const std::vector<std::string>& strings) {
  for (size_t end = 1; end <= text.size(); ++end) {
    const std::string_view seen = std::string_view(text).substr(0, end);
    size_t longest = 0;
    for (const std::string& string : strings) {
      if (seen.ends_with(string)) longest = std::max(longest, string.size());
    }
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

std::string random_word(Rng& rng, int shortest, int longest) {
  std::string word;
  for (int n = shortest + rng.below(longest - shortest + 1); n > 0; --n) {
    word += static_cast<char>('a' + rng.below(2));
  }
  return word;
}

TEST(StopStrings, AnyCutOfTheTextGivesTheSame) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::vector<std::string> strings;
    for (int n = rng.below(4); n > 0; --n) strings.push_back(random_word(rng, 1, 5));
    const std::string text = random_word(rng, 0, 14);
    StopStrings stops(strings);
    Outcome outcome;
    for (size_t at = 0; at < text.size();) {
      const auto length = 1 + static_cast<size_t>(rng.below(4));
      outcome.text += stops.push(std::string_view(text).substr(at, length));
      at += length;
      const Outcome so_far = expected(text.substr(0, at), strings);
      ASSERT_EQ(stops.found(), so_far.found);
      ASSERT_TRUE(so_far.text.starts_with(outcome.text)) << "released too much";
    }
    outcome.text += stops.finish();
    outcome.found = stops.found();
    ASSERT_EQ(outcome, expected(text, strings)) << text;
  }
}

TEST(StopStrings, HoldsBackOnlyWhatCouldBecomeAStop) {
  StopStrings stops({"\n\nQ:", "END"});
  EXPECT_EQ(stops.push("one EN"), "one ");
  EXPECT_EQ(stops.push("TRY\n"), "ENTRY");
  EXPECT_EQ(stops.push("\nA: "), "\n\nA: ");
  EXPECT_EQ(stops.push("two\n\nQ"), "two");
  EXPECT_EQ(stops.push(": three"), "");
  EXPECT_TRUE(stops.found());
  EXPECT_EQ(stops.push("four"), "");
  EXPECT_EQ(stops.finish(), "");
}

TEST(StopStrings, WithoutStringsEverythingPasses) {
  StopStrings stops({});
  EXPECT_EQ(stops.push("abc"), "abc");
  EXPECT_EQ(stops.finish(), "");
  EXPECT_FALSE(stops.found());
}

}  // namespace
}  // namespace tidar
