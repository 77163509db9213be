#include "decode/canvas.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tidar {
namespace {

/// Enough for the two most probable tokens beside the mask token, which is never chosen.
constexpr int32_t kListedForMargin = 3;

float margin_of(const Answer& answer, int32_t mask_token) {
  float margin = 0;
  int found = 0;
  for (const ListedToken& listed : answer.top) {
    if (listed.token == mask_token || found == 2) continue;
    margin += (found == 0 ? 1.0f : -1.0f) * std::exp(listed.logprob);
    ++found;
  }
  return margin;
}

}  // namespace

Result<void> check_canvas_spec(const SequenceSpec& spec, std::string_view method) {
  TIDAR_TRY_VOID(check_mask_token(spec, method));
  if (spec.score_prompt)
    return error("scores of the prompt: {} has none, since it does not read causally; use ar",
                 method);
  if (spec.penalties.count())
    return error(
        "penalties: {} chooses tokens in any order, so repetition, presence and frequency "
        "penalties "
        "have no text before a token to count; leave them out, or use a logit bias",
        method);
  return {};
}

void Canvas::open(const Sequence& sequence, int32_t begin, int32_t end) {
  TIDAR_CHECK_LE(begin, sequence.size());
  begin_ = begin;
  const auto size = static_cast<size_t>(end - begin);
  const auto known = sequence.tokens().subspan(static_cast<size_t>(begin));
  tokens_.assign(known.begin(), known.end());
  masked_.assign(tokens_.size(), false);
  tokens_.resize(size, sequence.mask_token());
  masked_.resize(size, true);
  revealed_.assign(size, {});
}

int Canvas::masks_before(int32_t end) const {
  int masks = 0;
  for (int32_t position = begin_; position < end; ++position) masks += is_masked(position) ? 1 : 0;
  return masks;
}

void Canvas::ask(const Sequence& sequence, Pass& pass, int32_t row_of_begin, int32_t end,
                 LogitShift shift) {
  const ChangeRange changes = sequence.history.add_changes(pass.asks);
  for (int32_t position = begin_; position < end; ++position) {
    if (!is_masked(position)) continue;
    const int32_t row = row_of_begin + position - begin_ - (shift == LogitShift::one ? 1 : 0);
    Ask ask = sequence.choose(row, position, changes);
    ask.draw |= static_cast<uint64_t>(passes_) << 32;
    if (rule_.needs_margin()) ask.top = std::max(ask.top, kListedForMargin);
    pass.asks.add(ask);
  }
  ++passes_;
}

void Canvas::reveal(Sequence& sequence, std::span<const Answer> answers, int count) {
  if (std::any_of(answers.begin(), answers.end(), [](const Answer& a) { return a.token < 0; })) {
    return sequence.fail();
  }
  std::vector<MaskGuess> guesses;
  for (int32_t position = begin_; guesses.size() < answers.size(); ++position) {
    if (!is_masked(position)) continue;
    const Answer& answer = answers[guesses.size()];
    guesses.push_back({.position = position,
                       .logprob = answer.logprob,
                       .margin = margin_of(answer, sequence.mask_token()),
                       .entropy = answer.entropy});
  }
  RevealRule rule = rule_;
  rule.count = count;
  for (const size_t index : revealed(guesses, rule, sequence.sampling().seed)) {
    const auto place = static_cast<size_t>(guesses[index].position - begin_);
    tokens_[place] = answers[index].token;
    revealed_[place] = answers[index];
    masked_[place] = false;
  }
}

void Canvas::commit_known(Sequence& sequence) const {
  while (sequence.size() < end() && !is_masked(sequence.size())) {
    const auto place = static_cast<size_t>(sequence.size() - begin_);
    sequence.append(revealed_[place]);
  }
  sequence.report.provisional.assign(tokens_.begin() + sequence.size() - begin_, tokens_.end());
}

}  // namespace tidar
