#pragma once
// An evaluator under which decoding runs as it did with another model: passes are carried out by a
// network, so that they cost what they cost, and then say what a trace says. Methods so get the
// acceptance of a trained model over weights of any kind, random ones too.

#include <span>
#include <vector>

#include "decode/draft_trace.h"
#include "plan/evaluator.h"

namespace tidar {

/// Where a row that is read causally chooses, the answer is the text's next token; where one of a
/// block of masks does, it is the trace's guess for as many masks at that position, with its
/// log-probability. So a draft is accepted as far as the trace's is the text. Which sequence has
/// which text, its asks say: their seed is the text's index in the list.
///
/// For methods that read the text causally and draft with masks, or not at all (all with
/// MethodFacts::equals_ar), which choose greedily and whose drafts are not longer than the traces'.
/// What is asked outside of the answer, and other kinds of asks, are left as the network answers.
/// Not thread-safe.
class PlayedEvaluator final : public Evaluator {
 public:
  /// Both must outlive it. Texts and guesses are of the evaluator's vocabulary.
  PlayedEvaluator(Evaluator& evaluator, std::span<const DraftTrace> traces)
      : evaluator_(evaluator), traces_(traces) {}

  const EvaluatorLimits& limits() const override { return evaluator_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override;
  void answer(const Asks& asks, std::span<Answer> answers) override;

 private:
  void play(const Asks& asks, std::span<Answer> answers) const;
  void play(const Ask& ask, Answer& answer) const;

  Evaluator& evaluator_;
  std::span<const DraftTrace> traces_;
  const Pass* pass_ = nullptr;  // the last one
};

}  // namespace tidar
