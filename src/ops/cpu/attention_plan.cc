#include "ops/cpu/attention_plan.h"

#include <algorithm>

#include "base/check.h"

namespace tidar::cpu {

namespace {

constexpr int32_t kNowhere = -1;

int32_t key_panels_for(int32_t keys) { return (keys + kKeyPanel - 1) / kKeyPanel; }

int32_t keys_in_pages(const PassSequence& sequence) { return sequence.cached + sequence.stored; }

int32_t end_of(const KeyRange& prefix) { return prefix.size() > 0 ? prefix.to : 0; }

// Whether the block is read as the next key behind the prefix.
bool goes_on(const Sight& sight) { return sight.block.size() == 1; }

// Whether the block is read in the stream, since it holds keys of earlier passes.
bool reaches_cache(const KeyRange& block, const PassSequence& sequence) {
  return block.size() > 1 && block.from < sequence.cached;
}

// Whether rows with these sights are shown the same panels, but for how many of the stream's.
bool share_panels(const Sight& a, const Sight& b) {
  if (a.block.size() == 0 || b.block.size() == 0) return a.block.size() == b.block.size();
  return a.block == b.block && (!goes_on(a) || end_of(a.prefix) == end_of(b.prefix));
}

size_t row_of_key(const PassSequence& sequence, int32_t key) {
  return static_cast<size_t>(sequence.first_row + key - sequence.cached);
}

std::span<const Sight> sights_of(const Pass& pass, const PassSequence& sequence) {
  return std::span(pass.sights)
      .subspan(static_cast<size_t>(sequence.first_row), static_cast<size_t>(sequence.rows));
}

}  // namespace

void AttentionPlanner::plan(const Pass& pass) {
  scratch_used_ = 0;
  slots_.assign(pass.tokens.size(), kNowhere);
  copies_.clear();
  attend_.tiles.clear();
  attend_.panels.clear();
  attend_.sights.clear();
  for (const PassSequence& sequence : pass.sequences) plan_sequence(pass, sequence);
}

void AttentionPlanner::plan_sequence(const Pass& pass, const PassSequence& sequence) {
  place_stream(pass, sequence);
  place_blocks(pass, sequence);
  for (int32_t row = sequence.first_row; row < sequence.first_row + sequence.rows; ++row) {
    // Seen by nobody, but stored like any other.
    int32_t& slot = slots_[static_cast<size_t>(row)];
    if (slot == kNowhere) slot = take_scratch(1);
  }
  add_tiles(pass, sequence);
}

void AttentionPlanner::place_stream(const Pass& pass, const PassSequence& sequence) {
  const int32_t in_pages = keys_in_pages(sequence);
  stream_end_ = in_pages;
  for (const Sight& sight : sights_of(pass, sequence)) {
    if (sight.prefix.size() > 0) stream_end_ = std::max(stream_end_, sight.prefix.to);
    if (reaches_cache(sight.block, sequence)) stream_end_ = std::max(stream_end_, sight.block.to);
  }
  const int32_t behind_pages = stream_end_ - key_panels_for(in_pages) * kKeyPanel;
  stream_scratch_ = behind_pages > 0 ? take_scratch(behind_pages) : kNowhere;
  for (int32_t key = sequence.cached; key < stream_end_; ++key) {
    slots_[row_of_key(sequence, key)] = stream_slot(sequence, key);
  }
}

void AttentionPlanner::place_blocks(const Pass& pass, const PassSequence& sequence) {
  blocks_.clear();
  for (const Sight& sight : sights_of(pass, sequence)) {
    const KeyRange& keys = sight.block;
    if (keys.size() == 0 || reaches_cache(keys, sequence) || placed(sight) != nullptr) continue;
    goes_on(sight) ? place_next_key(sequence, sight) : place_block(sequence, keys);
  }
}

void AttentionPlanner::place_block(const PassSequence& sequence, const KeyRange& keys) {
  const int32_t slot = take_scratch(keys.size());
  blocks_.push_back({keys, 0, slot});
  for (int32_t key = keys.from; key < keys.to; ++key)
    place_key(sequence, key, slot + key - keys.from);
}

void AttentionPlanner::place_next_key(const PassSequence& sequence, const Sight& sight) {
  const int32_t end = end_of(sight.prefix), border = end / kKeyPanel * kKeyPanel;
  const int32_t slot = take_scratch(kKeyPanel);
  blocks_.push_back({sight.block, end, slot});
  for (int32_t key = border; key < end; ++key)
    copies_.push_back({stream_slot(sequence, key), slot + key - border});
  place_key(sequence, sight.block.from, slot + end - border);
}

// Where a key is to be read besides the stream: its row is stored there, or copied if it has a
// slot.
void AttentionPlanner::place_key(const PassSequence& sequence, int32_t key, int32_t slot) {
  if (key < sequence.cached) {
    copies_.push_back({stream_slot(sequence, key), slot});
    return;
  }
  int32_t& own = slots_[row_of_key(sequence, key)];
  if (own == kNowhere) {
    own = slot;
  } else {
    copies_.push_back({own, slot});
  }
}

void AttentionPlanner::add_tiles(const Pass& pass, const PassSequence& sequence) {
  const auto sights = sights_of(pass, sequence);
  for (size_t first = 0; first < sights.size();) {
    size_t end = first + 1;
    while (end < sights.size() && end - first < kTileRows &&
           share_panels(sights[end], sights[first])) {
      ++end;
    }
    add_tile(pass, sequence, sequence.first_row + static_cast<int32_t>(first),
             static_cast<int32_t>(end - first));
    first = end;
  }
}

void AttentionPlanner::add_tile(const Pass& pass, const PassSequence& sequence, int32_t first_row,
                                int32_t rows) {
  const auto sights =
      std::span(pass.sights).subspan(static_cast<size_t>(first_row), static_cast<size_t>(rows));
  AttendTile tile;
  tile.first_row = first_row;
  tile.rows = rows;
  tile.first_panel = static_cast<int32_t>(attend_.panels.size());
  int32_t prefix_end = 0;
  for (const Sight& sight : sights) prefix_end = std::max(prefix_end, end_of(sight.prefix));
  const Sight& any = sights[0];
  const PlacedBlock* const own = any.block.size() > 0 ? placed(any) : nullptr;
  if (goes_on(any)) {
    tile.prefix_panels = prefix_end / kKeyPanel + 1;
    add_stream_panels(sequence, 0, tile.prefix_panels - 1);
    attend_.panels.push_back(own->slot / kKeyPanel);
    attend_.tiles.push_back(tile);
    for (const Sight& sight : sights) {
      const int32_t from = sight.prefix.size() > 0 ? sight.prefix.from : 0;
      attend_.sights.push_back({{from, prefix_end + 1}, {}});
    }
    return;
  }

  tile.prefix_panels = key_panels_for(prefix_end);
  add_stream_panels(sequence, 0, tile.prefix_panels);
  const KeyRange& block = any.block;
  int32_t block_from = tile.prefix_panels * kKeyPanel;
  if (own != nullptr) {
    tile.block_panels = key_panels_for(block.size());
    for (int32_t i = 0; i < tile.block_panels; ++i) {
      attend_.panels.push_back(own->slot / kKeyPanel + i);
    }
  } else if (block.size() > 0) {
    const int32_t first_panel = block.from / kKeyPanel;
    tile.block_panels = key_panels_for(block.to) - first_panel;
    add_stream_panels(sequence, first_panel, tile.block_panels);
    block_from += block.from % kKeyPanel;
  }
  attend_.tiles.push_back(tile);
  for (const Sight& sight : sights) {
    const KeyRange prefix = sight.prefix.size() > 0 ? sight.prefix : KeyRange{};
    attend_.sights.push_back({prefix, {block_from, block_from + block.size()}});
  }
}

void AttentionPlanner::add_stream_panels(const PassSequence& sequence, int32_t first,
                                         int32_t count) {
  for (int32_t panel = first; panel < first + count; ++panel)
    attend_.panels.push_back(stream_panel(sequence, panel));
}

int32_t AttentionPlanner::take_scratch(int32_t slots) {
  const int32_t first = scratch_.first + scratch_used_;
  scratch_used_ += key_panels_for(slots) * kKeyPanel;
  TIDAR_CHECK_LE(scratch_used_, scratch_.count);
  return first;
}

// Panel of slots that holds panel `panel` of the sequence's stream.
int32_t AttentionPlanner::stream_panel(const PassSequence& sequence, int32_t panel) const {
  constexpr int32_t kPagePanels = kPageSlots / kKeyPanel;
  const int32_t page_panels = key_panels_for(keys_in_pages(sequence));
  if (panel >= page_panels) return stream_scratch_ / kKeyPanel + panel - page_panels;
  return sequence.pages[static_cast<size_t>(panel / kPagePanels)] * kPagePanels +
         panel % kPagePanels;
}

// Slot of a key of the sequence's stream.
int32_t AttentionPlanner::stream_slot(const PassSequence& sequence, int32_t key) const {
  return stream_panel(sequence, key / kKeyPanel) * kKeyPanel + key % kKeyPanel;
}

// The latest first: rows of one block usually follow each other.
const AttentionPlanner::PlacedBlock* AttentionPlanner::placed(const Sight& sight) const {
  const int32_t behind = goes_on(sight) ? end_of(sight.prefix) : 0;
  const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(), [&](const PlacedBlock& block) {
    return block.keys == sight.block && block.behind == behind;
  });
  return found == blocks_.rend() ? nullptr : &*found;
}

}  // namespace tidar::cpu
