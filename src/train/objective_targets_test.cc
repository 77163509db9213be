// What masks are held against besides their tokens.

#include <gtest/gtest.h>

#include "train/objective_testing.h"

namespace tidar {
namespace {

// A label of TiDAR's masks has for a target the causal row right before its place, and nothing else
// changes.
TEST(Targets, AreTheCausalRowsBeforeThePlaces) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    ObjectiveCase one = random_case(rng, ObjectiveKind::tidar);
    if (rng.below(2) == 0) {
      one.options.masking = Masking::full;
      one.options.block_start = BlockStart::anchors;
    }
    one.options.block_end = rng.below(2) == 0 ? BlockEnd::cut : BlockEnd::whole;
    const auto plain = one.passes();
    one.options.target = {rng.below(2) == 0 ? Distance::l1 : Distance::kl, 0.25};
    const auto passes = one.passes();
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      ASSERT_EQ(passes[p].labels.size(), plain[p].labels.size());
      for (size_t i = 0; i < passes[p].labels.size(); ++i) {
        const Label &label = passes[p].labels[i], &before = plain[p].labels[i];
        EXPECT_EQ(label.row, before.row);
        EXPECT_EQ(label.token, before.token);
        EXPECT_EQ(label.weight, before.weight);
        EXPECT_LT(before.target.row, 0);
        const int32_t position = pass.positions[static_cast<size_t>(label.row)];
        if (passes[p].shares[i].term == 0 || position == 0) {
          EXPECT_LT(label.target.row, 0);
          continue;
        }
        EXPECT_EQ(label.target.distance, one.options.target.distance);
        EXPECT_EQ(label.target.share, 0.25f);
        ASSERT_GE(label.target.row, 0);
        const auto target = static_cast<size_t>(label.target.row);
        EXPECT_EQ(pass.positions[target], position - 1);
        EXPECT_EQ(pass.sights[target], (Sight{{0, position}, {}}));
        const auto sequence_of = [&](int32_t row) {
          size_t d = 0;
          while (row >= pass.sequences[d].first_row + pass.sequences[d].rows) ++d;
          return d;
        };
        EXPECT_EQ(sequence_of(label.target.row), sequence_of(label.row));
      }
    }
  }
}

TEST(Targets, ValidationHasNone) {
  ObjectiveOptions options;
  options.target.share = 0.5;
  EXPECT_EQ(measured(options).target.share, 0);
}

TEST(Targets, SharesAreParts) {
  ObjectiveOptions options = {.kind = ObjectiveKind::tidar, .mask_token = kMask, .block_size = 4};
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    options.target.share = share;
    const auto made = make_objective(options, {kLongest, kVocabulary});
    ASSERT_FALSE(made.ok());
    EXPECT_NE(made.error().message.find("expected 0 to 1"), std::string::npos);
  }
}

}  // namespace
}  // namespace tidar
