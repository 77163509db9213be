#include "cache/prefix_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <numeric>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

using Text = std::vector<int32_t>;

/// A text of so many pages, whose page i is made of pages[i] alone.
Text text_of(const std::vector<int32_t>& pages) {
  Text text;
  for (const int32_t page : pages) text.insert(text.end(), kPageSlots, page);
  return text;
}

/// A sequence that has read the text, as far as the prefix cache did not know it.
SequenceCache read(const Text& text, PagePool& pool, PrefixCache& prefixes) {
  SequenceCache cache(pool);
  cache.adopt(prefixes.find(text));
  EXPECT_TRUE(cache.reserve(static_cast<int>(text.size())));
  cache.commit(static_cast<int>(text.size()) - cache.length());
  prefixes.add(text, cache);
  return cache;
}

TEST(PrefixCache, TextsThatBeginAlikeHoldTheSamePages) {
  PagePool pool(8);
  PrefixCache prefixes(pool);
  const SequenceCache first = read(text_of({1, 2, 3}), pool, prefixes);
  const SequenceCache second = read(text_of({1, 2, 4, 5}), pool, prefixes);
  EXPECT_TRUE(std::equal(first.pages().begin(), first.pages().begin() + 2, second.pages().begin()));
  EXPECT_EQ(pool.available(), 3);
  EXPECT_EQ(prefixes.find(text_of({1, 2, 4})).size(), 3u);
  EXPECT_EQ(prefixes.find(text_of({2, 1})).size(), 0u);
  Text almost = text_of({1, 2});
  almost.back() = 9;
  EXPECT_EQ(prefixes.find(almost).size(), 1u);
  almost.pop_back();
  EXPECT_EQ(prefixes.find(almost).size(), 1u) << "of whole pages alone";
}

// Two that read the same at the same time end with one copy.
TEST(PrefixCache, PagesThatAreKnownAlreadyBecomeFree) {
  PagePool pool(6);
  PrefixCache prefixes(pool);
  const Text text = text_of({1, 2, 3});
  std::list<SequenceCache> both;
  for (int i = 0; i < 2; ++i) {
    both.emplace_back(pool);
    ASSERT_TRUE(both.back().reserve(static_cast<int>(text.size())));
    both.back().commit(static_cast<int>(text.size()));
  }
  EXPECT_EQ(pool.available(), 0);
  for (SequenceCache& cache : both) prefixes.add(text, cache);
  EXPECT_EQ(pool.available(), 3);
  EXPECT_EQ(both.front().pages().front(), both.back().pages().front());
}

TEST(PrefixCache, WhatWasUsedLongestAgoGoesFirst) {
  PagePool pool(4);
  PrefixCache prefixes(pool);
  for (const int32_t page : {1, 2}) read(text_of({page, page}), pool, prefixes);
  EXPECT_EQ(pool.available(), 4);
  EXPECT_EQ(pool.spare(), 4);
  EXPECT_EQ(prefixes.find(text_of({1})).size(), 1u);
  const auto known = [&](int32_t page) { return prefixes.find(text_of({page, page})).size(); };
  SequenceCache wants(pool);
  ASSERT_TRUE(wants.reserve(2 * kPageSlots));
  EXPECT_EQ(known(1), 1u) << "the end of a text goes before its beginning";
  EXPECT_EQ(known(2), 1u);
  ASSERT_TRUE(wants.reserve(3 * kPageSlots));
  EXPECT_EQ(known(1), 0u);
  EXPECT_EQ(known(2), 1u);
  EXPECT_FALSE(wants.reserve(5 * kPageSlots));
}

TEST(PrefixCache, LeavesThePoolAsItWas) {
  PagePool pool(3);
  SequenceCache held(pool);
  {
    PrefixCache prefixes(pool);
    held.adopt({});
    ASSERT_TRUE(held.reserve(2 * kPageSlots));
    held.commit(2 * kPageSlots);
    prefixes.add(text_of({1, 2}), held);
    read(text_of({1, 3}), pool, prefixes);
    EXPECT_EQ(prefixes.pages(), 3);
  }
  EXPECT_EQ(pool.available(), 1);
  EXPECT_EQ(pool.spare(), 0);
  held.truncate(0);
  EXPECT_EQ(pool.available(), 3);
}

/// A text that grows, and for each of its tokens a number that stands for all up to it.
class Growing {
 public:
  void push(int32_t token) {
    text_.push_back(token);
    const uint64_t before = keys_.empty() ? 1 : keys_.back();
    keys_.push_back((before + static_cast<uint64_t>(token) + 1) * 0xbf58476d1ce4e5b9u);
  }
  const Text& text() const { return text_; }
  int size() const { return static_cast<int>(text_.size()); }
  uint64_t key(int token) const { return keys_[static_cast<size_t>(token)]; }

 private:
  Text text_;
  std::vector<uint64_t> keys_;
};

// Random texts over few tokens come, grow, end and make room for each other. Slots are told what
// they hold: no adopted key is another than the text's, and none is written that others see.
TEST(PrefixCache, NeverGivesAKeyOfAnotherText) {
  int64_t adopted = 0, let_go = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PagePool pool(4 + rng.below(20));
    PrefixCache prefixes(pool);
    struct Reader {
      SequenceCache cache;
      Growing text{};
    };
    std::list<Reader> readers;
    std::map<Slot, uint64_t> keys;
    for (int action = 0; action < 300; ++action) {
      const int before = prefixes.pages();
      if (readers.empty() || rng.below(3) == 0) {
        Text text = text_of({rng.below(2), rng.below(3), rng.below(2)});
        text.resize(static_cast<size_t>(rng.below(static_cast<int>(text.size()))));
        readers.push_back({SequenceCache(pool)});
        for (const int32_t token : text) readers.back().text.push(token);
        readers.back().cache.adopt(prefixes.find(text));
        adopted += readers.back().cache.length();
      }
      auto reader = std::next(readers.begin(), rng.below(static_cast<int>(readers.size())));
      SequenceCache& cache = reader->cache;
      const int more = rng.below(2 * kPageSlots);
      if (rng.below(4) == 0 || !cache.reserve(cache.length() + more)) {
        readers.erase(reader);
      } else {
        while (reader->text.size() < cache.length() + more) reader->text.push(rng.below(2));
        for (int key = cache.length(); key < cache.length() + more; ++key) {
          for (const Reader& other : readers) {
            if (&other == &*reader) continue;
            const auto seen = other.cache.pages();
            const PageId page = cache.pages()[static_cast<size_t>(key / kPageSlots)];
            ASSERT_EQ(std::count(seen.begin(), seen.end(), page), 0);
          }
          keys[cache.slot(key)] = reader->text.key(key);
        }
        cache.commit(more);
        prefixes.add(reader->text.text(), cache);
      }
      let_go += prefixes.pages() < before ? 1 : 0;
      std::vector<int> holders(static_cast<size_t>(pool.capacity()));
      for (const Reader& other : readers) {
        for (const PageId page : other.cache.pages()) ++holders[static_cast<size_t>(page)];
        for (int key = 0; key < other.cache.length(); ++key) {
          ASSERT_EQ(keys[other.cache.slot(key)], other.text.key(key));
        }
      }
      ASSERT_EQ(pool.available(), std::count(holders.begin(), holders.end(), 0));
    }
    readers.clear();
    EXPECT_EQ(pool.available(), pool.capacity());
    EXPECT_EQ(pool.spare(), prefixes.pages());
  }
  EXPECT_GT(adopted, 10000);
  EXPECT_GT(let_go, 100);
}

}  // namespace
}  // namespace tidar
