#pragma once
// Bookkeeping of where keys and values are kept. Integers only: this room never touches a tensor.
//
// The memory of a network holds *slots*, each with room for the key and value of one row in every
// layer. Slots are counted from 0; kPageSlots consecutive slots are a *page*. The pages are lent to
// sequences by a PagePool; a sequence keeps key k in slot `pages[k / kPageSlots] * kPageSlots +
// k % kPageSlots`. Behind the last page lie the scratch slots of a pass (plan/pass.h).

#include <cstdint>
#include <span>
#include <vector>

namespace tidar {

using Slot = int32_t;
using PageId = int32_t;

/// Slots of a page. A multiple of the panel of keys that kernels read at once (16).
inline constexpr int kPageSlots = 64;

/// Lends pages, each to one sequence. Not thread-safe.
class PagePool {
 public:
  explicit PagePool(int pages);

  int capacity() const { return capacity_; }
  int available() const { return static_cast<int>(free_.size()); }

  /// A page that nobody else holds, or -1 when none is left.
  PageId take();
  /// Gives back a page that take() lent.
  void give_back(PageId page);

 private:
  int capacity_;
  std::vector<PageId> free_;
};

/// The keys of one sequence: `length()` committed ones, and behind them room for the drafts of the
/// pass under way. Committing keeps what is already in the slots; what is not committed is simply
/// written over by the next pass. Gives its pages back when it ends. The pool must outlive it.
class SequenceCache {
 public:
  explicit SequenceCache(PagePool& pool) : pool_(&pool) {}
  ~SequenceCache();
  SequenceCache(SequenceCache&& other) noexcept;
  SequenceCache& operator=(SequenceCache&&) = delete;

  /// Committed keys.
  int length() const { return length_; }

  /// Makes room for keys up to `keys`. False when the pool is empty; what was held stays held.
  bool reserve(int keys);

  /// Slot of key k; reserve(k + 1) must have been granted.
  Slot slot(int key) const;

  /// The pages that hold keys 0, kPageSlots, 2 * kPageSlots …
  std::span<const PageId> pages() const { return pages_; }

  /// Makes the next `keys` keys committed ones.
  void commit(int keys);

  /// Forgets the keys from `keys` on, and gives back the pages that only they needed.
  void truncate(int keys);

 private:
  PagePool* pool_;
  std::vector<PageId> pages_;
  int length_ = 0;
};

}  // namespace tidar
