#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace tidar {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t load(const char* bytes, size_t size) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, size);
  return word;
}

/// Multiplies eight bytes at a time into the state; most tokens take one or two multiplications.
uint64_t hash_of(std::string_view bytes) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15u, kOther = 0xD6E8FEB86659FD93u;
  uint64_t state = mix(bytes.size() ^ kOdd, kOther);
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) state = mix(state ^ load(at, 8), kOdd);
  return mix(state ^ load(at, left), kOther);
}

uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  entries_.reserve(tokens);
  storage_.reserve(bytes);
  rehash(std::bit_ceil(tokens * 3 / 2 + 1));
}

void Vocabulary::add(int32_t id, std::string_view bytes) {
  TIDAR_CHECK(id >= 0 && id < kMaxVocabularySize);
  TIDAR_CHECK(!has(id));
  const auto at = static_cast<size_t>(id);
  if (at >= entries_.size()) entries_.resize(at + 1);
  entries_[at] = {storage_.size(), bytes.size()};
  storage_ += bytes;
}

bool Vocabulary::index(int32_t id) {
  if ((indexed_ + 1) * 3 > slots_.size() * 2) rehash(std::max<size_t>(16, slots_.size() * 2));
  const std::string_view token = bytes(id);
  const uint64_t hash = hash_of(token);
  Slot& slot = slots_[slot_of(token, hash)];
  if (slot.id >= 0) return false;
  slot = {id, tag_of(hash)};
  ++indexed_;
  longest_ = std::max(longest_, token.size());
  return true;
}

bool Vocabulary::has(int64_t id) const {
  return id >= 0 && id < size() && entries_[static_cast<size_t>(id)].begin != kAbsent;
}

std::string_view Vocabulary::bytes(int64_t id) const {
  if (!has(id)) return {};
  const Entry& entry = entries_[static_cast<size_t>(id)];
  return std::string_view(storage_).substr(entry.begin, entry.size);
}

int32_t Vocabulary::find(std::string_view bytes) const {
  if (bytes.size() > longest_ || slots_.empty()) return -1;
  return slots_[slot_of(bytes, hash_of(bytes))].id;
}

void Vocabulary::rehash(size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.id < 0) continue;
    const std::string_view token = bytes(slot.id);
    slots_[slot_of(token, hash_of(token))] = slot;
  }
}

size_t Vocabulary::slot_of(std::string_view token, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id < 0 || (slot.tag == tag_of(hash) && bytes(slot.id) == token)) return at;
  }
}

}  // namespace tidar
