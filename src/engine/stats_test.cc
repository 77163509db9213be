#include "engine/stats.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

const std::vector<StepStats> kSteps = {
    {.tokens = 1, .rows = 9, .masks = 3, .used_masks = 2, .prefill_s = 0.5},
    {.tokens = 3,
     .decoding = true,
     .drafted = 2,
     .accepted = 2,
     .drafter_passes = 1,
     .rows = 8,
     .masks = 3,
     .used_masks = 2,
     .guessed_right = true,
     .decode_s = 0.25},
    {.tokens = 0, .decoding = true, .drafted = 4, .rows = 6, .masks = 1, .decode_s = 0.25},
    {.tokens = 1, .decoding = true, .rows = 1, .decode_s = 1}};

TEST(RequestStats, RowsAreThoseOfDecodingPasses) {
  RequestStats stats;
  EXPECT_EQ(stats.rows_per_pass(), 0);
  EXPECT_EQ(stats.yield(), 0);
  EXPECT_EQ(stats.groups_used(), 0);
  EXPECT_EQ(stats.masks_wasted(), 0);
  for (const StepStats& step : kSteps) stats.add(step);
  EXPECT_DOUBLE_EQ(stats.rows_per_pass(), 15.0 / 3);
  EXPECT_DOUBLE_EQ(stats.yield(), 4.0 / 15);
  EXPECT_DOUBLE_EQ(stats.groups_used(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(stats.masks_wasted(), 2.0 / 4);
  EXPECT_EQ(stats.guessed_right, 1);
  EXPECT_EQ(stats.guesses(), (DraftPlace{.drafted = 6, .accepted = 2}));
}

TEST(RequestStats, TheSumOfRequestsIsTheSumOfTheirSteps) {
  for (size_t first_steps = 0; first_steps <= kSteps.size(); ++first_steps) {
    RequestStats all, sum, other;
    for (size_t i = 0; i < kSteps.size(); ++i) {
      all.add(kSteps[i]);
      (i < first_steps ? sum : other).add(kSteps[i]);
    }
    sum.prompt_tokens = 9, other.prompt_tokens = 5;
    sum.waiting_s = 2, other.waiting_s = 1;
    sum.add(other);
    EXPECT_EQ(sum.prompt_tokens, 14);
    EXPECT_EQ(sum.waiting_s, 3);
    EXPECT_EQ(sum.new_tokens, all.new_tokens);
    EXPECT_EQ(sum.passes, all.passes);
    EXPECT_EQ(sum.decoded, all.decoded);
    EXPECT_EQ(sum.accepted, all.accepted);
    EXPECT_EQ(sum.places, all.places);
    EXPECT_EQ(sum.drafter_passes, all.drafter_passes);
    EXPECT_EQ(sum.rows, all.rows);
    EXPECT_EQ(sum.masks, all.masks);
    EXPECT_EQ(sum.used_masks, all.used_masks);
    EXPECT_EQ(sum.used_groups, all.used_groups);
    EXPECT_EQ(sum.guessed_right, all.guessed_right);
    EXPECT_EQ(sum.prefill_s, all.prefill_s);
    EXPECT_EQ(sum.decode_s, all.decode_s);
  }
}

}  // namespace
}  // namespace tidar
