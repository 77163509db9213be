#include "cache/prefix_cache.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidar {

size_t PrefixCache::KeyHash::operator()(const Key& key) const {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15u;
  auto hash = static_cast<uint64_t>(key.before);
  for (const int32_t token : key.tokens) {
    hash = (hash ^ static_cast<uint64_t>(token)) * kFactor;
    hash ^= hash >> 32;
  }
  return static_cast<size_t>(hash);
}

PrefixCache::PrefixCache(PagePool& pool)
    : pool_(pool), kept_(static_cast<size_t>(pool.capacity())) {
  pool_.set_keeper(this);
}

PrefixCache::~PrefixCache() {
  while (!recency_.empty()) forget(recency_.front());
  pool_.set_keeper(nullptr);
}

PrefixCache::Key PrefixCache::key_of(PageId before, std::span<const int32_t> text, size_t page) {
  Key key{.before = before};
  std::copy_n(text.begin() + static_cast<std::ptrdiff_t>(page * kPageSlots), kPageSlots,
              key.tokens.begin());
  return key;
}

std::vector<PageId> PrefixCache::find(std::span<const int32_t> text) {
  std::vector<PageId> pages;
  PageId before = kNone;
  for (size_t page = 0; page < text.size() / kPageSlots; ++page) {
    const auto found = known_.find(key_of(before, text, page));
    if (found == known_.end()) break;
    pages.push_back(before = found->second);
  }
  touch(pages);
  return pages;
}

void PrefixCache::add(std::span<const int32_t> text, SequenceCache& cache) {
  const auto full = static_cast<size_t>(cache.full_pages());
  for (auto page = static_cast<size_t>(cache.shared_pages()); page < full; ++page) {
    const PageId own = cache.pages()[page];
    const Key key = key_of(page == 0 ? kNone : cache.pages()[page - 1], text, page);
    const auto found = known_.find(key);
    if (found == known_.end()) insert(key, own);
    cache.share_next(found == known_.end() ? own : found->second);
  }
  touch(cache.pages().first(full));
}

void PrefixCache::let_go() {
  const auto spare = std::find_if(recency_.begin(), recency_.end(),
                                  [this](PageId page) { return pool_.is_spare(page); });
  TIDAR_CHECK(spare != recency_.end());
  forget(*spare);
}

void PrefixCache::insert(const Key& key, PageId page) {
  if (key.before != kNone) ++kept(key.before).following;
  kept(page) = {.place = known_.emplace(key, page).first,
                .recency = recency_.insert(recency_.end(), page)};
  pool_.keep(page);
}

void PrefixCache::forget(PageId page) {
  const Kept& gone = kept(page);
  TIDAR_CHECK_EQ(gone.following, 0);
  const PageId before = gone.place->first.before;
  if (before != kNone) --kept(before).following;
  known_.erase(gone.place);
  recency_.erase(gone.recency);
  pool_.forget(page);
}

void PrefixCache::touch(std::span<const PageId> pages) {
  for (size_t i = pages.size(); i-- > 0;) {
    recency_.splice(recency_.end(), recency_, kept(pages[i]).recency);
  }
}

}  // namespace tidar
