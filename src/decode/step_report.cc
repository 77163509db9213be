#include "decode/step_report.h"

#include <utility>

namespace tidar {

int StepReport::masks() const {
  int masks = 0;
  for (const MaskGroup& group : groups) masks += group.masks;
  for (const GuessedGroup& group : guessed) masks += group.masks;
  return masks;
}

void StepReport::clear() {
  StepReport empty;
  empty.committed.swap(committed);
  empty.groups.swap(groups);
  empty.guessed.swap(guessed);
  empty.guesses.swap(guesses);
  empty.provisional.swap(provisional);
  empty.committed.clear();
  empty.listed.swap(listed);
  empty.listed.clear();
  empty.scores.swap(scores);
  empty.scores.clear();
  empty.groups.clear();
  empty.guessed.clear();
  empty.guesses.clear();
  empty.provisional.clear();
  *this = std::move(empty);
}

}  // namespace tidar
