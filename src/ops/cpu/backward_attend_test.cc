#include "ops/cpu/backward_attend.h"

#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"

namespace tidar::cpu {
namespace {

constexpr uint64_t kAttendSeed = 20251125;

// By definition: blocks of the keys that some row of the block sees.
std::set<int32_t> blocks_seen(std::span<const Sight> sights, int64_t row_block) {
  std::set<int32_t> blocks;
  for (int64_t row = row_block * kAttendBlock;
       row < std::min<int64_t>((row_block + 1) * kAttendBlock, std::ssize(sights)); ++row) {
    const Sight& sight = sights[static_cast<size_t>(row)];
    for (const KeyRange& range : {sight.prefix, sight.block}) {
      for (int32_t key = range.from; key < range.to; ++key) blocks.insert(key / kAttendBlock);
    }
  }
  return blocks;
}

void expect_exact(std::span<const Sight> sights) {
  const KeyBlocks keys(sights);
  ASSERT_EQ(keys.row_blocks(), (std::ssize(sights) + kAttendBlock - 1) / kAttendBlock);
  for (int64_t block = 0; block < keys.row_blocks(); ++block) {
    const auto listed = keys.of(block);
    EXPECT_EQ(std::set<int32_t>(listed.begin(), listed.end()), blocks_seen(sights, block));
    EXPECT_TRUE(std::is_sorted(listed.begin(), listed.end()));
  }
}

TEST(KeyBlocks, AreThoseThatARowSeesAndNoOthers) {
  Rng rng(kAttendSeed);
  for (int round = 0; round < 50; ++round) {
    const int rows = rng.below(400);
    std::vector<Sight> sights;
    const auto random_range = [&] {
      const int from = rng.below(rows);
      return KeyRange{from, from + rng.below(std::min(rows - from, 100) + 1)};
    };
    for (int r = 0; r < rows; ++r) {
      Sight sight;
      if (rng.below(3) > 0) sight.prefix = random_range();
      if (rng.below(3) > 0) sight.block = random_range();
      sights.push_back(sight);
    }
    expect_exact(sights);
  }
}

// TiDAR's training: block b of the clean half looks at b + 1 blocks. Block b of the masks looks at
// as many clean ones, of whose last its last masks see a part, and at itself.
TEST(KeyBlocks, OfTrainingAreTwoTrianglesAndTheMasksThemselves) {
  constexpr int kClean = 512, kBlock = 16;
  std::vector<Sight> sights;
  for (int r = 0; r < kClean; ++r) sights.push_back({{0, r + 1}, {}});
  for (int r = 0; r < kClean; ++r) {
    const int seen = r / kBlock * kBlock;
    sights.push_back({{0, seen}, {kClean + seen, kClean + seen + kBlock}});
  }
  const KeyBlocks keys(sights);
  expect_exact(sights);
  for (int64_t b = 0; b < 8; ++b) {
    EXPECT_EQ(keys.of(b).size(), static_cast<size_t>(b + 1));
    EXPECT_EQ(keys.of(8 + b).size(), static_cast<size_t>(b + 2));
  }
}

}  // namespace
}  // namespace tidar::cpu
