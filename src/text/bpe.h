#pragma once
// Byte-pair encoding of one piece of text: start from single bytes or characters, and merge the
// adjacent pair of lowest rank (the leftmost of equals) until no pair is left to merge.

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocabulary.h"

namespace tidar {

/// A pair of adjacent tokens that becomes one. Its rank is its place in the list of merges.
struct Merge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t merged = 0;
};

/// What merging begins with.
enum class BpeUnit : uint8_t { byte, character };

/// What becomes of single units and of pieces that are tokens as a whole.
struct BpeRules {
  BpeUnit unit = BpeUnit::byte;
  /// A character that is not in the vocabulary becomes the tokens <0x00> … <0xFF> of its bytes. All
  /// of them must be there.
  bool byte_fallback = false;
  /// Token of each unit that is not in the vocabulary, or -1: such units are left out.
  int32_t unknown = -1;
  /// Neighbouring unknown units become one unknown token.
  bool fuse_unknown = false;
  /// A piece that is a token becomes that token, even where merges would not lead to it.
  bool ignore_merges = false;
};

/// Immutable, and refers to a vocabulary that must outlive it.
class Bpe {
 public:
  /// Memory of encode(), kept between calls. For one thread at a time.
  struct Scratch {
    std::vector<int32_t> tokens;
    std::vector<uint32_t> ranks;     // of the pair that begins at this token
    std::vector<uint32_t> next;      // of a linked list, for long pieces
    std::vector<uint32_t> previous;  //
    std::vector<uint64_t> queue;     // (rank, place), smallest first
  };

  Bpe() = default;
  /// Of merges of the same pair the last counts.
  Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, BpeRules rules);

  /// Appends the ids of `piece`. Time grows as n log n, whatever the piece.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  struct Pair {
    uint64_t key = kNoPair;
    uint32_t rank = 0;
  };
  static constexpr uint64_t kNoPair = ~uint64_t{0};

  void add_pair(const Merge& merge, uint32_t rank);
  uint32_t rank_of(int32_t left, int32_t right) const;
  void split_into_units(std::string_view piece, std::vector<int32_t>& tokens) const;
  void merge(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;
  /// Ranks the pair that begins at `at` anew, and queues it.
  void push_pair(Scratch& scratch, uint32_t at) const;

  const Vocabulary* vocabulary_ = nullptr;
  BpeRules rules_;
  std::array<int32_t, 256> byte_tokens_{};  // -1: none
  std::vector<Pair> pairs_;                 // hash table
  std::vector<int32_t> merged_;             // by rank
  std::vector<bool> whole_;  // by id: a piece of these bytes becomes this token alone
};

}  // namespace tidar
