#include "ops/cpu/attention_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "base/rng.h"
#include "plan/layouts.h"

namespace tidar::cpu {
namespace {

constexpr int kPlannedPages = 40;
constexpr int kMaxRows = 200;
constexpr ScratchSlots kScratch = {kPlannedPages * kPageSlots, kMaxRows* kScratchSlotsPerRow};

// A key, by its sequence in the pass and its place in that sequence's order.
using Key = std::pair<size_t, int32_t>;

// What lies in every slot when the rows of a pass have been stored. Fails where two rows share one.
std::map<int32_t, Key> fill_slots(const Pass& pass, const AttentionPlanner& planner) {
  std::map<int32_t, Key> memory;
  const auto store = [&](int32_t slot, const Key& key) {
    EXPECT_TRUE(memory.emplace(slot, key).second) << "slot " << slot << " is stored to twice";
  };
  for (size_t s = 0; s < pass.sequences.size(); ++s) {
    const PassSequence& sequence = pass.sequences[s];
    for (int32_t key = 0; key < sequence.cached; ++key) {
      store(sequence.pages[static_cast<size_t>(key / kPageSlots)] * kPageSlots + key % kPageSlots,
            {s, key});
    }
    const auto is_own = [&](int32_t row) {
      return sequence.first_row <= row && row < sequence.first_row + sequence.rows;
    };
    for (int32_t row = 0; row < pass.rows(); ++row) {
      if (is_own(row))
        store(planner.slots()[static_cast<size_t>(row)], {s, sequence.key_of_row(row)});
    }
  }
  const std::map<int32_t, Key> stored = memory;
  for (const SlotMove& copy : planner.copies()) store(copy.to, stored.at(copy.from));
  return memory;
}

void expect_rows_are_kept(const Pass& pass, const AttentionPlanner& planner) {
  for (const PassSequence& sequence : pass.sequences) {
    for (int32_t i = 0; i < sequence.stored; ++i) {
      const int32_t key = sequence.cached + i;
      EXPECT_EQ(
          planner.slots()[static_cast<size_t>(sequence.first_row + i)],
          sequence.pages[static_cast<size_t>(key / kPageSlots)] * kPageSlots + key % kPageSlots);
    }
  }
}

std::vector<Key> keys_seen(const std::map<int32_t, Key>& memory, const AttendPlan& plan,
                           const AttendTile& tile, int32_t from, int32_t to) {
  std::vector<Key> keys;
  for (int32_t key = from; key < to; ++key) {
    const int32_t panel = plan.panels[static_cast<size_t>(tile.first_panel + key / kKeyPanel)];
    const auto found = memory.find(panel * kKeyPanel + key % kKeyPanel);
    keys.push_back(found == memory.end() ? Key{99, -1} : found->second);
  }
  return keys;
}

std::vector<Key> keys_of(size_t sequence, const KeyRange& range) {
  std::vector<Key> keys;
  for (int32_t key = range.from; key < range.to; ++key) keys.emplace_back(sequence, key);
  return keys;
}

// Walks the plan as a kernel does and compares with the sights of the pass.
void expect_sights(const Pass& pass, const AttentionPlanner& planner) {
  const auto memory = fill_slots(pass, planner);
  const AttendPlan& plan = planner.attend();
  ASSERT_EQ(plan.sights.size(), pass.tokens.size());
  int32_t next_row = 0;
  for (const AttendTile& tile : plan.tiles) {
    ASSERT_EQ(tile.first_row, next_row);
    ASSERT_GE(tile.rows, 1);
    ASSERT_LE(tile.rows, kTileRows);
    next_row += tile.rows;
    const int32_t block_start = tile.prefix_panels * kKeyPanel;
    for (int32_t row = tile.first_row; row < next_row; ++row) {
      const Sight& sight = pass.sights[static_cast<size_t>(row)];
      const Sight& seen = plan.sights[static_cast<size_t>(row)];
      const auto owner = std::find_if(
          pass.sequences.begin(), pass.sequences.end(),
          [&](const PassSequence& s) { return s.first_row <= row && row < s.first_row + s.rows; });
      const auto sequence = static_cast<size_t>(owner - pass.sequences.begin());
      std::vector<Key> prefix = keys_of(sequence, sight.prefix);
      std::vector<Key> block = keys_of(sequence, sight.block);
      const bool goes_on = block.size() == 1;
      if (goes_on) prefix.push_back(block[0]), block.clear();
      EXPECT_EQ(keys_seen(memory, plan, tile, seen.prefix.from, seen.prefix.to), prefix);
      EXPECT_EQ(keys_seen(memory, plan, tile, seen.block.from, seen.block.to), block);
      // Places follow from the sight alone: prefix keys by their index, a block of one key behind
      // them, others from a border on.
      if (sight.prefix.size() > 0) {
        EXPECT_EQ(seen.prefix.from, sight.prefix.from);
      }
      if (goes_on) {
        EXPECT_EQ(seen.prefix.to, (sight.prefix.size() > 0 ? sight.prefix.to : 0) + 1);
        EXPECT_LE(seen.prefix.to, tile.prefix_panels * kKeyPanel);
      } else if (sight.block.size() > 0) {
        const bool in_cache = sight.block.from < owner->cached;
        EXPECT_EQ(seen.block.from, block_start + (in_cache ? sight.block.from % kKeyPanel : 0));
        EXPECT_LE(seen.block.to, block_start + tile.block_panels * kKeyPanel);
      }
    }
  }
  EXPECT_EQ(next_row, pass.rows());
}

class AttentionPlan : public testing::Test {
 protected:
  void check(const Pass& pass) {
    pass.check();
    planner_.plan(pass);
    expect_rows_are_kept(pass, planner_);
    expect_sights(pass, planner_);
  }

