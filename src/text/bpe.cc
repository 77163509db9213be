#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

#include "base/check.h"
#include "text/utf8.h"

namespace tidar {
namespace {

constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();

/// Up to here looking at every pair for each merge is faster than keeping a queue of them.
constexpr size_t kShort = 64;

uint64_t key_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

size_t slot_of(uint64_t key, size_t mask) {
  key *= 0x9E3779B97F4A7C15u;
  return (key ^ key >> 32) & mask;
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, BpeRules rules)
    : vocabulary_(&vocabulary), rules_(rules) {
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const std::string written =
        rules.byte_fallback ? fmt::format("<0x{:02X}>", byte) : std::string(1, text);
    byte_tokens_[static_cast<size_t>(byte)] = vocabulary.find(written);
    TIDAR_CHECK(!rules.byte_fallback || byte_tokens_[static_cast<size_t>(byte)] >= 0);
  }
  pairs_.resize(std::bit_ceil(merges.size() * 3 / 2 + 1));
  merged_.reserve(merges.size());
  for (const Merge& merge : merges) {
    add_pair(merge, static_cast<uint32_t>(merged_.size()));
    merged_.push_back(merge.merged);
  }
  // Nearly every word of a text is a token. Knowing which tokens their own bytes lead back to
  // spares all merging for those words, and needs no cache that threads would have to share.
  std::vector<bool> whole(static_cast<size_t>(vocabulary.size()));
  Scratch scratch;
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view bytes = vocabulary.bytes(id);
    if (bytes.empty() || vocabulary.find(bytes) != id) continue;
    ids.clear();
    if (!rules.ignore_merges) merge(bytes, scratch, ids);
    whole[static_cast<size_t>(id)] = rules.ignore_merges || (ids.size() == 1 && ids[0] == id);
  }
  whole_ = std::move(whole);
}

void Bpe::add_pair(const Merge& merge, uint32_t rank) {
  const uint64_t key = key_of(merge.left, merge.right);
  const size_t mask = pairs_.size() - 1;
  size_t at = slot_of(key, mask);
  while (pairs_[at].key != kNoPair && pairs_[at].key != key) at = (at + 1) & mask;
  pairs_[at] = {key, rank};
}

uint32_t Bpe::rank_of(int32_t left, int32_t right) const {
  const uint64_t key = key_of(left, right);
  const size_t mask = pairs_.size() - 1;
  for (size_t at = slot_of(key, mask); pairs_[at].key != kNoPair; at = (at + 1) & mask) {
    if (pairs_[at].key == key) return pairs_[at].rank;
  }
  return kNoRank;
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const {
  const int32_t id = vocabulary_->find(piece);
  if (id >= 0 && whole_[static_cast<size_t>(id)]) {
    ids.push_back(id);
  } else {
    merge(piece, scratch, ids);
  }
}

void Bpe::merge(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const {
  TIDAR_CHECK_LT(piece.size(), size_t{kEnd});
  std::vector<int32_t>& tokens = scratch.tokens;
  split_into_units(piece, tokens);
  if (tokens.empty()) return;
  scratch.ranks.assign(tokens.size(), kNoRank);
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    scratch.ranks[i] = rank_of(tokens[i], tokens[i + 1]);
  }
  if (tokens.size() <= kShort) {
    merge_short(scratch);
  } else {
    merge_long(scratch);
  }
  ids.insert(ids.end(), tokens.begin(), tokens.end());
}

void Bpe::split_into_units(std::string_view piece, std::vector<int32_t>& tokens) const {
  tokens.clear();
  bool after_unknown = false;
  while (!piece.empty()) {
    const bool bytes = rules_.unit == BpeUnit::byte;
    const std::string_view unit = piece.substr(0, bytes ? 1 : utf8_front(piece).size);
    piece.remove_prefix(unit.size());
    const int32_t token =
        bytes ? byte_tokens_[static_cast<uint8_t>(unit.front())] : vocabulary_->find(unit);
    const bool unknown = token < 0;
    if (!unknown) {
      tokens.push_back(token);
    } else if (rules_.byte_fallback) {
      for (const char c : unit) tokens.push_back(byte_tokens_[static_cast<uint8_t>(c)]);
    } else if (rules_.unknown >= 0 && !(after_unknown && rules_.fuse_unknown)) {
      tokens.push_back(rules_.unknown);
    }
    after_unknown = unknown;
  }
}

void Bpe::merge_short(Scratch& scratch) const {
  std::vector<int32_t>& tokens = scratch.tokens;
  std::vector<uint32_t>& ranks = scratch.ranks;
  for (;;) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == kNoRank) return;
    const auto at = static_cast<size_t>(best - ranks.begin());
    tokens[at] = merged_[*best];
    tokens.erase(tokens.begin() + static_cast<ptrdiff_t>(at) + 1);
    ranks.erase(best + 1);
    ranks[at] = at + 1 < tokens.size() ? rank_of(tokens[at], tokens[at + 1]) : kNoRank;
    if (at > 0) ranks[at - 1] = rank_of(tokens[at - 1], tokens[at]);
  }
}

void Bpe::push_pair(Scratch& scratch, uint32_t at) const {
  const uint32_t right = scratch.next[at];
  const uint32_t rank =
      right != kEnd ? rank_of(scratch.tokens[at], scratch.tokens[right]) : kNoRank;
  scratch.ranks[at] = rank;
  if (rank == kNoRank) return;
  scratch.queue.push_back(uint64_t{rank} << 32 | at);
  std::push_heap(scratch.queue.begin(), scratch.queue.end(), std::greater<>());
}

void Bpe::merge_long(Scratch& scratch) const {
  auto& [tokens, ranks, next, previous, queue] = scratch;
  const auto count = static_cast<uint32_t>(tokens.size());
  next.resize(count);
  previous.resize(count);
  queue.clear();
  for (uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kEnd;
    previous[i] = i > 0 ? i - 1 : kEnd;
    if (ranks[i] != kNoRank) queue.push_back(uint64_t{ranks[i]} << 32 | i);
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());

  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const auto rank = static_cast<uint32_t>(queue.back() >> 32);
    const auto at = static_cast<uint32_t>(queue.back());
    queue.pop_back();
    if (ranks[at] != rank) continue;  // one of the pair has been merged since
    const uint32_t gone = next[at];
    tokens[at] = merged_[rank];
    ranks[gone] = kNoRank;
    next[at] = next[gone];
    if (next[at] != kEnd) previous[next[at]] = at;
    push_pair(scratch, at);
    if (previous[at] != kEnd) push_pair(scratch, previous[at]);
  }

  size_t kept = 0;
  for (uint32_t at = 0; at != kEnd; at = next[at]) tokens[kept++] = tokens[at];
  tokens.resize(kept);
}

}  // namespace tidar
