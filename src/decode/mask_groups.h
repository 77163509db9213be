#pragma once
// Which groups of masks a TiDAR step holds, and which of them becomes the next draft: integers
// only. Group j is the next draft for the case that exactly j tokens are accepted.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "plan/layouts.h"

namespace tidar {

/// Which groups a step keeps, of 1 … number of drafts; the others have no masks. A step of a single
/// draft always keeps group 1, unless prices say that drafts do not pay.
struct GroupPolicy {
  enum class Kind : uint8_t {
    all,        ///< every group
    last,       ///< group K alone: a whole draft turns out right
    listed,     ///< those of `groups`; numbers that a step has no draft for are passed over
    likeliest,  ///< the `count` that are most likely to be used, as the draft's own probabilities
                ///< say
    paying,     ///< those that bring more than their rows cost (Decoder::make_offer()), of as many
                ///< masks as pay; every group where rows have no price
  };
  Kind kind = Kind::all;
  std::vector<int> groups{};  ///< most wanted first: where rows run short, the last ones are cut
  int count = 0;              ///< at least 1

  friend bool operator==(const GroupPolicy&, const GroupPolicy&) = default;
};

inline GroupPolicy only_groups(std::vector<int> groups) {
  return {.kind = GroupPolicy::Kind::listed, .groups = std::move(groups)};
}

/// No group: self-speculative decoding. A pass verifies a draft and does nothing else; the newest
/// token then stands alone, and the pass after that reads it and drafts again with its group. A
/// step is two passes, of K and of K + 1 rows, where TiDAR's is one of K (K + 1).
inline GroupPolicy no_groups() { return only_groups({}); }

/// As users write it, and parse_policy() reads it: "auto", "all", "last", "1,3,4", "none",
/// "likeliest:2".
std::string text_of(const GroupPolicy& policy);

/// Also reads "first", which is "1". The Error says what was expected.
Result<GroupPolicy> parse_policy(std::string_view text);

/// Says which groups drafts of `draft_length` tokens do not have, or which one is listed twice.
Result<void> check_policy(const GroupPolicy& policy, int draft_length);

/// The groups to keep in a step, most wanted first. `confidences` has one entry a draft: the
/// log-probability that the draft gave it when it chose it; the first draft is certain (0). Group j
/// is used when the drafts before draft j turn out right and draft j, counted from 0, does not.
std::vector<int> kept_groups(const GroupPolicy& policy, int draft_length,
                             std::span<const float> confidences);

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
