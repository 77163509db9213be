#include "decode/verification.h"

#include <memory>
#include <vector>

#include "base/check.h"

namespace tidar {

size_t ask_drafts(const Sequence& sequence, const Chain& chain, Asks& asks) {
  TIDAR_CHECK_EQ(chain.drafts[0], sequence.tokens().back());
  const auto guesses = chain.drafts.subspan(1);
  const size_t first = asks.size();
  const ChangeRange changes = sequence.history.add_changes(asks);
  std::shared_ptr<const Constraint> constraint = sequence.history.constraint();
  for (size_t i = 0; i < chain.drafts.size(); ++i) {
    const auto place = static_cast<int32_t>(i);
    const ChangeRange own = sequence.history.add_changes_after(guesses.first(i), asks);
    Ask ask = sequence.choose(chain.first_row + place, sequence.size() + place, changes, own);
    if (constraint != nullptr) {
      if (i > 0) constraint = constraint->after(guesses[i - 1]);
      TIDAR_CHECK(constraint != nullptr);
      ask.allowed = asks.add_allowed(constraint->allowed());
    }
    asks.add(ask);
  }
  for (const GuessedGroup& group : chain.guessed) {
    const auto before = guesses.first(static_cast<size_t>(group.accepted) - 1);
    std::vector<int32_t> said(before.begin(), before.end());
    said.push_back(group.token);
    const ChangeRange own = sequence.history.add_changes_after(said, asks);
    Ask ask = sequence.choose(group.token_row, sequence.size() + group.accepted, changes, own);
    ask.allowed = sequence.history.add_allowed_after(said, asks);
    asks.add(ask);
  }
  return first;
}

Accepted accept_drafts(Sequence& sequence, int reading, const Chain& chain,
                       std::span<const Answer> answers) {
  const std::span<const int32_t> drafts = chain.drafts;
  TIDAR_CHECK_EQ(answers.size(), drafts.size() + chain.guessed.size());
  size_t accepted = 1;
  while (accepted < drafts.size() && answers[accepted - 1].token == drafts[accepted]) ++accepted;

  const int32_t first_key = sequence.cache.length() + reading;
  sequence.cache.commit(reading + static_cast<int>(accepted));
  for (const Answer& answer : answers.first(accepted)) sequence.append(answer);
  sequence.report.drafted = static_cast<int>(drafts.size()) - 1;
  sequence.report.accepted = static_cast<int>(accepted) - 1;
  sequence.report.guesses.assign(drafts.begin() + 1, drafts.end());

  Accepted result{.drafts = static_cast<int>(accepted)};
  for (size_t i = 0; i < chain.guessed.size(); ++i) {
    const GuessedGroup& group = chain.guessed[i];
    const bool is_right =
        group.accepted == result.drafts && group.token == answers[accepted - 1].token;
    if (!is_right) continue;
    sequence.cache.commit_aside(first_key + group.token_row - chain.first_row);
    sequence.append(answers[drafts.size() + i]);
    sequence.report.guessed_right = true;
    result.guessed = &group;
    break;
  }
  return result;
}

}  // namespace tidar
