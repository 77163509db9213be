#pragma once
// The seam between methods and the network. Everything that can carry out a pass is an Evaluator:
// the network, whatever its backend; what stands around one and counts or replaces answers; and the
// mock that tests decoders.

#include <span>
#include <vector>

#include "plan/ask.h"
#include "plan/pass.h"

namespace tidar {

/// What an evaluator can hold; fixed when it is built.
struct EvaluatorLimits {
  int max_rows = 0;      ///< rows of one pass
  int pages = 0;         ///< pages of kPageSlots keys that sequences may use
  int max_position = 0;  ///< positions run from 0 to max_position - 1
  int vocabulary = 0;
};

/// Not thread-safe: one pass at a time.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  virtual const EvaluatorLimits& limits() const = 0;

  /// Carries out the pass: keys and values of its rows are in their slots afterwards, and
  /// `answers` holds one answer for each of pass.asks, in their order. `pass` is checked, and must
  /// stay unchanged as long as answer() is called about it. answers.size() == pass.asks.size().
  virtual void evaluate(const Pass& pass, std::span<Answer> answers) = 0;

  /// Answers further questions about the rows of the last pass. A TiDAR step asks its drafts
  /// first, and then only the one group of masks that turned out to be the next draft: the head is
  /// the largest product of a small model, and K groups would multiply it by K.
  virtual void answer(const Asks& asks, std::span<Answer> answers) = 0;
};

}  // namespace tidar
