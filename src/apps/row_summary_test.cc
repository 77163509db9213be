#include "apps/row_summary.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

using Parts = std::vector<std::string>;

TEST(RowSummary, SaysWhatTheMethodHas) {
  RequestStats stats;
  EXPECT_EQ(row_parts(stats), Parts());  // no pass
  stats.add({.tokens = 1, .rows = 7});   // one that read the prompt does not count
  EXPECT_EQ(row_parts(stats), Parts());
  for (int i = 0; i < 2; ++i) stats.add({.tokens = 1, .decoding = true, .rows = 1});
  EXPECT_EQ(row_parts(stats), Parts({"1.0 rows per pass", "100 % of rows brought a token"}));

  RequestStats tidar;
  tidar.add({.tokens = 1, .rows = 12, .masks = 5, .used_masks = 5});
  tidar.add({.tokens = 4, .decoding = true, .drafted = 4, .accepted = 3, .rows = 10, .masks = 5});
  tidar.add({.tokens = 1, .decoding = true, .rows = 6, .masks = 5, .used_masks = 4});
  tidar.add({.tokens = 4, .decoding = true, .drafted = 4, .accepted = 4, .rows = 4});
  EXPECT_EQ(row_parts(tidar),
            Parts({"6.7 rows per pass", "45 % of rows brought a token", "7 of 8 guesses right",
                   "groups used in 1 of 3 passes", "60 % of masks wasted"}));
  OrderedJson json;
  put_rows(json, tidar);
  EXPECT_EQ(json, OrderedJson({{"rows", 20},
                               {"rows_per_pass", 20.0 / 3},
                               {"rows_that_brought_a_token", 9.0 / 20},
                               {"guesses", 8},
                               {"guesses_right", 7},
                               {"groups_used", 1.0 / 3},
                               {"masks", 10},
                               {"masks_wasted", 6.0 / 10}}));
}

}  // namespace
}  // namespace tidar
