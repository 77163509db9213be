#include "cache/pages.h"

#include <gtest/gtest.h>

#include <list>
#include <set>
#include <utility>

#include "base/rng.h"

namespace tidar {
namespace {

TEST(PagePool, LendsEveryPageOnce) {
  PagePool pool(5);
  EXPECT_EQ(pool.capacity(), 5);
  std::set<PageId> lent;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(pool.available(), 5 - i);
    lent.insert(pool.take());
  }
  EXPECT_EQ(lent, (std::set<PageId>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.take(), -1);
  pool.give_back(3);
  EXPECT_EQ(pool.take(), 3);
}

TEST(PagePoolDeathTest, RefusesPagesThatItDidNotLend) {
  PagePool pool(2);
  const PageId page = pool.take();
  pool.give_back(page);
  EXPECT_DEATH(pool.give_back(page), "holders");
  EXPECT_DEATH(pool.give_back(2), "page < capacity");
  EXPECT_DEATH(pool.give_back(-1), "page >= 0");
}

TEST(PagePool, ASharedPageIsFreeWhenItsLastHolderGivesItBack) {
  PagePool pool(1);
  const PageId page = pool.take();
  pool.share(page);
  pool.give_back(page);
  EXPECT_EQ(pool.available(), 0);
  pool.give_back(page);
  EXPECT_EQ(pool.available(), 1);
  EXPECT_DEATH(pool.share(page), "holders");
}

TEST(SequenceCache, ReservesAllOrNothing) {
  PagePool pool(3);
  SequenceCache cache(pool);
  EXPECT_TRUE(cache.reserve(kPageSlots));
  EXPECT_EQ(pool.available(), 2);
  EXPECT_FALSE(cache.reserve(3 * kPageSlots + 1));
  EXPECT_EQ(pool.available(), 2);
  EXPECT_TRUE(cache.reserve(3 * kPageSlots));
  EXPECT_TRUE(cache.reserve(1));
  EXPECT_EQ(cache.pages().size(), 3u);
  EXPECT_EQ(cache.length(), 0);
}

TEST(SequenceCache, TruncateGivesBackWhatTheRestDoesNotNeed) {
  PagePool pool(4);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(4 * kPageSlots));
  cache.commit(2 * kPageSlots + 1);
  const Slot kept = cache.slot(kPageSlots);
  cache.truncate(kPageSlots + 1);
  EXPECT_EQ(cache.length(), kPageSlots + 1);
  EXPECT_EQ(pool.available(), 2);
  EXPECT_EQ(cache.slot(kPageSlots), kept);
  cache.truncate(kPageSlots);
  EXPECT_EQ(pool.available(), 3);
  cache.truncate(0);
  EXPECT_EQ(pool.available(), 4);
}

TEST(SequenceCache, MovingHandsThePagesOver) {
  PagePool pool(2);
  {
    SequenceCache first(pool);
    ASSERT_TRUE(first.reserve(kPageSlots + 1));
    first.commit(7);
    SequenceCache second(std::move(first));
    EXPECT_EQ(second.length(), 7);
    EXPECT_EQ(second.pages().size(), 2u);
    // NOLINTNEXTLINE(bugprone-use-after-move): a moved-from cache is empty, and may be used on.
    EXPECT_EQ(first.length(), 0);
    EXPECT_TRUE(first.pages().empty());
    EXPECT_EQ(pool.available(), 0);
  }
  EXPECT_EQ(pool.available(), 2);
}

// A key that was stored behind others takes the place of the first of them.
TEST(SequenceCache, AKeyStoredAsideIsMovedToItsPlace) {
  PagePool pool(3);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(kPageSlots + 2));
  cache.commit(kPageSlots - 3);
  EXPECT_FALSE(cache.pending());
  cache.commit_aside(kPageSlots + 1);
  EXPECT_EQ(cache.length(), kPageSlots - 2);
  EXPECT_EQ(cache.pending(), (SlotMove{cache.slot(kPageSlots + 1), cache.slot(kPageSlots - 3)}));

