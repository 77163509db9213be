#include "decode/guessed_groups.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tidar {

std::vector<GuessedChance> guessed_chances(std::span<const float> confidences,
                                           std::span<const ListedToken> runners_up) {
  TIDAR_CHECK_EQ(confidences.size(), runners_up.size());
  std::vector<GuessedChance> all;
  double right = 1;  // the chance that all drafts so far are
  for (size_t j = 1; j < confidences.size(); ++j) {
    const ListedToken& second = runners_up[j];
    if (second.token >= 0) {
      all.push_back({.accepted = static_cast<int>(j),
                     .token = second.token,
                     .chance = right * std::exp(static_cast<double>(second.logprob))});
    }
    right *= std::exp(static_cast<double>(confidences[j]));
  }
  std::stable_sort(all.begin(), all.end(), [](const GuessedChance& a, const GuessedChance& b) {
    return a.chance > b.chance;
  });
  return all;
}

std::vector<GuessedGroup> fit_guessed(int drafts, std::span<const GuessedChance> wanted, int rows,
                                      const StepFrame& frame) {
  // Every row takes a key behind the drafts, of which there are no more than positions.
  int rows_left = std::min(rows, frame.positions_left - drafts);
  std::vector<GuessedGroup> groups;
  for (const GuessedChance& guess : wanted) {
    if (guess.accepted >= drafts) continue;
    if (rows_left < 1) break;
    // The first mask gives way to the token that is chosen behind the guess, and the last position
    // needs no draft.
    const int useful = frame.positions_left - 2 - guess.accepted;
    const int masks = std::min({guess.masks, useful, rows_left - 1});
    groups.push_back(
        {.accepted = guess.accepted, .token = guess.token, .masks = masks > 1 ? masks : 0});
    rows_left -= groups.back().rows();
  }
  return groups;
}

MaskRun draft_behind(const GuessedGroup& right, std::span<const MaskGroup> groups) {
  if (right.masks > 1) return {right.token_row + 2, right.masks - 1};
  // Groups of more drafts have seen the one that was wrong.
  size_t known = 0;
  while (known < groups.size() && groups[known].accepted <= right.accepted) ++known;
  return next_draft(groups.first(known), right.accepted + 1);
}

}  // namespace tidar
