#pragma once
// A set of token ids, as bits: what may be chosen at one place of a text.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"

namespace tidar {

class TokenSet {
 public:
  /// Of ids from 0 to `limit` - 1; none of them is in it yet.
  explicit TokenSet(int32_t limit = 0)
      : limit_(limit), words_((static_cast<size_t>(limit) + 63) / 64) {}

  /// Ids from here on are in no such set.
  int32_t limit() const { return limit_; }

  void insert(int32_t token) {
    check(token);
    words_[word_of(token)] |= bit_of(token);
  }
  void erase(int32_t token) {
    check(token);
    words_[word_of(token)] &= ~bit_of(token);
  }
  bool contains(int32_t token) const {
    return token >= 0 && token < limit_ && (words_[word_of(token)] & bit_of(token)) != 0;
  }

  int32_t count() const {
    int32_t count = 0;
    for (const uint64_t word : words_) count += std::popcount(word);
    return count;
  }
  bool empty() const { return count() == 0; }

  /// Bit b of word w is id 64 w + b.
  std::span<const uint64_t> words() const { return words_; }

  friend bool operator==(const TokenSet&, const TokenSet&) = default;

 private:
  static size_t word_of(int32_t token) { return static_cast<size_t>(token) / 64; }
  static uint64_t bit_of(int32_t token) { return uint64_t{1} << (token % 64); }
  void check(int32_t token) const {
    TIDAR_CHECK_LE(0, token);
    TIDAR_CHECK_LT(token, limit_);
  }

  int32_t limit_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace tidar
