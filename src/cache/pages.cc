#include "cache/pages.h"

#include <utility>

#include "base/check.h"

namespace tidar {

PagePool::PagePool(int pages) : pages_(static_cast<size_t>(pages)) {
  free_.reserve(pages_.size());
  for (PageId page = pages - 1; page >= 0; --page) free_.push_back(page);
}

PagePool::Page& PagePool::known(PageId page) {
  TIDAR_CHECK_GE(page, 0);
  TIDAR_CHECK_LT(page, capacity());
  return pages_[static_cast<size_t>(page)];
}

PageId PagePool::take() {
  if (free_.empty() && spare_ > 0) keeper_->let_go();
  if (free_.empty()) return -1;
  const PageId page = free_.back();
  free_.pop_back();
  known(page).holders = 1;
  return page;
}

void PagePool::share(PageId page) {
  if (is_spare(page)) --spare_;
  TIDAR_CHECK(known(page).holders > 0 || known(page).kept);
  ++known(page).holders;
}

void PagePool::give_back(PageId page) {
  Page& lent = known(page);
  TIDAR_CHECK_LE(1, lent.holders);
  if (--lent.holders > 0) return;
  if (lent.kept) {
    ++spare_;
  } else {
    free_.push_back(page);
  }
}

void PagePool::keep(PageId page) {
  TIDAR_CHECK_LE(1, known(page).holders);
  TIDAR_CHECK(!known(page).kept);
  known(page).kept = true;
}

void PagePool::forget(PageId page) {
  TIDAR_CHECK(known(page).kept);
  known(page).kept = false;
  if (known(page).holders > 0) return;
  --spare_;
  free_.push_back(page);
}

bool PagePool::is_spare(PageId page) const {
  const Page& found = pages_.at(static_cast<size_t>(page));
  return found.kept && found.holders == 0;
}

SequenceCache::~SequenceCache() { truncate(0); }

SequenceCache::SequenceCache(SequenceCache&& other) noexcept
    : pool_(other.pool_),
      pages_(std::exchange(other.pages_, {})),
      shared_(std::exchange(other.shared_, 0)),
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
  if (keys < shared_ * kPageSlots) {
    TIDAR_CHECK_EQ(keys % kPageSlots, 0);
    shared_ = keys / kPageSlots;
  }
  length_ = keys;
  while (static_cast<int>(pages_.size()) > pages_for(keys)) {
    pool_->give_back(pages_.back());
    pages_.pop_back();
  }
}

void SequenceCache::adopt(std::span<const PageId> pages) {
  TIDAR_CHECK(pages_.empty());
  for (const PageId page : pages) pool_->share(page);
  pages_.assign(pages.begin(), pages.end());
  shared_ = static_cast<int>(pages.size());
  length_ = shared_ * kPageSlots;
}

void SequenceCache::share_next(PageId page) {
  TIDAR_CHECK_LT(shared_, full_pages());
  PageId& own = pages_[static_cast<size_t>(shared_++)];
  if (page == own) return;
  pool_->share(page);
  pool_->give_back(std::exchange(own, page));
}

}  // namespace tidar
