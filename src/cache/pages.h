#pragma once
// Bookkeeping of where keys and values are kept. Integers only: this room never touches a tensor.
//
// The memory of a network holds *slots*, each with room for the key and value of one row in every
// layer. Slots are counted from 0; kPageSlots consecutive slots are a *page*. The pages are lent to
// sequences by a PagePool; a sequence keeps key k in slot `pages[k / kPageSlots] * kPageSlots +
// k % kPageSlots`. Where rows that are kept nowhere lie is the backend's business.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tidar {

using Slot = int32_t;
using PageId = int32_t;

/// Slots of a page. A multiple of the panel of keys that kernels read at once (16).
inline constexpr int kPageSlots = 64;

/// Slot of key `key` of a sequence that holds `pages`.
inline Slot slot_of_key(std::span<const PageId> pages, int key) {
  return pages[static_cast<size_t>(key / kPageSlots)] * kPageSlots + key % kPageSlots;
}

/// Pages that `keys` keys fill, the last one perhaps in part.
inline int pages_for(int keys) { return (keys + kPageSlots - 1) / kPageSlots; }

/// What lies in slot `from` is also to lie in slot `to`.
struct SlotMove {
  Slot from = 0;
  Slot to = 0;
  friend bool operator==(const SlotMove&, const SlotMove&) = default;
};

/// Who keeps pages that no sequence holds, until they are wanted (cache/prefix_cache.h).
class PageKeeper {
 public:
  virtual ~PageKeeper() = default;
  /// Has the pool forget() one page at least that only the keeper keeps.
  virtual void let_go() = 0;
};

/// Lends pages. A page is free, held by one sequence or several, or *spare*: held by nobody and
/// kept by the keeper, who lets go of it when no page is free. The page that became free last is
/// lent first. Not thread-safe.
class PagePool {
 public:
  explicit PagePool(int pages);

  int capacity() const { return static_cast<int>(pages_.size()); }
  /// Pages that can be lent: free and spare ones.
  int available() const { return static_cast<int>(free_.size()) + spare_; }
  int spare() const { return spare_; }

  /// A page that nobody else holds, or -1 when none is available.
  PageId take();
  /// One holder more of a page that is held or spare.
  void share(PageId page);
  /// Ends what one take() or share() began.
  void give_back(PageId page);

  /// There is at most one keeper, who must outlive all that is kept; nullptr: none any more.
  void set_keeper(PageKeeper* keeper) { keeper_ = keeper; }
  /// The keeper keeps a page that is held.
  void keep(PageId page);
  /// The keeper does so no longer.
  void forget(PageId page);
  bool is_spare(PageId page) const;

 private:
  struct Page {
    int holders = 0;
    bool kept = false;
  };
  Page& known(PageId page);

  std::vector<Page> pages_;
  std::vector<PageId> free_;
  int spare_ = 0;
  PageKeeper* keeper_ = nullptr;
};

/// The keys of one sequence: `length()` committed ones, and behind them room for the drafts of the
/// pass under way. Committing keeps what is already in the slots; what is not committed is simply
/// written over by the next pass. Only a key that was drafted aside (commit_aside()) has to be
/// moved to its slot first, which the next pass does. Its first pages may be shared with others:
/// they are full of committed keys, and no slot of them is written any more. Gives its pages back
/// when it ends. The pool must outlive it. One that was moved from is empty, and may be used on.
class SequenceCache {
 public:
  explicit SequenceCache(PagePool& pool) : pool_(&pool) {}
  ~SequenceCache();
  SequenceCache(SequenceCache&& other) noexcept;
  SequenceCache& operator=(SequenceCache&&) = delete;

  /// Committed keys.
  int length() const { return length_; }

  /// Makes room for `keys` keys in all. False when the pool has too few pages left: then nothing is
  /// taken, and what was held stays held.
  bool reserve(int keys);

  /// Slot of key k; reserve(k + 1) must have been granted.
  Slot slot(int key) const;

  /// The pages that hold keys 0, kPageSlots, 2 * kPageSlots …
  std::span<const PageId> pages() const { return pages_; }

  /// Makes the next `keys` keys committed ones; reserve(length() + keys) must have been granted. A
  /// pass has been carried out that began with this cache: what was pending has been moved.
  void commit(int keys);

  /// Makes a key that the last pass stored further behind, as key `key` > length(), the next
  /// committed one in the place of what was stored there. pending() says how until the next
  /// commit(); nothing may be pending yet.
  void commit_aside(int key);

  /// The move that the next pass must carry out before it stores anything: key length() - 1 is not
  /// in its slot yet.
  const std::optional<SlotMove>& pending() const { return pending_; }

  /// Forgets the keys from `keys` <= length() on, and gives back every page that the rest does not
  /// need, reserved ones too. A key that is still to be moved must be among the forgotten; a page
  /// that is shared is forgotten whole, or not at all.
  void truncate(int keys);

  /// Pages that are full of committed keys, all of which are in their slots.
  int full_pages() const { return (length_ - (pending_ ? 1 : 0)) / kPageSlots; }
  int shared_pages() const { return shared_; }

  /// Begins with the keys that fill `pages`, which others hold or keep. It must hold none yet.
  void adopt(std::span<const PageId> pages);
  /// Shares its next full page from now on: with the holders of `page`, which has the same keys and
  /// which it then holds in the place of its own, or with those that will come.
  void share_next(PageId page);

 private:
  PagePool* pool_;
  std::vector<PageId> pages_;
  int shared_ = 0;  // of the first pages
  int length_ = 0;
  std::optional<SlotMove> pending_;
};

}  // namespace tidar
