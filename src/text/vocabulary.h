#pragma once
// All tokens of a tokenizer: id -> bytes, and bytes -> id for those that text can be made of.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidar {

/// Largest id + 1 that is believed; tables grow with it. The largest vocabularies have 262144.
inline constexpr int64_t kMaxVocabularySize = int64_t{1} << 22;

/// Filled once, then immutable. The bytes of all tokens lie in one string.
class Vocabulary {
 public:
  /// Makes room for `tokens` tokens of `bytes` bytes together.
  void reserve(size_t tokens, size_t bytes);

  /// Adds a token. `id` must be below kMaxVocabularySize and not be taken.
  void add(int32_t id, std::string_view bytes);
  /// Makes find() find token `id`. False when another token of the same bytes is found already.
  bool index(int32_t id);

  /// One more than the largest id.
  int32_t size() const { return static_cast<int32_t>(entries_.size()); }
  bool has(int64_t id) const;
  /// "" for an id without a token.
  std::string_view bytes(int64_t id) const;
  /// Id of the indexed token of exactly these bytes, or -1.
  int32_t find(std::string_view bytes) const;

 private:
  static constexpr size_t kAbsent = SIZE_MAX;
  struct Entry {
    size_t begin = kAbsent;
    size_t size = 0;
  };
  /// A place of the hash table: an id, and the upper half of its hash to tell most others apart
  /// without a look at their bytes.
  struct Slot {
    int32_t id = -1;
    uint32_t tag = 0;
  };
  void rehash(size_t slots);
  /// The slot of the token of these bytes, or the free one where it would go.
  size_t slot_of(std::string_view token, uint64_t hash) const;

  std::string storage_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
  size_t indexed_ = 0;
  size_t longest_ = 0;
};

}  // namespace tidar