  // A cache with `length` committed keys in pages that lie anywhere, and room for more.
  SequenceCache cache_of(int length, Rng& rng) {
    std::vector<PageId> held;
    for (int i = rng.below(5); i > 0; --i) held.push_back(pool_.take());
    SequenceCache cache(pool_);
    EXPECT_TRUE(cache.reserve(length + 80));
    cache.commit(length);
    for (const PageId page : held) pool_.give_back(page);
    return cache;
  }

  PagePool pool_{kPlannedPages};
  AttentionPlanner planner_{kScratch};
};

KeyRange random_range(Rng& rng, int32_t from, int32_t to) {
  const int32_t a = from + rng.below(to - from + 1), b = from + rng.below(to - from + 1);
  return {std::min(a, b), std::max(a, b)};
}

Sight random_sight(Rng& rng, int32_t keys) {
  while (true) {
    Sight sight;
    if (rng.below(4) != 0) sight.prefix = random_range(rng, 0, keys);
    if (rng.below(2) == 0) sight.block = random_range(rng, sight.prefix.to, keys);
    if (sight.prefix.size() + sight.block.size() > 0) return sight;
  }
}

TEST_F(AttentionPlan, ShowsEveryRowWhatItSeesOnRandomPasses) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Pass pass;
    std::vector<SequenceCache> caches;
    caches.reserve(3);
    for (int s = rng.below(4); s > 0; --s) {
      // Overlapping blocks take more scratch than kScratchSlotsPerRow promises; few rows do not.
      const int stored = rng.below(12), scratch = rng.below(12);
      const int cached = rng.below(3) * rng.below(70);
      caches.push_back(cache_of(cached, rng));
      pass.begin_sequence(caches.back());
      for (int i = 0; i < stored + scratch; ++i) {
        pass.add_row(1, i, random_sight(rng, cached + stored + scratch),
                     i < stored ? Keep::page : Keep::scratch);
      }
    }
    check(pass);
  }
}

TEST_F(AttentionPlan, CarriesEveryLayout) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int size = 1 + rng.below(40), block = 1 + rng.below(20);
    std::vector<int32_t> tokens(static_cast<size_t>(size));
    for (int32_t& token : tokens) token = rng.below(100);
    const std::vector<int32_t> masks(static_cast<size_t>(block), 9);
    const auto cached = cache_of(rng.below(150), rng);
    std::vector<MaskGroup> groups;
    for (int j = 1; j <= std::min(size, 6); ++j) groups.push_back({j, 1 + rng.below(6), 0});
    std::vector<GuessedGroup> guessed;
    for (int j = 1; j < std::min(size, 6); j += 1 + rng.below(3))
      guessed.push_back({.accepted = j, .token = 7, .masks = rng.below(20)});

    for (int layout = 0; layout < 7; ++layout) {
      SCOPED_TRACE(layout);
      Pass pass;
      layout < 3 ? pass.begin_sequence(cached) : pass.begin_sequence();
      if (layout == 0) add_causal(pass, tokens, Keep::page), add_block(pass, masks, Keep::scratch);
      if (layout == 1) add_block(pass, tokens, Keep::page);
      if (layout == 2)
        add_tidar_step(pass, std::span(tokens).first(groups.size()), 9, groups, guessed);
      if (layout == 3) add_bidirectional(pass, tokens);
      if (layout == 4) add_block_causal(pass, tokens, block);
      if (layout == 5) add_tidar_training(pass, tokens, block, 9);
      if (layout == 6) add_block_diffusion_training(pass, tokens, tokens, block);
      check(pass);
    }
  }
}

TEST_F(AttentionPlan, TilesCutLongRunsAndKeepBlocksApart) {
  Pass pass;
  Rng rng(1);
  const auto cache = cache_of(20, rng);
  pass.begin_sequence(cache);
  const std::vector<int32_t> drafts(20, 1);
  MaskGroup groups[] = {{1, 3, 0}, {20, 17, 0}};
  add_tidar_step(pass, drafts, 9, groups);
  check(pass);
  std::vector<int32_t> rows;
  for (const AttendTile& tile : planner_.attend().tiles) rows.push_back(tile.rows);
  EXPECT_EQ(rows, (std::vector<int32_t>{16, 4, 3, 16, 1}));
}

// The promise of kScratchSlotsPerRow, at its worst case and at what comes near.
TEST_F(AttentionPlan, ScratchSufficesForBlocksThatDoNotOverlap) {
  Pass worst;
  for (int i = 0; i < kMaxRows / 2; ++i) {
    worst.begin_sequence();
    worst.add_row(1, 0, {{}, {0, 1}}, Keep::scratch);
    worst.add_row(1, 1, {{0, 1}, {1, 2}}, Keep::scratch);
  }
  check(worst);

  for (const int block : {1, 2, 15, 16, 17}) {
    const std::vector<int32_t> tokens(kMaxRows / 2, 1);
    Pass pass;
    pass.begin_sequence();
    add_block_diffusion_training(pass, tokens, tokens, block);
    check(pass);
  }
}

TEST_F(AttentionPlan, TooManyOverlappingBlocksStopTheProgram) {
  Pass pass;
  pass.begin_sequence();
  for (int i = 0; i < kMaxRows; ++i) {
    pass.add_row(1, i, {{}, {0, kMaxRows - i}}, Keep::scratch);
  }
  EXPECT_DEATH(planner_.plan(pass), "scratch_used_ <= scratch_.count");
}

}  // namespace
}  // namespace tidar::cpu
