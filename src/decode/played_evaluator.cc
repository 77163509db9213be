#include "decode/played_evaluator.h"

#include "base/check.h"

namespace tidar {

void PlayedEvaluator::evaluate(const Pass& pass, std::span<Answer> answers) {
  evaluator_.evaluate(pass, answers);
  pass_ = &pass;
  play(pass.asks, answers);
}

void PlayedEvaluator::answer(const Asks& asks, std::span<Answer> answers) {
  evaluator_.answer(asks, answers);
  play(asks, answers);
}

void PlayedEvaluator::play(const Asks& asks, std::span<Answer> answers) const {
  for (size_t i = 0; i < asks.size(); ++i) play(asks[i], answers[i]);
}

// What a row sees says what it is: a mask sees the prefix before its block, and its whole block.
void PlayedEvaluator::play(const Ask& ask, Answer& answer) const {
  if (ask.kind != AskKind::choose) return;
  TIDAR_CHECK(ask.sampling.greedy());
  TIDAR_CHECK_LT(ask.sampling.seed, traces_.size());
  const DraftTrace& trace = traces_[ask.sampling.seed];
  const auto row = static_cast<size_t>(ask.row);
  const int position = pass_->positions[row];
  const Sight& sight = pass_->sights[row];
  if (sight.block.size() == 0) {
    if (!trace.in_answer(position + 1)) return;
    answer.token = trace.text()[static_cast<size_t>(position) + 1];
    answer.logprob = answer.policy_logprob = 0;
    return;
  }
  const int first = sight.prefix.to;
  if (!trace.in_answer(first)) return;
  const Guess& guess =
      trace.draft(first, sight.block.size())[static_cast<size_t>(position - first)];
  answer.token = guess.token;
  answer.logprob = guess.logprob;
  answer.policy_logprob = 0;
}

}  // namespace tidar
