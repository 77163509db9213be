#include "eval/causal_scorer.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/check.h"
#include "cache/pages.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

/// One sequence's keys, and the group whose texts pass through it.
struct Lane {
  explicit Lane(PagePool& pool) : cache(pool) {}

  const ScoredText& text() const { return group.texts[scores.size()]; }
  /// Tokens of the text that a pass must read: the last one predicts nothing.
  int32_t readable() const { return static_cast<int32_t>(text().tokens.size()) - 1; }
  int32_t unread() const { return readable() - cache.length(); }

  SequenceCache cache;
  std::vector<int32_t> read;  // the tokens whose keys it holds
  bool busy = false;
  TextGroup group;
  std::vector<TextScore> scores;  // of the group's first texts
  TextScore score;                // of the text under way, so far

  // The pass under way.
  int32_t rows = 0;
  size_t asks = 0;
};

class CausalScorer final : public TextScorer {
 public:
  CausalScorer(Evaluator& evaluator, int lanes)
      : evaluator_(evaluator),
        pool_(evaluator.limits().pages),
        longest_(std::min(evaluator.limits().max_position,
                          evaluator.limits().pages / lanes * kPageSlots) +
                 1) {
    TIDAR_CHECK(1 <= lanes && lanes <= evaluator.limits().pages);
    for (int i = 0; i < lanes; ++i) lanes_.emplace_back(pool_);
  }

  int longest_text() const override { return longest_; }
  const ScoringCost& cost() const override { return cost_; }
  Result<void> score(const NextGroup& next, const TakeScores& take) override;

 private:
  /// Gives the lane another group, if there is one.
  Result<void> refill(Lane& lane, const NextGroup& next);
  /// Keeps the keys that the lane's next text has in common with its last one.
  void begin_text(Lane& lane);
  void plan();
  void plan(Lane& lane);
  Result<bool> finish(Lane& lane, const TakeScores& take);

  Evaluator& evaluator_;
  PagePool pool_;
  int longest_;
  std::vector<Lane> lanes_;
  ScoringCost cost_;
  Pass pass_;
  std::vector<Answer> answers_;
};

Result<void> check_text(const ScoredText& text, int longest) {
  const auto size = static_cast<int32_t>(text.tokens.size());
  if (text.from < 1 || text.from >= size) {
    return error("a text of {} tokens has none to score from token {} on", size, text.from);
  }
  if (size > longest) {
    return error("a text of {} tokens does not fit: there is room for {}", size, longest);
  }
  return {};
}

Result<void> CausalScorer::refill(Lane& lane, const NextGroup& next) {
  std::optional<TextGroup> group = next();
  lane.busy = group.has_value();
  if (!group) return {};
  TIDAR_CHECK(!group->texts.empty());
  for (const ScoredText& text : group->texts) TIDAR_TRY_VOID(check_text(text, longest_));
  lane.group = std::move(*group);
  lane.scores.clear();
  begin_text(lane);
  return {};
}

void CausalScorer::begin_text(Lane& lane) {
  const std::vector<int32_t>& tokens = lane.text().tokens;
  const auto [end, other] =
      std::mismatch(lane.read.begin(), lane.read.end(), tokens.begin(), tokens.end());
  const auto common = static_cast<int32_t>(end - lane.read.begin());
  // The row before the first scored token must be there to be asked.
  const int32_t kept = std::min(common, lane.text().from - 1);
  lane.cache.truncate(kept);
  lane.read.resize(static_cast<size_t>(kept));
  lane.score = {};
  cost_.reused += kept;
}

void CausalScorer::plan(Lane& lane) {
  const int32_t length = lane.cache.length();
  const ScoredText& text = lane.text();
  lane.rows = std::min(evaluator_.limits().max_rows - pass_.rows(), lane.unread());
  lane.asks = 0;
  if (lane.rows == 0) return;
  TIDAR_CHECK(lane.cache.reserve(length + lane.rows));
  pass_.begin_sequence(lane.cache);
  const auto tokens =
      std::span(text.tokens).subspan(static_cast<size_t>(length), static_cast<size_t>(lane.rows));
  const int32_t first_row = add_causal(pass_, tokens, Keep::page);
  for (int32_t at = std::max(length, text.from - 1); at < length + lane.rows; ++at) {
    Ask ask;
    ask.kind = AskKind::score;
    ask.row = first_row + at - length;
    ask.token = text.tokens[static_cast<size_t>(at) + 1];
    pass_.asks.add(ask);
    ++lane.asks;
  }
  lane.read.insert(lane.read.end(), tokens.begin(), tokens.end());
}

void CausalScorer::plan() {
  pass_.clear();
  for (Lane& lane : lanes_) {
    lane.rows = 0;
    if (lane.busy) plan(lane);
  }
  ++cost_.passes;
  cost_.rows += pass_.rows();
}

Result<bool> CausalScorer::finish(Lane& lane, const TakeScores& take) {
  lane.scores.push_back(lane.score);
  if (lane.scores.size() < lane.group.texts.size()) {
    begin_text(lane);
    return true;
  }
  lane.busy = false;
  return take(lane.group.id, lane.scores);
}

Result<void> CausalScorer::score(const NextGroup& next, const TakeScores& take) {
  for (Lane& lane : lanes_) lane.busy = false;  // after a call that ended early
  for (;;) {
    bool any = false;
    for (Lane& lane : lanes_) {
      if (!lane.busy) TIDAR_TRY_VOID(refill(lane, next));
      any = any || lane.busy;
    }
    if (!any) return {};

    plan();
    answers_.resize(pass_.asks.size());
    evaluator_.evaluate(pass_, answers_);
    size_t next_answer = 0;
    bool finite = true;
    for (Lane& lane : lanes_) {
      if (lane.rows == 0) continue;
      lane.cache.commit(lane.rows);
      for (size_t i = 0; i < lane.asks; ++i) {
        const float logprob = answers_[next_answer++].logprob;
        finite = finite && std::isfinite(logprob);
        lane.score.logprob += double{logprob};
      }
    }
    if (!finite) return not_finite();
    for (Lane& lane : lanes_) {
      if (!lane.busy || lane.unread() > 0) continue;
      TIDAR_TRY(const bool more, finish(lane, take));
      if (!more) return {};
    }
  }
}

}  // namespace

std::unique_ptr<TextScorer> make_causal_scorer(Evaluator& evaluator, int lanes) {
  return std::make_unique<CausalScorer>(evaluator, lanes);
}

}  // namespace tidar
