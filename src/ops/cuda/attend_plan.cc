#include "ops/cuda/attend_plan.h"

#include <algorithm>

namespace tidar::cuda {

namespace {

static_assert(kPageKeys == kPageSlots);
static_assert(AttendPlan::kPartKeys % AttendPlan::kTileKeys == 0);

// The first row behind `row` that does not go through its keys with it.
int32_t end_of_rows(const Pass& pass, int32_t row, int32_t end) {
  const KeyRange& block = pass.sights[static_cast<size_t>(row)].block;
  const auto is_alike = [&](int32_t other) {
    const KeyRange& of_other = pass.sights[static_cast<size_t>(other)].block;
    return of_other == block || (of_other.size() == 0 && block.size() == 0);
  };
  int32_t next = row + 1;
  while (next < end && next < row + AttendPlan::kPartRows && is_alike(next)) ++next;
  return next;
}

// The keys that are in the prefix of one row at least, or between those that are.
KeyRange prefixes_of(const Pass& pass, int32_t row, int32_t end) {
  KeyRange all;
  for (; row < end; ++row) {
    const KeyRange& prefix = pass.sights[static_cast<size_t>(row)].prefix;
    if (prefix.size() == 0) continue;
    all.from = all.size() == 0 ? prefix.from : std::min(all.from, prefix.from);
    all.to = std::max(all.to, prefix.to);
  }
  return all;
}

}  // namespace

void AttendPlan::make(const Pass& pass, int store_pages) {
  slots.clear(), sights.clear(), pages.clear(), parts.clear(), row_parts.clear();
  partials = keys_read = 0;
  most_rows = 0;
  for (const PassSequence& sequence : pass.sequences) add_sequence(pass, sequence, store_pages);
}

void AttendPlan::add_sequence(const Pass& pass, const PassSequence& sequence, int store_pages) {
  KeyPart part;
  part.first_page = static_cast<int32_t>(pages.size());
  part.paged = sequence.cached + sequence.stored;
  part.scratch = store_pages * kPageKeys + sequence.first_row - sequence.cached;
  pages.insert(pages.end(), sequence.pages.begin(), sequence.pages.end());

  const int32_t end = sequence.first_row + sequence.rows;
  for (int32_t row = sequence.first_row; row < end; ++row) {
    const int32_t key = sequence.key_of_row(row);
    slots.push_back(key < part.paged ? slot_of_key(sequence.pages, key) : part.scratch + key);
    const Sight& sight = pass.sights[static_cast<size_t>(row)];
    for (const KeyRange& range : {sight.prefix, sight.block})
      sights.insert(sights.end(), {range.from, range.to});
  }
  for (int32_t row = sequence.first_row; row < end;) {
    const int32_t next = end_of_rows(pass, row, end);
    part.first_row = row;
    part.rows = next - row;
    most_rows = std::max(most_rows, static_cast<int>(part.rows));
    const size_t first_part = parts.size();
    const auto add = [&](const KeyRange& keys, int32_t origin, bool is_block) {
      for (int32_t from = keys.from; from < keys.to;) {
        const int32_t border = origin + ((from - origin) / kPartKeys + 1) * kPartKeys;
        part.from = from;
        part.to = std::min(keys.to, border);
        part.first_tile = origin + (from - origin) / kTileKeys * kTileKeys;
        part.is_block = is_block ? 1 : 0;
        part.partial = static_cast<int32_t>(partials);
        parts.push_back(part);
        partials += part.rows;
        keys_read += part.to - part.from;
        from = part.to;
      }
    };
    const KeyRange& block = pass.sights[static_cast<size_t>(row)].block;
    add(prefixes_of(pass, row, next), 0, false);
    if (block.size() > 0) add(block, block.from, true);
    for (int32_t i = 0; i < part.rows; ++i) {
      row_parts.push_back({parts[first_part].partial + i, part.rows,
                           static_cast<int32_t>(parts.size() - first_part)});
    }
    row = next;
  }
}

}  // namespace tidar::cuda
