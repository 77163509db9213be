#include "ops/cuda/attend_plan.h"

#include <algorithm>

namespace tidar::cuda {

namespace {

static_assert(kPageKeys == kPageSlots);
static_assert(AttendPlan::kPartKeys % AttendPlan::kTileKeys == 0);

// Tiles of a part, at most: a block takes them one behind another.
constexpr int64_t kMostTiles = 64;

// Whether the row's block is a key that stands in for the one behind its prefix.
bool has_stand_in(const Sight& sight) { return sight.block.size() == 1 && sight.prefix.size() > 0; }

// The first row behind `row` that does not go through its keys with it.
int32_t end_of_rows(const Pass& pass, int32_t row, int32_t end) {
  if (has_stand_in(pass.sights[static_cast<size_t>(row)])) return row + 1;
  const KeyRange& block = pass.sights[static_cast<size_t>(row)].block;
  const auto is_alike = [&](int32_t other) {
    const Sight& sight = pass.sights[static_cast<size_t>(other)];
    const KeyRange& of_other = sight.block;
    if (has_stand_in(sight)) return false;
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

void AttendPlan::make(const Pass& pass, int store_pages, int part_keys) {
  slots.clear(), sights.clear(), pages.clear(), parts.clear(), row_parts.clear();
  partials = keys_read = 0;
  most_rows = 0;
  for (const PassSequence& sequence : pass.sequences)
    add_sequence(pass, sequence, store_pages, part_keys);
}

int AttendPlan::part_keys_for(const Pass& pass, int64_t wanted) {
  int64_t tiles = 0;
  for (const PassSequence& sequence : pass.sequences) {
    const int32_t end = sequence.first_row + sequence.rows;
    for (int32_t row = sequence.first_row; row < end;) {
      const int32_t next = end_of_rows(pass, row, end);
      const int keys =
          prefixes_of(pass, row, next).size() + pass.sights[static_cast<size_t>(row)].block.size();
      tiles += (keys + kTileKeys - 1) / kTileKeys;
      row = next;
    }
  }
  // A power of two, so that plans, and what is recorded of them, change seldom.
  int64_t in_part = 1;
  while (2 * in_part * wanted <= tiles && in_part < kMostTiles) in_part *= 2;
  return static_cast<int>(in_part) * kTileKeys;
}

void AttendPlan::add_sequence(const Pass& pass, const PassSequence& sequence, int store_pages,
                              int part_keys) {
  KeyPart part;
  part.first_page = static_cast<int32_t>(pages.size());
  part.paged = sequence.cached + sequence.stored;
  part.scratch = store_pages * kPageKeys + sequence.first_row - sequence.cached;
  pages.insert(pages.end(), sequence.pages.begin(), sequence.pages.end());

  const int32_t end = sequence.first_row + sequence.rows;
  const auto slot_of = [&](int32_t key) {
    return key < part.paged ? slot_of_key(sequence.pages, key) : part.scratch + key;
  };
  for (int32_t row = sequence.first_row; row < end; ++row) {
    slots.push_back(slot_of(sequence.key_of_row(row)));
    Sight sight = pass.sights[static_cast<size_t>(row)];
    if (has_stand_in(sight)) sight = {{sight.prefix.from, sight.prefix.to + 1}, {}};
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
        const int32_t border = origin + ((from - origin) / part_keys + 1) * part_keys;
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
    const Sight& sight = pass.sights[static_cast<size_t>(row)];
    if (has_stand_in(sight)) {
      part.stand_in = sight.prefix.to;
      part.stand_in_slot = slot_of(sight.block.from);
      add({sight.prefix.from, sight.prefix.to + 1}, 0, false);
      part.stand_in = -1;
    } else {
      add(prefixes_of(pass, row, next), 0, false);
      if (sight.block.size() > 0) add(sight.block, sight.block.from, true);
    }
    for (int32_t i = 0; i < part.rows; ++i) {
      row_parts.push_back({parts[first_part].partial + i, part.rows,
                           static_cast<int32_t>(parts.size() - first_part)});
    }
    row = next;
  }
}

}  // namespace tidar::cuda
