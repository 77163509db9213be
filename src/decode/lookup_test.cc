#include "decode/lookup.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;

Tokens drafted(const Tokens& text, int most, const LookupOptions& options) {
  const auto drafter = lookup_drafters(options)({}).value();
  const auto draft = drafter->draft(text, most);
  return {draft.begin(), draft.end()};
}

TEST(LookupDrafter, ContinuesTheNewestOfTheLongestOccurrences) {
  const LookupOptions options{.most_matched = 3, .least_matched = 1};
  // "2 3" has been continued by 4 and then by 5; "1 2 3" by 4 alone.
  EXPECT_EQ(drafted({1, 2, 3, 4, 0, 2, 3, 5, 0, 2, 3}, 3, options), (Tokens{5, 0, 2}));
  EXPECT_EQ(drafted({1, 2, 3, 4, 0, 2, 3, 5, 1, 2, 3}, 3, options), (Tokens{4, 0, 2}));
  EXPECT_EQ(drafted({1, 2, 3, 4, 0, 2, 3, 5, 1, 2, 3}, 2, options), (Tokens{4, 0}));
  EXPECT_EQ(drafted({1, 2, 3, 4, 5}, 3, options), Tokens{});
  EXPECT_EQ(drafted({7}, 3, options), Tokens{});
}

// More than `most_matched` tokens are not compared: then the newest occurrence counts.
TEST(LookupDrafter, MatchesNoMoreThanItIsTold) {
  const Tokens text{9, 1, 2, 3, 9, 8, 1, 2, 4, 9, 1, 2};
  EXPECT_EQ(drafted(text, 1, {.most_matched = 3, .least_matched = 1}), Tokens{3});
  EXPECT_EQ(drafted(text, 1, {.most_matched = 2, .least_matched = 1}), Tokens{4});
}

TEST(LookupDrafter, IsSilentBelowTheLeastMatch) {
  const Tokens text{1, 2, 3, 9, 2, 3};
  EXPECT_EQ(drafted(text, 1, {.most_matched = 4, .least_matched = 2}), Tokens{9});
  EXPECT_EQ(drafted(text, 1, {.most_matched = 4, .least_matched = 3}), Tokens{});
}

TEST(LookupDrafter, GoesOnWithALoop) {
  const LookupOptions options{.most_matched = 4, .least_matched = 1};
  EXPECT_EQ(drafted({5, 5}, 7, options), Tokens(7, 5));
  EXPECT_EQ(drafted({0, 1, 2, 3, 1, 2, 3}, 7, options), (Tokens{1, 2, 3, 1, 2, 3, 1}));
}

// The definition, word for word: of all earlier ends, the one with the longest common suffix, of
// these the last.
TEST(LookupDrafter, FindsWhatTheDefinitionSays) {
  Rng rng(1);
  for (int round = 0; round < 300; ++round) {
    Tokens text;
    for (int size = 1 + rng.below(40); size > 0; --size) text.push_back(rng.below(3));
    const int most = 1 + rng.below(5), least = 1 + rng.below(most);
    Tokens expected;
    for (int matched = most; matched >= least && expected.empty(); --matched) {
      const auto size = static_cast<int>(text.size());
      for (int end = size - 1; end >= matched && expected.empty(); --end)
        if (std::equal(text.begin() + end - matched, text.begin() + end, text.end() - matched))
          expected.push_back(text[static_cast<size_t>(end)]);
    }
    EXPECT_EQ(drafted(text, 1, {.most_matched = most, .least_matched = least}), expected)
        << testing::PrintToString(text) << ", " << least << " to " << most;
  }
}

TEST(LookupDrafter, RefusesOptionsOutOfRange) {
  const auto complaint = [](const LookupOptions& options) {
    const auto made = lookup_drafters(options)({});
    return made.ok() ? "" : made.error().message;
  };
  EXPECT_EQ(complaint({}), "");
  EXPECT_NE(complaint({.most_matched = 1, .least_matched = 2}).find("least 2"), std::string::npos);
  EXPECT_NE(complaint({.least_matched = 0}).find("least 0"), std::string::npos);
}

}  // namespace
}  // namespace tidar
