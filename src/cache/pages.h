#pragma once
// Bookkeeping of where keys and values are kept. Integers only: this room never touches a tensor.
//
// The memory of a network holds *slots*, each with room for the key and value of one row in every
// layer. Slots are counted from 0; kPageSlots consecutive slots are a *page*. The pages are lent to
// sequences by a PagePool; a sequence keeps key k in slot `pages[k / kPageSlots] * kPageSlots +
// k % kPageSlots`. Behind the last page lie the scratch slots of a pass (plan/pass.h).

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

/// Lends pages, each to one sequence. The page given back last is lent first. Not thread-safe.
class PagePool {
 public:
  explicit PagePool(int pages);

  int capacity() const { return capacity_; }
  int available() const { return static_cast<int>(free_.size()); }

  /// A page that nobody else holds, or -1 when none is left.
  PageId take();
  /// Gives back a page that take() lent and that was not given back yet.
  void give_back(PageId page);

 private:
  int capacity_;
  std::vector<PageId> free_;
  std::vector<bool> lent_;  // one a page
};

/// The keys of one sequence: `length()` committed ones, and behind them room for the drafts of the
/// pass under way. Committing keeps what is already in the slots; what is not committed is simply
/// written over by the next pass. Only a key that was drafted aside (commit_aside()) has to be
/// moved to its slot first, which the next pass does. Gives its pages back when it ends. The pool
/// must outlive it. One that was moved from is empty, and may be used on.
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
  /// need, reserved ones too. A key that is still to be moved must be among the forgotten.
  void truncate(int keys);

 private:
  PagePool* pool_;
  std::vector<PageId> pages_;
  int length_ = 0;
  std::optional<SlotMove> pending_;
};

}  // namespace tidar
