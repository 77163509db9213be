#pragma once
// Answers to asks from what a device found out about their rows (find_facts() in kernels.h).

#include <vector>

#include "base/matrix.h"
#include "ops/cuda/kernels.h"
#include "plan/ask.h"

namespace tidar::cuda {

/// Whether facts say all that the ask wants: the most probable token after a few changes, or a
/// given one's probability. Draws, many changes, sets of tokens and lists need the logits
/// themselves.
bool is_answered_by_facts(const Ask& ask);

/// More changes are looked through for too long, by every thread.
inline constexpr int kMostChanges = 16;

/// Asks as a device takes them.
struct LogitQuestions {
  std::vector<LogitQuestion> questions;  ///< one for each ask
  std::vector<LogitChange> changes;      ///< of those that are answered by facts
};
LogitQuestions questions_of(const Asks& asks);

Answer answer_by(const LogitFacts& facts, const Ask& ask);

/// Replaces what the answer of another evaluator says of the distribution of `logits`, in host
/// memory, by what the facts say: to the bit what answer_by() would say of the same tokens.
void retell_by(const LogitFacts& facts, const Ask& ask, Matrix logits, Answer& answer);

}  // namespace tidar::cuda
