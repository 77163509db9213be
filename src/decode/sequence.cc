#include "decode/sequence.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "plan/layouts.h"

namespace tidar {

Sequence::Sequence(SequenceSpec spec, SequenceCache held, const EvaluatorLimits& limits)
    : cache(std::move(held)),
      history(spec.penalties, spec.mask_token, spec.prompt, std::move(spec.constraint)),
      sampling_(spec.sampling),
      experience_(spec.experience ? std::move(spec.experience) : std::make_shared<Experience>()),
      mask_token_(spec.mask_token),
      top_(spec.top),
      score_prompt_(spec.score_prompt),
      max_position_(limits.max_position),
      prompt_size_(static_cast<int32_t>(spec.prompt.size())),
      tokens_(std::move(spec.prompt)) {
  TIDAR_CHECK_LT(cache.length(), prompt_size_);
}

Ask Sequence::choose(int32_t row, int32_t position, ChangeRange changes, ChangeRange own) const {
  Ask ask;
  ask.kind = AskKind::choose;
  ask.row = row;
  ask.sampling = sampling_;
  ask.changes = changes;
  ask.own_changes = own;
  ask.draw = static_cast<uint64_t>(position);
  ask.top = top_;
  return ask;
}

void Sequence::append(const Answer& chosen) {
  if (chosen.token < 0) return fail();
  TIDAR_CHECK(!full());
  tokens_.push_back(chosen.token);
  history.append(chosen.token);
  report.committed.push_back(chosen.chosen());
  if (top_ == 0) return;
  // Whoever asked may have wanted a longer list for itself.
  const auto listed = std::span(chosen.top).first(static_cast<size_t>(top_));
  report.listed.emplace_back(listed.begin(), listed.end());
}

bool Sequence::read(Pass& pass, int rows, int more) {
  if (!cache.reserve(cache.length() + rows + more)) return false;
  pass.begin_sequence(cache);
  const int32_t first_row = add_causal(pass, unread().first(static_cast<size_t>(rows)), Keep::page);
  scores_ = 0;
  if (!score_prompt_) return true;
  const int32_t length = cache.length();
  const int32_t end = std::min(length + rows + 1, prompt_size_);
  for (int32_t next = std::max(length + 1, scored_); next < end; ++next, ++scores_) {
    Ask ask;
    ask.kind = AskKind::score;
    ask.row = first_row + next - 1 - length;
    ask.token = tokens_[static_cast<size_t>(next)];
    ask.top = top_;
    pass.asks.add(ask);
  }
  return true;
}

std::span<const Answer> Sequence::take_scores(std::span<const Answer> answers) {
  const auto scores = answers.first(scores_);
  report.scores.assign(scores.begin(), scores.end());
  scored_ += static_cast<int32_t>(scores_);
  return answers.subspan(scores_);
}

Result<void> check_mask_token(const SequenceSpec& spec, std::string_view method) {
  if (spec.mask_token >= 0) return {};
  return error("mask token: {} needs one, and neither the model nor the request names it", method);
}

Phase SequenceDecoder::phase() const {
  if (sequence_.failed()) return Phase::failed;
  if (full()) return Phase::full;
  return reads() ? Phase::reading : Phase::decoding;
}

int SequenceDecoder::plan(Pass& pass, int row_budget) {
  TIDAR_CHECK(!ended());
  TIDAR_CHECK_GE(row_budget, min_rows());
  StepReport& report = sequence_.report;
  report.clear();
  report.decoding = !reads();
  const int32_t rows_before = pass.rows();
  const size_t asks_before = pass.asks.size();
  used_ = false;
  if (!add_rows(pass, row_budget)) return 0;
  asks_ = pass.asks.size() - asks_before;
  report.rows = pass.rows() - rows_before;
  return report.rows;
}

void SequenceDecoder::take(std::span<const Answer> answers) {
  if (used_) return use_more(answers);
  TIDAR_CHECK_EQ(answers.size(), asks_);
  used_ = true;
  use(sequence_.take_scores(answers));
}

void SequenceDecoder::use_more(std::span<const Answer> answers) { TIDAR_CHECK(answers.empty()); }

}  // namespace tidar
