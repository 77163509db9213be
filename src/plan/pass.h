#pragma once
// One forward pass as plain, printable host data. Decoders and training objectives write it, the
// network carries it out; neither knows the other.
//
// A pass is a list of rows. A row is a token at a position that sees some keys. Rows belong to
// sequences, and every sequence has its own *key order*: first the `cached` keys that earlier
// passes left in its pages, then the rows that this pass adds to it, in the order they were added.
// What a row sees is two half-open intervals of that order (its Sight); no boolean matrix exists.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cache/pages.h"
#include "plan/ask.h"

namespace tidar {

/// Keys [from, to) of a sequence.
struct KeyRange {
  int32_t from = 0;
  int32_t to = 0;
  int32_t size() const { return to - from; }
  bool contains(int32_t key) const { return from <= key && key < to; }
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

/// What a row sees: the union of two ranges, disjoint, `prefix` before `block`; either may be
/// empty, not both. A row that is read causally sees `prefix` up to and including itself; a row
/// that is read bidirectionally sees a prefix and all of its block.
struct Sight {
  KeyRange prefix;
  KeyRange block;
  bool sees(int32_t key) const { return prefix.contains(key) || block.contains(key); }
  friend bool operator==(const Sight&, const Sight&) = default;
};

/// Where the key and value of a row go.
enum class Keep : uint8_t {
  page,     ///< into the sequence's pages: committed tokens and drafts
  scratch,  ///< nowhere beyond this pass: masks, and all rows of training
};

/// One sequence's share of a pass. Its rows are consecutive. Rows that are kept in pages come
/// first, so that key k < cached + stored always lies in the pages.
struct PassSequence {
  std::vector<PageId> pages;  ///< pages of the keys [0, cached + stored)
  int32_t cached = 0;         ///< keys that earlier passes left
  int32_t stored = 0;         ///< rows of this pass that go into pages
  int32_t first_row = 0;
  int32_t rows = 0;

  /// Keys of the sequence, the rows of this pass included.
  int32_t keys() const { return cached + rows; }
  /// Key index of row r of the pass.
  int32_t key_of_row(int32_t row) const { return cached + row - first_row; }
};

/// Built by decoders and by the layouts (plan/layouts.h), row by row; read by everybody. It owns
/// all that it says, so it can be copied, kept and carried out later or elsewhere, as long as the
/// pages that it names hold the keys of passes before it. Not thread-safe.
class Pass {
 public:
  /// Starts a sequence without a cache; the rows added from now on belong to it.
  void begin_sequence();
  /// Starts a sequence that goes on from the committed keys of `cache`. Rows that are kept in pages
  /// take its next keys, which the caller must have reserved; committing them is the caller's. The
  /// pass keeps nothing of `cache`; what is pending there becomes one of its moves.
  void begin_sequence(const SequenceCache& cache);

  /// Adds a row to the last sequence and returns its index in the pass. `sight` may name keys of
  /// rows that are added later. Rows kept in pages must come before scratch rows.
  int32_t add_row(int32_t token, int32_t position, const Sight& sight, Keep keep);

  /// Empties the pass; keeps the memory.
  void clear();

  int32_t rows() const { return static_cast<int32_t>(tokens.size()); }

  /// Key index that the next row of the last sequence will have.
  int32_t next_key() const;

  /// Stops the program unless every sight is a prefix before a block within its sequence's keys and
  /// every invariant of the fields below holds. Costs a few comparisons a row, and one for every
  /// page a move.
  void check() const;

  /// A picture of who sees whom: a line a row with its index, token (marked ? where it is asked
  /// something), position, where its key is kept, and a cell a key: █ seen, · not. Left of the bar
  /// stand the cached keys; when there are many, a cell stands for several of them, and ▒ says that
  /// only some are seen. Lines are cut at `width` characters. For people: docs and debugging.
  std::string picture(int width = 120) const;

  // One entry a row.
  std::vector<int32_t> tokens;
  std::vector<int32_t> positions;  ///< for the rotary embedding
  std::vector<Sight> sights;
  std::vector<Keep> keeps;

  std::vector<PassSequence> sequences;

  /// Carried out before anything of the pass is stored: keys and values that an earlier pass left
  /// elsewhere go to the slots of cached keys. Their order does not matter: no slot is moved to
  /// twice, or from and to. Rows of the pass may be stored over where they lay, so that a pass with
  /// moves is carried out once.
  std::vector<SlotMove> moves;

  Asks asks;

 private:
  // Pages that are reserved for the next rows of the last sequence, the first of them last.
  std::vector<PageId> next_pages_;
  // Page lists of cleared sequences, kept for their memory.
  std::vector<std::vector<PageId>> spare_pages_;
};

}  // namespace tidar
