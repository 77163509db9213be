#pragma once
// How the work of attention over a pass is divided for a GPU: rows that stand one behind another
// and have the same block, up to kPartRows of them, go through their keys together; and their keys
// are cut into parts that are attended to at the same time. All of it is integers, made once a
// pass.
//
// Where a part ends depends on the key order (of prefixes) or on where a block begins, not on the
// rows: so a row's result depends on what it sees alone.

#include <cstdint>
#include <vector>

#include "ops/cuda/kernels.h"
#include "plan/pass.h"

namespace tidar::cuda {

struct AttendPlan {
  static constexpr int kPartRows = 16;
  static constexpr int kPartKeys = 256;  ///< a multiple of what a kernel takes at once
  static constexpr int kTileKeys = 32;   ///< which is this

  std::vector<int32_t> slots;   ///< of each row
  std::vector<int32_t> sights;  ///< of each row: prefix from, to, block from, to
  std::vector<int32_t> pages;   ///< of all sequences, one behind another
  std::vector<KeyPart> parts;
  std::vector<RowParts> row_parts;  ///< of each row
  int64_t partials = 0;
  int most_rows = 0;  ///< of a part
  int64_t keys_read = 0;

  /// For a store of `store_pages` pages. Keeps the memory of the plan before.
  void make(const Pass& pass, int store_pages);

 private:
  void add_sequence(const Pass& pass, const PassSequence& sequence, int store_pages);
};

}  // namespace tidar::cuda
