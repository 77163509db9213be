#include "cache/pages.h"

#include <utility>

#include "base/check.h"

namespace tidar {

PagePool::PagePool(int pages) : capacity_(pages), lent_(static_cast<size_t>(pages), false) {
  free_.reserve(static_cast<size_t>(pages));
  for (PageId page = pages - 1; page >= 0; --page) free_.push_back(page);
}

PageId PagePool::take() {
  if (free_.empty()) return -1;
  const PageId page = free_.back();
  free_.pop_back();
  lent_[static_cast<size_t>(page)] = true;
  return page;
}

void PagePool::give_back(PageId page) {
  TIDAR_CHECK_GE(page, 0);
  TIDAR_CHECK_LT(page, capacity_);
  TIDAR_CHECK(lent_[static_cast<size_t>(page)]);
  lent_[static_cast<size_t>(page)] = false;
  free_.push_back(page);
}

SequenceCache::~SequenceCache() { truncate(0); }

SequenceCache::SequenceCache(SequenceCache&& other) noexcept
    : pool_(other.pool_),
      pages_(std::exchange(other.pages_, {})),
      length_(std::exchange(other.length_, 0)),
      pending_(std::exchange(other.pending_, {})) {}

bool SequenceCache::reserve(int keys) {
  const int missing = pages_for(keys) - static_cast<int>(pages_.size());
  if (missing > pool_->available()) return false;
  for (int i = 0; i < missing; ++i) pages_.push_back(pool_->take());
  return true;
}

Slot SequenceCache::slot(int key) const {
  TIDAR_CHECK_GE(key, 0);
  TIDAR_CHECK_LT(key / kPageSlots, static_cast<int>(pages_.size()));
  return slot_of_key(pages_, key);
}

void SequenceCache::commit(int keys) {
  TIDAR_CHECK_GE(keys, 0);
  TIDAR_CHECK_LE(pages_for(length_ + keys), static_cast<int>(pages_.size()));
  length_ += keys;
  pending_.reset();
}

void SequenceCache::commit_aside(int key) {
  TIDAR_CHECK_LT(length_, key);
  TIDAR_CHECK(!pending_);
  pending_ = {slot(key), slot(length_)};
  ++length_;
}

void SequenceCache::truncate(int keys) {
  TIDAR_CHECK_GE(keys, 0);
  TIDAR_CHECK_LE(keys, length_);
  if (keys < length_) pending_.reset();
  TIDAR_CHECK(!pending_);
  length_ = keys;
  while (static_cast<int>(pages_.size()) > pages_for(keys)) {
    pool_->give_back(pages_.back());
    pages_.pop_back();
  }
}

}  // namespace tidar
