#include "apps/explained.h"

#include <gtest/gtest.h>

#include "engine/explanation_testing.h"

namespace tidar {
namespace {

TEST(Explained, AnOfferAndWhatWasGrantedOfIt) {
  EXPECT_EQ(explained_line(12, offered_pass()),
            "  12   3   2/2    7     6  12.35  1.500  3.15  90 50; 3x4 45* | 1x4 10 2+3 2");
  Explanation refused = offered_pass();
  refused.granted = 2;
  refused.report.groups.clear();
  refused.report.used = {};
  EXPECT_EQ(explained_line(3, refused),
            "   3   3   2/2    7     6  12.35  1.500  1.90  90 | 50; 3x4 45 1x4 10 2+3 2");
  // Of a case that both a group and a guessed one are for, that one is marked which is used.
  Explanation both = offered_pass();
  both.offer->bundles[3].group = both.report.groups[0].accepted = 2;
  both.granted = 15;
  both.report.guessed = {{.accepted = 2, .token = 5, .masks = 3, .token_row = 9}};
  both.report.used = {.first_row = 10, .masks = 3};
  EXPECT_EQ(explained_line(12, both),
            "  12   3   2/2    7     6  12.35  1.500  3.70  90 50; 3x4 45 2x4 10 2+3 2*");
  refused.granted = 1;
  refused.offer->bundles.clear();
  EXPECT_EQ(explained_line(3, refused),
            "   3   3   2/2    7     6  12.35  1.500  1.00  nothing is offered");
}

TEST(Explained, PassesWithoutOffers) {
  Explanation pass;
  pass.report.rows = 200;
  pass.pass.seconds = 2;
  EXPECT_EQ(explained_line(1, pass),
            "   1   0     -  200     0   2000      -     -  reads the prompt");
  pass.report.groups = {{.accepted = 1, .masks = 8, .first_row = 199}};
  pass.report.used = {.first_row = 200, .masks = 7};
  EXPECT_EQ(explained_line(1, pass),
            "   1   0     -  200     0   2000      -     -  reads the prompt; 1x8*");
  pass.report.decoding = true;
  EXPECT_EQ(explained_line(1, pass), "   1   0     -  200     0   2000      -     -  1x8*");
  pass.report.guessed = {{.accepted = 2, .token = 5, .masks = 3, .token_row = 190}};
  EXPECT_EQ(explained_line(1, pass), "   1   0     -  200     0   2000      -     -  1x8* 2+3");
  pass.report.used = {.first_row = 191, .masks = 3};
  EXPECT_EQ(explained_line(1, pass), "   1   0     -  200     0   2000      -     -  1x8 2+3*");
  pass.report.guessed.clear();
  pass.report.groups.clear();
  EXPECT_EQ(explained_line(1, pass), "   1   0     -  200     0   2000      -     -");
}

TEST(Explained, LinesFitATerminal) {
  EXPECT_LE(kExplainedHeading.size(), 80u);
  Explanation pass = offered_pass();
  pass.offer->bundles.insert(pass.offer->bundles.begin(), 40, pass.offer->bundles[0]);
  const std::string line = explained_line(9999, pass);
  EXPECT_EQ(line.size(), 80u);
  EXPECT_TRUE(line.ends_with("..."));
}

}  // namespace
}  // namespace tidar
