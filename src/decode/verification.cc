#include "decode/verification.h"

#include "base/check.h"

namespace tidar {

std::span<Ask> Verification::asks(const Sequence& sequence, std::span<const int32_t> drafts,
                                  int32_t first_row) {
  TIDAR_CHECK_EQ(drafts[0], sequence.tokens().back());
  const auto guesses = drafts.subspan(1);
  own_changes_.clear();
  std::vector<size_t> ends;
  for (size_t i = 0; i < drafts.size(); ++i) {
    sequence.history.changes_after(guesses.first(i), own_changes_);
    ends.push_back(own_changes_.size());
  }
  const std::span<const LogitChange> all(own_changes_);
  size_t begin = 0;
  asks_.clear();
  for (size_t i = 0; i < drafts.size(); ++i) {
    const auto place = static_cast<int32_t>(i);
    asks_.push_back(sequence.choose(first_row + place, sequence.size() + place,
                                    all.subspan(begin, ends[i] - begin)));
    begin = ends[i];
  }
  return asks_;
}

int accept_drafts(Sequence& sequence, int reading, std::span<const int32_t> drafts,
                  std::span<const Answer> answers) {
  TIDAR_CHECK_EQ(answers.size(), drafts.size());
  size_t accepted = 1;
  while (accepted < drafts.size() && answers[accepted - 1].token == drafts[accepted]) ++accepted;

  sequence.cache.commit(reading + static_cast<int>(accepted));
  for (const Answer& answer : answers.first(accepted))
    sequence.append({answer.token, answer.logprob});
  sequence.report.drafted = static_cast<int>(drafts.size()) - 1;
  sequence.report.accepted = static_cast<int>(accepted) - 1;
  return static_cast<int>(accepted);
}

}  // namespace tidar
