#pragma once
// Keys of texts that were read before, for texts that begin with the same tokens. Nothing is
// copied: texts that begin alike hold the same pages.

#include <array>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/pages.h"

namespace tidar {

/// Knows pages by all tokens from the start of the text to the end of the page. A key must depend
/// on nothing else: so the texts here are read causally, each token seeing those before it. A page
/// that no text holds is kept until the pool wants one: then the one goes first whose text was
/// found or added longest ago, and of a text its end. The pool must outlive it, it the sequences
/// that share in it. Not thread-safe.
class PrefixCache final : public PageKeeper {
 public:
  /// Becomes the pool's keeper.
  explicit PrefixCache(PagePool& pool);
  ~PrefixCache() override;
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// Pages of the longest beginning of the text that is known, which must be adopted
  /// (SequenceCache::adopt()) before a page is taken of the pool. Costs what that beginning costs
  /// to compare.
  std::vector<PageId> find(std::span<const int32_t> text);

  /// Shares the full pages of `cache`, which hold the keys of the text's first tokens. Where such
  /// pages are known already, it goes on with those, and its own become free.
  void add(std::span<const int32_t> text, SequenceCache& cache);

  /// Pages that it keeps, held ones included.
  int pages() const { return static_cast<int>(recency_.size()); }

  void let_go() override;

 private:
  static constexpr PageId kNone = -1;

  // The page whose text goes on with these tokens; that page before it is known as well.
  struct Key {
    PageId before = kNone;
    std::array<int32_t, kPageSlots> tokens{};
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  using Known = std::unordered_map<Key, PageId, KeyHash>;
  struct Kept {
    Known::iterator place;
    std::list<PageId>::iterator recency;
    int following = 0;  // pages that go on behind this one
  };

  static Key key_of(PageId before, std::span<const int32_t> text, size_t page);
  Kept& kept(PageId page) { return kept_[static_cast<size_t>(page)]; }
  void insert(const Key& key, PageId page);
  void forget(PageId page);
  void touch(std::span<const PageId> pages);

  PagePool& pool_;
  Known known_;
  std::vector<Kept> kept_;  // one a page of the pool
  // Used longest ago first; of a text, later pages before earlier ones. Whoever holds a page holds
  // those before it, so the first that nobody holds has none behind it.
  std::list<PageId> recency_;
};

}  // namespace tidar
