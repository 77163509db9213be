#pragma once
// From who sees whom to panels of slots: the host's part of attention, done once a pass.
//
// Where the keys of a sequence lie, P of them in its pages (cached and stored):
//
//   key 0 … P-1 in pages | P … stream_end-1: the stream's scratch | the rest: scratch of blocks
//
// - The *stream* is what rows see as a prefix: panel p holds keys 16 p … 16 p + 15. Scratch rows
//   that somebody sees as a prefix go on with it, first in the free rest of the panel that key
//   P - 1 lies in, then in scratch panels.
// - Each *block* starts at a scratch panel of its own. A row that is seen both ways, or in several
//   blocks, is kept once for each (copies).
// - A block of one key goes on where the prefix ends, as if the key were the next of the stream: in
//   a scratch panel that begins with copies of the prefix's last, partly filled panel. So a row
//   that sees a prefix and itself is read as the causal row of the text that it stands for, to the
//   bit, wherever its key lies: TiDAR's guessed tokens are such rows.
//
// So the panels and places in them that a row sees follow from its sight alone, never from other
// rows, and kernels that are row-invariant stay so for whole passes. (The one exception is a block
// of several keys that reaches back to cached ones: it is read where it lies in the stream.)

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ops/host_ops.h"
#include "plan/pass.h"

namespace tidar::cpu {

/// Kernels read keys in panels of this many consecutive slots.
inline constexpr int kKeyPanel = 16;
/// Rows of a tile at most.
inline constexpr int kTileRows = 16;

/// Rows that share a list of key panels.
struct AttendTile {
  int32_t first_row = 0;
  int32_t rows = 0;           // at most kTileRows
  int32_t first_panel = 0;    // into AttendPlan::panels
  int32_t prefix_panels = 0;  // panels that hold the prefix, then
  int32_t block_panels = 0;   // panels that hold the block
};

struct AttendPlan {
  std::vector<AttendTile> tiles;
  std::vector<int32_t> panels;  // slot / kKeyPanel of every panel of every tile
  /// What each row sees, in keys of its tile's panels: key 16 p + o is slot 16 panels[first_panel +
  /// p] + o. Either range may be empty, not both.
  std::vector<Sight> sights;

  /// Keys of all panels, summed over tiles.
  int64_t keys_read() const { return static_cast<int64_t>(panels.size()) * kKeyPanel; }
};

/// Scratch slots that suffice for every pass of so many rows whose blocks do not overlap, but for a
/// first key that is also a block of its own. Panels are of 16 slots, and the worst case is two
/// rows with a block each, the second also seeing the first as its prefix: three panels.
inline constexpr int kScratchSlotsPerRow = 24;

/// The slots that lie behind the pages.
struct ScratchSlots {
  int32_t first = 0;  ///< a multiple of kKeyPanel
  int32_t count = 0;
};

/// Plans passes one after another; keeps its memory. Not thread-safe.
class AttentionPlanner {
 public:
  explicit AttentionPlanner(const ScratchSlots& scratch) : scratch_(scratch) {}

  /// `pass` must have been checked. Stops the program if its blocks need more scratch slots than
  /// there are. What the accessors below return is valid until the next plan().
  void plan(const Pass& pass);

  /// The slot of every row.
  std::span<const int32_t> slots() const { return slots_; }
  /// What is copied from slot to slot when all rows have been stored: rows and cached keys that
  /// are read elsewhere too. None is copied from where another is copied to.
  std::span<const SlotMove> copies() const { return copies_; }
  /// Tiles of consecutive rows of one sequence that see the same block, or none.
  const AttendPlan& attend() const { return attend_; }

 private:
  // A block of the sequence in hand, at its own panels.
  struct PlacedBlock {
    KeyRange keys;
    int32_t behind = 0;  // the end of the prefix, where it goes on there
    int32_t slot = 0;    // of its panel's first key
  };

  void plan_sequence(const Pass& pass, const PassSequence& sequence);
  void place_stream(const Pass& pass, const PassSequence& sequence);
  void place_blocks(const Pass& pass, const PassSequence& sequence);
  void place_block(const PassSequence& sequence, const KeyRange& keys);
  void place_next_key(const PassSequence& sequence, const Sight& sight);
  void place_key(const PassSequence& sequence, int32_t key, int32_t slot);
  void add_tiles(const Pass& pass, const PassSequence& sequence);
  void add_tile(const Pass& pass, const PassSequence& sequence, int32_t first_row, int32_t rows);
  void add_stream_panels(const PassSequence& sequence, int32_t first, int32_t count);
  int32_t take_scratch(int32_t slots);
  int32_t stream_panel(const PassSequence& sequence, int32_t panel) const;
  int32_t stream_slot(const PassSequence& sequence, int32_t key) const;
  const PlacedBlock* placed(const Sight& sight) const;

  ScratchSlots scratch_;
  int32_t scratch_used_ = 0;

  // Of the sequence in hand.
  int32_t stream_end_ = 0;
  int32_t stream_scratch_ = 0;  // first slot of the stream behind the pages
  std::vector<PlacedBlock> blocks_;

  std::vector<int32_t> slots_;
  std::vector<SlotMove> copies_;
  AttendPlan attend_;
};

/// A pass whose attention is planned, for keys in panels.
struct PanelPass final : HostPass {
  std::optional<AttentionPlanner> planner;  // none without a store
};

}  // namespace tidar::cpu
