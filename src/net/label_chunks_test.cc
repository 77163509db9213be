#include "net/label_chunks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace tidar {
namespace {

// Rows 0 … 19 may have labels; those of the upper half a target in the lower one, with a label or
// without.
std::vector<Label> random_labels(Rng& rng, bool with_targets) {
  std::vector<Label> labels;
  for (int32_t row = 0; row < 20; ++row) {
    if (rng.below(4) == 0) continue;
    Label label = {row, rng.below(100), rng.uniform()};
    if (with_targets && row >= 10 && rng.below(4) > 0) {
      label.target = {rng.below(10), Distance::kl, rng.uniform()};
    }
    labels.push_back(label);
  }
  for (size_t i = labels.size(); i > 1; --i) {
    std::swap(labels[i - 1], labels[static_cast<size_t>(rng.below(static_cast<int>(i)))]);
  }
  return labels;
}

TEST(LabelChunks, WithoutTargetsLabelsKeepTheirOrder) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    const std::vector<Label> labels = random_labels(rng, false);
    const auto most = static_cast<size_t>(1 + rng.below(25));
    size_t number = 0;
    for (const LabelChunk& chunk : chunks_of(labels, static_cast<int64_t>(most))) {
      EXPECT_EQ(chunk.labels.size(), std::min(most, labels.size() - number));
      ASSERT_EQ(chunk.rows.size(), chunk.labels.size());
      for (size_t i = 0; i < chunk.rows.size(); ++i, ++number) {
        EXPECT_EQ(chunk.numbers[i], number);
        EXPECT_EQ(chunk.rows[i], labels[number].row);
      }
    }
    EXPECT_EQ(number, labels.size());
  }
}

TEST(LabelChunks, EveryTargetIsInItsChunk) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const std::vector<Label> labels = random_labels(rng, true);
    const int most = 1 + rng.below(25);
    std::vector<int> seen(labels.size(), 0);
    size_t rows = 0;
    for (const LabelChunk& chunk : chunks_of(labels, most)) {
      EXPECT_LE(std::ssize(chunk.rows), std::max(most, 2));
      ASSERT_FALSE(chunk.labels.empty());
      ASSERT_EQ(chunk.numbers.size(), chunk.labels.size());
      EXPECT_EQ(std::set(chunk.rows.begin(), chunk.rows.end()).size(), chunk.rows.size());
      std::set<int32_t> wanted;  // rows behind those of labels
      for (size_t i = 0; i < chunk.labels.size(); ++i) {
        const Label &found = chunk.labels[i], &given = labels[chunk.numbers[i]];
        ++seen[chunk.numbers[i]];
        EXPECT_EQ(chunk.rows[i], given.row);
        EXPECT_EQ(found.token, given.token);
        EXPECT_EQ(found.weight, given.weight);
        EXPECT_EQ(found.target.share, given.target.share);
        EXPECT_EQ(found.target.distance, given.target.distance);
        ASSERT_EQ(found.target.row < 0, given.target.row < 0);
        if (given.target.row < 0) continue;
        const auto at = static_cast<size_t>(found.target.row);
        ASSERT_LT(at, chunk.rows.size());
        EXPECT_EQ(chunk.rows[at], given.target.row);
        if (at < chunk.labels.size()) {
          EXPECT_LT(chunk.labels[at].target.row, 0);
        } else {
          wanted.insert(found.target.row);
        }
      }
      EXPECT_EQ(wanted.size(), chunk.rows.size() - chunk.labels.size()) << "rows for nothing";
      rows += chunk.rows.size();
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), std::ssize(labels));
    // With room for all, each row is computed once.
    if (most < 20) continue;
    std::set<int32_t> all;
    for (const Label& label : labels) {
      all.insert(label.row);
      if (label.target.row >= 0) all.insert(label.target.row);
    }
    EXPECT_EQ(rows, all.size());
  }
}

}  // namespace
}  // namespace tidar
