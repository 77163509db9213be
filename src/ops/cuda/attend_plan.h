#pragma once
// How the work of attention over a pass is divided for a GPU: rows that stand one behind another
// and have the same block, up to kPartRows of them, go through their keys together; and their keys
// are cut into parts that are attended to at the same time. All of it is integers, made once a
// pass.
//
// Where a part ends depends on the key order (of prefixes) or on where a block begins, and on how
// many keys a part has. Where that is always the same, a row's result depends on what it sees
// alone.
//
// A block of one key goes on where the prefix ends, as if the key were the next of the prefix, for
// which it stands in: so a row that sees a prefix and itself is read as the causal row of the text
// that it stands for, to the bit, wherever its key lies. TiDAR's guessed tokens are such rows.

#include <cstdint>
#include <vector>

#include "ops/cuda/kernels.h"
#include "plan/pass.h"

namespace tidar::cuda {

struct AttendPlan {
  static constexpr int kPartRows = 16;
  static constexpr int kTileKeys = 64;   ///< that a kernel takes at once, or more than it does
  static constexpr int kPartKeys = 256;  ///< of a part, if nobody says otherwise

  std::vector<int32_t> slots;  ///< of each row
  /// Of each row: prefix from, to, block from, to. With a stand-in the prefix is longer by it, and
  /// the block empty.
  std::vector<int32_t> sights;
  std::vector<int32_t> pages;  ///< of all sequences, one behind another
  std::vector<KeyPart> parts;
  std::vector<RowParts> row_parts;  ///< of each row
  int64_t partials = 0;
  int most_rows = 0;  ///< of a part
  int64_t keys_read = 0;

  /// For a store of `store_pages` pages; parts have up to `part_keys` keys, a multiple of
  /// kTileKeys. Keeps the memory of the plan before.
  void make(const Pass& pass, int store_pages, int part_keys = kPartKeys);

  /// How many keys parts may have for there to be `wanted` of them, or as many as there can be.
  static int part_keys_for(const Pass& pass, int64_t wanted);

 private:
  void add_sequence(const Pass& pass, const PassSequence& sequence, int store_pages, int part_keys);
};

}  // namespace tidar::cuda