  SequenceCache other(std::move(cache));
  EXPECT_TRUE(other.pending());
  ASSERT_TRUE(other.reserve(2 * kPageSlots + 1));
  EXPECT_TRUE(other.pending());
  other.commit(1);
  EXPECT_FALSE(other.pending());
  other.commit_aside(other.length() + 1);
  other.truncate(other.length() - 1);
  EXPECT_FALSE(other.pending());
}

TEST(SequenceCacheDeathTest, MovesOneKeyAtATime) {
  PagePool pool(2);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(kPageSlots));
  cache.commit(3);
  EXPECT_DEATH(cache.commit_aside(3), "length_ < key");
  EXPECT_DEATH(cache.commit_aside(kPageSlots), "pages_.size");
  cache.commit_aside(5);
  EXPECT_DEATH(cache.commit_aside(6), "pending_");
  EXPECT_DEATH(cache.truncate(4), "pending_");
}

TEST(SequenceCacheDeathTest, NeverWritesIntoSharedPages) {
  PagePool pool(3);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(3 * kPageSlots));
  cache.commit(2 * kPageSlots - 1);
  cache.commit_aside(2 * kPageSlots + 5);
  EXPECT_EQ(cache.full_pages(), 1) << "the last key is not in its slot yet";
  cache.share_next(cache.pages()[0]);
  EXPECT_DEATH(cache.share_next(cache.pages()[1]), "shared_ < full_pages");
  EXPECT_DEATH(cache.truncate(1), "keys % kPageSlots");
  cache.truncate(kPageSlots + 1);
  EXPECT_EQ(cache.shared_pages(), 1);
  cache.truncate(0);
  EXPECT_EQ(cache.shared_pages(), 0);
  EXPECT_EQ(pool.available(), 3);
}

TEST(SequenceCacheDeathTest, StopsAtKeysWithoutRoom) {
  PagePool pool(2);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(kPageSlots));
  EXPECT_DEATH(cache.slot(kPageSlots), "pages_.size");
  EXPECT_DEATH(cache.commit(kPageSlots + 1), "pages_.size");
  cache.commit(3);
  EXPECT_DEATH(cache.truncate(4), "keys <= length_");
}

// Random lives of several sequences: no slot ever belongs to two keys, a key's slot never changes
// while the key is there, and no page is lost.
TEST(SequenceCache, SlotsAreNeverShared) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    PagePool pool(1 + rng.below(12));
    struct Held {
      SequenceCache cache;
      std::vector<Slot> slots;  // of the committed keys, as they were when committed
    };
    std::list<Held> all;
    for (int action = 0; action < 400; ++action) {
      if (all.empty() || rng.below(8) == 0) all.push_back({SequenceCache(pool), {}});
      auto chosen = std::next(all.begin(), rng.below(static_cast<int>(all.size())));
      const int grow = rng.below(2 * kPageSlots);
      switch (rng.below(4)) {
        case 0:
          chosen->cache.truncate(rng.below(chosen->cache.length() + 1));
          chosen->slots.resize(static_cast<size_t>(chosen->cache.length()));
          break;
        case 1:
          if (rng.below(4) == 0) all.erase(chosen);
          break;
        default:
          if (!chosen->cache.reserve(chosen->cache.length() + grow)) break;
          for (int i = 0; i < grow; ++i)
            chosen->slots.push_back(chosen->cache.slot(chosen->cache.length() + i));
          chosen->cache.commit(grow);
      }
      std::set<Slot> used;
      int pages = 0;
      for (const Held& held : all) {
        ASSERT_EQ(held.cache.length(), static_cast<int>(held.slots.size()));
        pages += static_cast<int>(held.cache.pages().size());
        for (int key = 0; key < held.cache.length(); ++key) {
          ASSERT_EQ(held.cache.slot(key), held.slots[static_cast<size_t>(key)]);
          ASSERT_TRUE(used.insert(held.cache.slot(key)).second);
        }
      }
      ASSERT_EQ(pages + pool.available(), pool.capacity());
      for (const Slot slot : used) ASSERT_LT(slot, pool.capacity() * kPageSlots);
    }
  }
}

}  // namespace
}  // namespace tidar
