#pragma once
// An evaluator under which every request says a text that is given: how many of its tokens a pass
// brings depends on the drafts alone, not on what the model would have said instead.

#include <cstdint>
#include <span>
#include <vector>

#include "plan/evaluator.h"

namespace tidar {

/// Passes of one sequence at a time. Where a row that is not a mask chooses the next token, the
/// answer is the text's token at that position, with the log-probability that the model gives it.
/// What masks choose is left alone: a draft is accepted as far as it is the text.
class GivenText final : public Evaluator {
 public:
  /// `evaluator` must outlive it. `mask_token` -1: there are no masks.
  GivenText(Evaluator& evaluator, int32_t mask_token)
      : evaluator_(evaluator), mask_token_(mask_token) {}

  /// The text of the passes from now on, its prompt included.
  void say(std::vector<int32_t> text) { text_ = std::move(text); }

  const EvaluatorLimits& limits() const override { return evaluator_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override;
  void answer(const Asks& asks, std::span<Answer> answers) override;

 private:
  Ask given(Ask ask) const;
  static void check(const Asks& asks, std::span<Answer> answers);

  Evaluator& evaluator_;
  int32_t mask_token_;
  std::vector<int32_t> text_;
  Pass pass_;  // with its questions changed
  Asks asks_;
};

}  // namespace tidar
