#pragma once
// Which groups of masks a TiDAR step holds, and which of them becomes the next draft: integers
// only. Group j is the next draft for the case that exactly j tokens are accepted.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "plan/layouts.h"

namespace tidar {

/// What a policy may look at before a step.
struct StepOutlook {
  int draft_length = 0;  ///< K, masks of a whole group
  int row_budget = 0;    ///< rows that this pass grants the sequence

  /// One a draft: the log-probability that the draft gave it when it chose it. The first draft is
  /// certain (0). Group j is used when the drafts 1 … j-1 turn out right and draft j does not.
  std::span<const float> confidences{};
};

/// Lists the groups j to keep, of 1 … number of drafts, most wanted first: where rows run short,
/// the last ones are cut. Numbers that this step has no draft for are passed over. A step of a
/// single draft always keeps group 1.
using GroupPolicy = std::function<std::vector<int>(const StepOutlook&)>;

/// Every group.
GroupPolicy all_groups();

/// The groups of `kept`, in their order, in every step.
GroupPolicy only_groups(std::vector<int> kept);

/// No group: self-speculative decoding. A pass verifies a draft and does nothing else; the newest
/// token then stands alone, and the pass after that reads it and drafts again with its group. A
/// step is two passes, of K and of K + 1 rows, where TiDAR's is one of K (K + 1).
GroupPolicy no_groups();

/// Rows of a step of K drafts with all groups: no step has more.
inline int rows_of_whole_step(int draft_length) { return draft_length * (draft_length + 1); }

/// The frame that a step must fit into.
struct StepFrame {
  int draft_length = 0;    ///< K
  int row_budget = 0;      ///< rows, drafts included
  int positions_left = 0;  ///< positions from the first draft's to the last of the context
  bool mixes = false;      ///< every draft needs mask 0 of the group after it (trust < 1)
};

/// Drafts of `wanted` >= 1 that fit. The row of a draft is useful only if a position follows it,
/// and where it mixes it comes with a mask.
int fit_drafts(int wanted, const StepFrame& frame);

/// The groups of a step of `drafts` drafts (as fit_drafts gave), in ascending order. Groups of
/// `kept` get up to K masks as far as positions and rows suffice; where the step mixes, every other
/// group gets the one mask that is mixed in. A mask that nobody would read is not planned.
std::vector<MaskGroup> fit_groups(int drafts, std::span<const int> kept, const StepFrame& frame);

/// Masks of a step that stand at consecutive positions.
struct MaskRun {
  int32_t first_row = 0;
  int masks = 0;
};

/// The masks that draft what follows when `accepted` drafts and the token chosen after them are
/// committed: of group `accepted`, or else the tail of the nearest smaller one that reaches so far
/// (the draft is then shorter). `masks` is 0 when there is none.
MaskRun next_draft(std::span<const MaskGroup> groups, int accepted);

/// The group's first row for `accepted` tokens; -1 when it is not there.
int32_t group_row(std::span<const MaskGroup> groups, int accepted);

}  // namespace tidar
