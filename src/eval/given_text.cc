#include "eval/given_text.h"

#include <cmath>

#include "base/check.h"

namespace tidar {

// Behind the end of the text nothing is given: those tokens will be cut.
Ask GivenText::given(Ask ask) const {
  const bool is_mask = pass_.tokens[static_cast<size_t>(ask.row)] == mask_token_;
  if (is_mask || ask.kind != AskKind::choose || ask.draw >= text_.size()) return ask;
  ask.kind = AskKind::score;
  ask.token = text_[ask.draw];
  return ask;
}

// A score that is no number fails the text, as a choice would.
void GivenText::check(const Asks& asks, std::span<Answer> answers) {
  for (size_t i = 0; i < asks.size(); ++i) {
    if (asks[i].kind == AskKind::score && !std::isfinite(answers[i].logprob)) answers[i].token = -1;
  }
}

void GivenText::evaluate(const Pass& pass, std::span<Answer> answers) {
  TIDAR_CHECK(pass.sequences.size() == 1);
  pass_ = pass;
  for (Ask& ask : pass_.asks) ask = given(ask);
  evaluator_.evaluate(pass_, answers);
  check(pass_.asks, answers);
}

void GivenText::answer(const Asks& asks, std::span<Answer> answers) {
  asks_ = asks;
  for (Ask& ask : asks_) ask = given(ask);
  evaluator_.answer(asks_, answers);
  check(asks_, answers);
}

}  // namespace tidar
