#pragma once
// What one pass brought one sequence, as plain data.

#include <vector>

#include "base/sampling.h"
#include "decode/mask_groups.h"

namespace tidar {

struct StepReport {
  bool decoding = false;  ///< a decoding pass; else it read the prompt
  int rows = 0;           ///< of the pass that were the sequence's

  /// Tokens that became certain, oldest first. Empty while the prompt is being read.
  std::vector<TokenLogprob> committed;

  // A draft is verified place by place: the guess i + 1 places behind a certain token is place i.
  int drafted = 0;         ///< places of the draft that the pass verified
  int accepted = 0;        ///< of these, the first ones that were right
  int drafter_passes = 0;  ///< that another model has made for the draft

  // The draft that comes next.
  std::vector<MaskGroup> groups;  ///< of masks that the pass held for it
  MaskRun used;                   ///< those of their masks that it is made of

  /// Those of all groups.
  int masks() const;

  /// Empties it; keeps the memory.
  void clear();
};

}  // namespace tidar
