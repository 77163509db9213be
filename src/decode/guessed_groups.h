#pragma once
// Which guessed groups a TiDAR step holds: groups for the case that a draft is wrong and the token
// of its place is the second candidate. Where that is so, the step brings one token more, and the
// masks behind the token are the next draft. What a step could hold, in order of chance, stands
// apart from what of it is wanted and from what fits. Integers and log-probabilities only.

#include <span>
#include <vector>

#include "base/sampling.h"
#include "decode/mask_groups.h"
#include "plan/layouts.h"

namespace tidar {

/// A group that a step could hold, and how likely it is to be the one that is used.
struct GuessedChance {
  int accepted = 0;   ///< GuessedGroup::accepted
  int32_t token = 0;  ///< the second candidate of that place
  double chance = 0;  ///< that the drafts before the place are right and this is its token
  int masks = 0;      ///< that are wanted behind it
};

/// All of them, the likeliest first. One entry a draft in both lists, the first one certain:
/// `confidences`, the log-probability of each draft, and `runners_up`, the token that would have
/// been drafted in its place and its log-probability (token -1: none).
std::vector<GuessedChance> guessed_chances(std::span<const float> confidences,
                                           std::span<const ListedToken> runners_up);

/// The first of `wanted` that fit beside a step of `drafts` drafts, in their order: as many masks
/// as each wants, as far as `rows` rows and the positions of `frame` suffice.
std::vector<GuessedGroup> fit_guessed(int drafts, std::span<const GuessedChance> wanted, int rows,
                                      const StepFrame& frame);

/// Rows that `count` guessed groups add to a step at most.
inline int rows_of_guessed(int draft_length, int count) { return count * (1 + draft_length); }

/// The masks that draft what follows when `right` was, and the token behind it has been chosen:
/// its own, or those of the groups of no more drafts than were accepted that reach so far. `masks`
/// is 0 when there is none.
MaskRun draft_behind(const GuessedGroup& right, std::span<const MaskGroup> groups);

}  // namespace tidar
