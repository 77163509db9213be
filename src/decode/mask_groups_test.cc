#include "decode/mask_groups.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

// Groups as "accepted:masks …".
std::string text_of(const std::vector<MaskGroup>& groups) {
  std::string text;
  for (const MaskGroup& group : groups) {
    if (!text.empty()) text += ' ';
    text += std::to_string(group.accepted) + ':' + std::to_string(group.masks);
  }
  return text;
}

StepFrame frame(int draft_length, int row_budget = 1000, int positions_left = 1000) {
  return {.draft_length = draft_length,
          .row_budget = row_budget,
          .positions_left = positions_left,
          .mixes = false};
}

StepFrame mixing(StepFrame plain) {
  plain.mixes = true;
  return plain;
}

using Kept = std::vector<int>;

TEST(GroupPolicy, KeepsTheGroupsItWasTold) {
  const std::vector<float> confidences{0, -0.1f, -2};
  const auto kept = [&](const char* text) {
    return kept_groups(parse_policy(text).value(), 4, confidences);
  };
  EXPECT_EQ(kept("all"), (Kept{1, 2, 3}));
  EXPECT_EQ(kept("last"), (Kept{4}));
  EXPECT_EQ(kept("4,1"), (Kept{4, 1}));
  EXPECT_EQ(kept("none"), Kept());
  // By chances of 1 - 0.90, 0.90 (1 - 0.14) and 0.90 · 0.14.
  EXPECT_EQ(kept("likeliest:2"), (Kept{2, 3}));
  EXPECT_EQ(kept("likeliest:9"), (Kept{2, 3, 1}));
  EXPECT_EQ(kept_groups(parse_policy("likeliest:1").value(), 4, std::vector<float>{0}), (Kept{1}));
}

TEST(GroupPolicy, IsReadAsItIsWritten) {
  const GroupPolicy likeliest{.kind = GroupPolicy::Kind::likeliest, .count = 12};
  const GroupPolicy last{.kind = GroupPolicy::Kind::last};
  for (const GroupPolicy& policy :
       {GroupPolicy(), last, likeliest, no_groups(), only_groups({3}), only_groups({4, 1, 12})}) {
    EXPECT_EQ(parse_policy(text_of(policy)).value(), policy) << text_of(policy);
  }
  EXPECT_EQ(parse_policy("first").value(), only_groups({1}));
  EXPECT_EQ(text_of(only_groups({4, 1})), "4,1");
  EXPECT_EQ(text_of(likeliest), "likeliest:12");
  EXPECT_NE(only_groups({4, 1}), only_groups({1, 4}));
  EXPECT_NE(GroupPolicy(), no_groups());
}

TEST(GroupPolicy, WhatIsWrongIsSaid) {
  for (const char* text : {"", "some", "1,", ",1", "1,,2", "1 2", "-1", "1x", "likeliest",
                           "likeliest:", "likeliest:0", "likeliest:2x", "99999999999"}) {
    const auto policy = parse_policy(text);
    ASSERT_FALSE(policy.ok()) << text;
    EXPECT_EQ(
        policy.error().message,
        "expected auto, all, first, last, none, likeliest:N, or numbers such as 1,3,4, found '" +
            std::string(text) + "'");
  }
  const auto complaint = [](const char* text) {
    const auto checked = check_policy(parse_policy(text).value(), 4);
    return checked.ok() ? "" : checked.error().message;
  };
  EXPECT_EQ(complaint("4,1"), "");
  EXPECT_EQ(complaint("all"), "");
  EXPECT_EQ(complaint("1,5"), "a draft of 4 tokens has the groups 1 to 4, and no group 5");
  EXPECT_EQ(complaint("0"), "a draft of 4 tokens has the groups 1 to 4, and no group 0");
  EXPECT_EQ(complaint("2,1,2"), "group 2 is named twice");
}

TEST(FitGroups, KeepsWhatThePolicyWants) {
  EXPECT_EQ(text_of(fit_groups(4, Kept{1, 2, 3, 4}, frame(4))), "1:4 2:4 3:4 4:4");
  EXPECT_EQ(text_of(fit_groups(4, Kept{3, 1}, frame(4))), "1:4 3:4");
  EXPECT_EQ(text_of(fit_groups(4, Kept{}, frame(4))), "");
  EXPECT_EQ(text_of(fit_groups(3, Kept{-1, 0, 2, 2, 4}, frame(4))), "2:4");
}

TEST(FitGroups, OneDraftAlwaysKeepsItsGroup) {
  EXPECT_EQ(text_of(fit_groups(1, Kept{3}, frame(4))), "1:4");
  EXPECT_EQ(text_of(fit_groups(1, Kept{}, mixing(frame(4)))), "1:4");
}

