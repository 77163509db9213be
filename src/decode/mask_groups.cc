#include "decode/mask_groups.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace tidar {

GroupPolicy all_groups() {
  return [](const StepOutlook& outlook) {
    std::vector<int> kept(outlook.confidences.size());
    std::iota(kept.begin(), kept.end(), 1);
    return kept;
  };
}

GroupPolicy only_groups(std::vector<int> kept) {
  return [kept = std::move(kept)](const StepOutlook&) { return kept; };
}

GroupPolicy no_groups() { return only_groups({}); }

int fit_drafts(int wanted, const StepFrame& frame) {
  const int rows_each = frame.mixes ? 2 : 1;
  return std::min({wanted, frame.positions_left - 1, frame.row_budget / rows_each});
}

std::vector<MaskGroup> fit_groups(int drafts, std::span<const int> kept, const StepFrame& frame) {
  const int mixed_in = frame.mixes ? 1 : 0;
  int rows_left = frame.row_budget - drafts * (1 + mixed_in);
  TIDAR_CHECK_GE(rows_left, 0);
  std::vector<int> masks(static_cast<size_t>(drafts) + 1, mixed_in);  // [0] stays unused

  const auto keep = [&](int accepted) {
    if (accepted < 1 || accepted > drafts) return;
    int& held = masks[static_cast<size_t>(accepted)];
    // The last position needs no draft: the row before it already chooses its token.
    const int useful = frame.positions_left - 1 - accepted;
    const int granted = std::min({frame.draft_length, useful, held + rows_left});
    // Mask 0 is only ever mixed in, so a group drafts something from its second mask on.
    if (granted < 2 || granted <= held) return;
    rows_left -= granted - held;
    held = granted;
  };
  if (drafts == 1) {
    keep(1);
  } else {
    for (const int accepted : kept) keep(accepted);
  }

  std::vector<MaskGroup> groups;
  for (int accepted = 1; accepted <= drafts; ++accepted) {
    const int held = masks[static_cast<size_t>(accepted)];
    if (held > 0) groups.push_back({.accepted = accepted, .masks = held, .first_row = 0});
  }
  return groups;
}

MaskRun next_draft(std::span<const MaskGroup> groups, int accepted) {
  for (size_t i = groups.size(); i-- > 0;) {
    const MaskGroup& group = groups[i];
    if (group.accepted > accepted) continue;
    // The mask at the first position behind the accepted drafts gives way to the chosen token.
    const int skipped = accepted - group.accepted + 1;
    if (group.masks > skipped) return {group.first_row + skipped, group.masks - skipped};
  }
  return {};
}

int32_t group_row(std::span<const MaskGroup> groups, int accepted) {
  for (const MaskGroup& group : groups)
    if (group.accepted == accepted) return group.first_row;
  return -1;
}

}  // namespace tidar
