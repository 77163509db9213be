#pragma once
// How probable texts are to a model: what every way of finding out is given, and what it tells.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"

namespace tidar {

/// A text whose end is to be scored.
struct ScoredText {
  std::vector<int32_t> tokens;
  int32_t from = 0;  ///< the first token that is scored, at least 1
};

struct TextScore {
  double logprob = 0;         ///< natural, of the tokens from `from` on, given those before
  double standard_error = 0;  ///< 0 where it is exact
};

/// Texts whose scores are wanted together: the choices of one question, which share its context.
struct TextGroup {
  int64_t id = 0;  ///< the caller's
  std::vector<ScoredText> texts;
};

/// The next group, or nothing when there is none.
using NextGroup = std::function<std::optional<TextGroup>()>;
/// Takes the scores of a group, in the order of its texts. False: that is enough.
using TakeScores = std::function<Result<bool>(int64_t id, const std::vector<TextScore>& scores)>;

/// What scoring has cost.
struct ScoringCost {
  int64_t passes = 0;
  int64_t rows = 0;    ///< of all passes
  int64_t reused = 0;  ///< rows that were not needed, since an earlier text began alike
};

/// What a score that is no finite number is told as.
inline Error not_finite() {
  return error(
      "the model's log-probabilities are not finite: its weights, or what they compute, "
      "are broken");
}

class TextScorer {
 public:
  virtual ~TextScorer() = default;

  /// Scores every group that next() brings; groups may be done in another order. An Error when a
  /// text is empty, has no token to score, or does not fit, when a score is not finite, and that of
  /// take(): what take() was given before stands.
  virtual Result<void> score(const NextGroup& next, const TakeScores& take) = 0;

  /// Tokens that a text may have at most.
  virtual int longest_text() const = 0;

  virtual const ScoringCost& cost() const = 0;
};

}  // namespace tidar