TEST(FitGroups, AMixingStepKeepsMaskZeroOfEveryGroup) {
  EXPECT_EQ(text_of(fit_groups(4, Kept{2}, mixing(frame(4)))), "1:1 2:4 3:1 4:1");
  EXPECT_EQ(text_of(fit_groups(1, Kept{1}, mixing(frame(1)))), "1:1");
  EXPECT_EQ(text_of(fit_groups(1, Kept{1}, frame(1))), "");
}

TEST(FitGroups, RowsGoToTheMostWantedFirst) {
  EXPECT_EQ(text_of(fit_groups(3, Kept{3, 1, 2}, frame(4, 3 + 6))), "1:2 3:4");
  EXPECT_EQ(text_of(fit_groups(3, Kept{3, 1, 2}, frame(4, 3 + 5))), "3:4");
  EXPECT_EQ(text_of(fit_groups(3, Kept{1, 2, 3}, mixing(frame(4, 6 + 4)))), "1:4 2:2 3:1");
  EXPECT_EQ(text_of(fit_groups(3, Kept{1, 2, 3}, mixing(frame(4, 6)))), "1:1 2:1 3:1");
}

TEST(FitGroups, NoMaskStandsWhereNoDraftIsOfUse) {
  // Drafts at 0 … 2, the last position is 5: drafts up to 4 are of use.
  EXPECT_EQ(text_of(fit_groups(3, Kept{1, 2, 3}, frame(4, 100, 6))), "1:4 2:3 3:2");
  EXPECT_EQ(text_of(fit_groups(3, Kept{1, 2, 3}, mixing(frame(4, 100, 5)))), "1:3 2:2 3:1");
}

TEST(FitDrafts, LeavesRoomForWhatFollows) {
  EXPECT_EQ(fit_drafts(4, frame(4)), 4);
  EXPECT_EQ(fit_drafts(4, frame(4, 3)), 3);
  EXPECT_EQ(fit_drafts(4, mixing(frame(4, 7))), 3);
  EXPECT_EQ(fit_drafts(4, frame(4, 100, 3)), 2);
  EXPECT_EQ(fit_drafts(4, frame(4, 100, 2)), 1);
}

TEST(NextDraft, TakesTheTailOfTheNearestGroup) {
  const auto expect = [](std::vector<MaskGroup> groups, int accepted, int32_t row, int masks) {
    int32_t next_row = 100;
    for (MaskGroup& group : groups) {
      group.first_row = next_row;
      next_row += group.masks;
    }
    const MaskRun run = next_draft(groups, accepted);
    EXPECT_EQ(run.masks, masks);
    if (masks == 0) return;
    EXPECT_EQ(run.first_row, row);
  };
  expect({{1, 4}, {2, 4}, {3, 4}}, 2, 105, 3);
  expect({{1, 4}, {3, 4}}, 2, 102, 2);
  expect({{1, 4}, {3, 4}}, 1, 101, 3);
  expect({{2, 4}}, 1, 0, 0);
  expect({{1, 4}}, 4, 0, 0);
  expect({{1, 4}}, 3, 103, 1);
  expect({}, 1, 0, 0);
  // A group of one mask is there to be mixed in; it drafts nothing.
  expect({{1, 4}, {2, 1}, {3, 1}}, 2, 102, 2);
  expect({{1, 1}}, 1, 0, 0);
}

// On random frames nothing breaks a limit, and the masks of next_draft stand where the next draft
// belongs.
TEST(FitGroups, HoldsItsLimits) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    StepFrame f = frame(1 + rng.below(8), 2 + rng.below(60), 2 + rng.below(20));
    f.mixes = rng.below(2) == 1;
    const int drafts = fit_drafts(1 + rng.below(f.draft_length), f);
    ASSERT_GE(drafts, 1);
    Kept kept;
    for (int i = rng.below(10); i > 0; --i) kept.push_back(rng.below(10));
    std::vector<MaskGroup> groups = fit_groups(drafts, kept, f);

    std::vector<int> position(static_cast<size_t>(drafts));  // of each row, from the first draft's
    for (MaskGroup& group : groups) {
      ASSERT_GE(group.accepted, 1);
      ASSERT_LE(group.accepted, drafts);
      ASSERT_GE(group.masks, f.mixes ? 1 : 2);
      ASSERT_LE(group.masks, f.draft_length);
      group.first_row = static_cast<int32_t>(position.size());
      for (int m = 0; m < group.masks; ++m) position.push_back(group.accepted + m);
    }
    ASSERT_LE(static_cast<int>(position.size()), f.row_budget);
    for (const int at : position) ASSERT_LT(at, f.positions_left);
    for (int accepted = 1; accepted <= drafts; ++accepted) {
      ASSERT_TRUE(!f.mixes || group_row(groups, accepted) >= drafts);
      const MaskRun run = next_draft(groups, accepted);
      for (int m = 0; m < run.masks; ++m) {
        const int at = position[static_cast<size_t>(run.first_row + m)];
        ASSERT_EQ(at, accepted + 1 + m);
        ASSERT_LT(at, f.positions_left - 1);
      }
    }
  }
}

}  // namespace
}  // namespace tidar
