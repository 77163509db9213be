#pragma once
// What one pass brought one sequence, as plain data.

#include <vector>

#include "base/sampling.h"
#include "decode/mask_groups.h"
#include "plan/ask.h"

namespace tidar {

struct StepReport {
  bool decoding = false;  ///< a decoding pass; else one of Phase::reading
  int rows = 0;           ///< of the pass that were the sequence's

  /// Tokens that became certain, oldest first. Of passes that read the prompt, the last one may
  /// bring the first.
  std::vector<TokenLogprob> committed;
  /// The most probable tokens in the place of each, where SequenceSpec::top wants any.
  std::vector<std::vector<ListedToken>> listed;
  /// Of the next tokens of the prompt, from its second on, where SequenceSpec::score_prompt.
  std::vector<Answer> scores;

  // A draft is verified place by place: the guess i + 1 places behind a certain token is place i.
  int drafted = 0;               ///< places of the draft that the pass verified
  int accepted = 0;              ///< of these, the first ones that were right
  std::vector<int32_t> guesses;  ///< what the draft had there
  bool guessed_right = false;    ///< a guessed group's token was the one behind: one token more
  int drafter_passes = 0;        ///< that another model has made for the draft

  // The draft that comes next.
  std::vector<MaskGroup> groups;      ///< of masks that the pass held for it
  std::vector<GuessedGroup> guessed;  ///< that it held besides
  MaskRun used;                       ///< those of their masks that it is made of

  /// What stands behind the text for now: the draft that comes next, or the rest of a canvas, masks
  /// included. Complete after the answers to Decoder::more_asks(). Empty where the next pass itself
  /// finds its draft.
  std::vector<int32_t> provisional;

  /// Those of all groups.
  int masks() const;

  /// Whether the next draft is made of masks of the group.
  bool uses(const MaskGroup& group) const { return uses(group.first_row, group.masks); }
  bool uses(const GuessedGroup& group) const { return uses(group.token_row + 1, group.masks); }

  /// Empties it; keeps the memory.
  void clear();

 private:
  bool uses(int32_t first_row, int group_masks) const {
    return used.masks > 0 && first_row <= used.first_row &&
           used.first_row < first_row + group_masks;
  }
};

}  // namespace tidar
