#include "decode/played_evaluator.h"

#include "base/check.h"
#include "plan/layouts.h"

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

void PlayedEvaluator::play(const Ask& ask, Answer& answer) const {
  if (ask.kind != AskKind::choose) return;
  TIDAR_CHECK(ask.sampling.greedy());
  TIDAR_CHECK_LT(ask.sampling.seed, traces_.size());
  const DraftTrace& trace = traces_[ask.sampling.seed];
  const MaskPlace place = mask_place(*pass_, ask.row);
  if (place.masks == 0) {
    const int next = pass_->positions[static_cast<size_t>(ask.row)] + 1;
    if (!trace.in_answer(next)) return;
    answer.token = trace.text()[static_cast<size_t>(next)];
    answer.logprob = 0;
    answer.runner_up = {};
  } else {
    if (!trace.in_answer(place.begin)) return;
    const Guess& guess = trace.draft(place.begin, place.masks)[static_cast<size_t>(place.mask)];
    answer.token = guess.token;
    answer.logprob = guess.logprob;
    answer.runner_up = ask.runner_up ? guess.runner_up : ListedToken();
  }
  answer.policy_logprob = 0;
}

}  // namespace tidar
