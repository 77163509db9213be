#include "decode/verification.h"

#include "base/check.h"

namespace tidar {

size_t ask_drafts(const Sequence& sequence, std::span<const int32_t> drafts, int32_t first_row,
                  Asks& asks) {
  TIDAR_CHECK_EQ(drafts[0], sequence.tokens().back());
  const auto guesses = drafts.subspan(1);
  const size_t first = asks.size();
  const ChangeRange changes = sequence.history.add_changes(asks);
  for (size_t i = 0; i < drafts.size(); ++i) {
    const auto place = static_cast<int32_t>(i);
    const ChangeRange own = sequence.history.add_changes_after(guesses.first(i), asks);
    asks.add(sequence.choose(first_row + place, sequence.size() + place, changes, own));
  }
  return first;
}

int accept_drafts(Sequence& sequence, int reading, std::span<const int32_t> drafts,
                  std::span<const Answer> answers) {
  TIDAR_CHECK_EQ(answers.size(), drafts.size());
  size_t accepted = 1;
  while (accepted < drafts.size() && answers[accepted - 1].token == drafts[accepted]) ++accepted;

  sequence.cache.commit(reading + static_cast<int>(accepted));
  for (const Answer& answer : answers.first(accepted)) sequence.append(answer);
  sequence.report.drafted = static_cast<int>(drafts.size()) - 1;
  sequence.report.accepted = static_cast<int>(accepted) - 1;
  return static_cast<int>(accepted);
}

}  // namespace tidar
