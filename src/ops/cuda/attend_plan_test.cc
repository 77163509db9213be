#include "ops/cuda/attend_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/rng.h"

namespace tidar::cuda {
namespace {

KeyRange random_range(Rng& rng, int from, int to) {
  const int first = from + rng.below(to - from + 1);
  return {first, first + rng.below(to - first + 1)};
}

// Sequences with cached keys, rows kept in pages and rows kept nowhere; several rows in a row have
// the same block.
Pass random_pass(Rng& rng, PagePool& pool) {
  Pass pass;
  for (int s = 0; s < 1 + rng.below(3); ++s) {
    SequenceCache cache(pool);
    const int cached = rng.below(700), stored = rng.below(20), scratch = 1 + rng.below(40);
    EXPECT_TRUE(cache.reserve(cached + stored));
    cache.commit(cached);
    pass.begin_sequence(cache);
    const int keys = cached + stored + scratch;
    KeyRange block;
    for (int row = 0; row < stored + scratch; ++row) {
      if (rng.below(5) == 0) block = random_range(rng, keys / 2, keys);
      Sight sight = {random_range(rng, 0, keys / 2), block};
      if (sight.prefix.size() + sight.block.size() == 0) sight.prefix = {0, 1};
      pass.add_row(0, row, sight, row < stored ? Keep::page : Keep::scratch);
    }
  }
  return pass;
}

const PassSequence& sequence_of(const Pass& pass, int row) {
  for (const PassSequence& sequence : pass.sequences)
    if (row < sequence.first_row + sequence.rows) return sequence;
  return pass.sequences.back();
}

TEST(AttendPlan, EveryKeyThatARowSeesIsInOnePartOfItsOwn) {
  constexpr int kPages = 60;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PagePool pool(kPages);
    const Pass pass = random_pass(rng, pool);
    AttendPlan plan;
    if (seed % 2 == 0) plan.make(random_pass(rng, pool), kPages);  // what was before is forgotten
    plan.make(pass, kPages);
    std::map<int, const KeyPart*> part_of_partial;
    for (const KeyPart& part : plan.parts) {
      EXPECT_LT(part.from, part.to);
      EXPECT_LE(part.to - part.from, AttendPlan::kPartKeys);
      EXPECT_LE(part.first_tile, part.from);
      EXPECT_GT(part.first_tile + AttendPlan::kTileKeys, part.from);
      EXPECT_LE(part.rows, plan.most_rows);
      for (int i = 0; i < part.rows; ++i)
        EXPECT_TRUE(part_of_partial.emplace(part.partial + i, &part).second);
    }
    EXPECT_EQ(static_cast<int64_t>(part_of_partial.size()), plan.partials);
    for (int row = 0; row < pass.rows(); ++row) {
      const auto at = static_cast<size_t>(row);
      const PassSequence& sequence = sequence_of(pass, row);
      const Sight& sight = pass.sights[at];
      std::multiset<int> found, expected;
      const RowParts& own = plan.row_parts[at];
      int before = -1;
      for (int i = 0; i < own.count; ++i) {
        const KeyPart& part = *part_of_partial.at(own.first + i * own.step);
        EXPECT_EQ(part.partial + row - part.first_row, own.first + i * own.step);
        EXPECT_GE(part.from, before);  // in the order of the keys
        before = part.to;
        for (int place = part.from; place < part.to; ++place) {
          const bool stands_in = place == part.stand_in;
          const int key = stands_in ? sight.block.from : place;
          const KeyRange& range = part.is_block || stands_in ? sight.block : sight.prefix;
          if (range.contains(key)) found.insert(key);
          if (stands_in) {
            EXPECT_EQ(place, sight.prefix.to);
          }
          const int slot =
              stands_in ? part.stand_in_slot
              : key < part.paged
                  ? plan.pages[static_cast<size_t>(part.first_page + key / kPageKeys)] * kPageKeys +
                        key % kPageKeys
                  : part.scratch + key;
          const int own_key = sequence.key_of_row(row);
          if (key == own_key) {
            EXPECT_EQ(slot, plan.slots[at]);
          }
          if (key < sequence.cached + sequence.stored) {
            EXPECT_EQ(slot, slot_of_key(sequence.pages, key));
          } else {
            EXPECT_EQ(slot, kPages * kPageKeys + sequence.first_row + key - sequence.cached);
          }
        }
      }
      for (const KeyRange& range : {sight.prefix, sight.block})
        for (int key = range.from; key < range.to; ++key) expected.insert(key);
      EXPECT_EQ(found, expected) << "row " << row;
    }
  }
}

// Whatever rows stand beside it: parts of a prefix end at multiples of kPartKeys, those of a block
// so far behind its beginning.
TEST(AttendPlan, PartsEndWhereTheKeysSay) {
  Pass pass;
  pass.begin_sequence();
  const KeyRange block = {333, 333 + 300};
  for (int row = 0; row < 633; ++row) {
    pass.add_row(0, 0, row < 333 ? Sight{{0, row + 1}, {}} : Sight{{0, 320}, block}, Keep::scratch);
  }
  AttendPlan plan;
  plan.make(pass, 0);
  for (const KeyPart& part : plan.parts) {
    const int origin = part.is_block ? block.from : 0;
    EXPECT_EQ((part.from - origin) % AttendPlan::kPartKeys, 0);
    if (part.is_block) {
      EXPECT_TRUE(part.to == 333 + 256 || part.to == block.to);
    }
  }
}

// 4 rows and 1000 keys, 16 tiles of them.
TEST(AttendPlan, PartsAreSoManyThatAllProcessorsHaveSome) {
  Pass pass;
  pass.begin_sequence();
  for (int row = 0; row < 992; ++row) pass.add_row(0, 0, {{0, 1}, {}}, Keep::scratch);
  for (int row = 0; row < 4; ++row) pass.add_row(0, 0, {{0, 1000}, {}}, Keep::scratch);
  constexpr int kTile = AttendPlan::kTileKeys;
  // The rows before: 62 times one tile.
  EXPECT_EQ(AttendPlan::part_keys_for(pass, 1000), kTile);
  EXPECT_EQ(AttendPlan::part_keys_for(pass, 40), kTile);
  EXPECT_EQ(AttendPlan::part_keys_for(pass, 39), 2 * kTile);
  EXPECT_EQ(AttendPlan::part_keys_for(pass, 1), 64 * kTile);
  AttendPlan plan;
  for (const int tiles : {1, 2, 4}) {
    plan.make(pass, 0, tiles * kTile);
    EXPECT_EQ(plan.parts.size(), 62u + 16u / static_cast<unsigned>(tiles));
  }
}

}  // namespace
}  // namespace tidar::cuda
