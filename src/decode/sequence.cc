#include "decode/sequence.h"

#include <utility>

#include "base/check.h"

namespace tidar {

Sequence::Sequence(SequenceSpec spec, SequenceCache held, const EvaluatorLimits& limits)
    : cache(std::move(held)),
      history(spec.penalties, spec.mask_token, spec.prompt),
      sampling_(spec.sampling),
      mask_token_(spec.mask_token),
      max_position_(limits.max_position),
      prompt_size_(static_cast<int32_t>(spec.prompt.size())),
      tokens_(std::move(spec.prompt)) {
  TIDAR_CHECK_LT(cache.length(), prompt_size_);
}

Ask Sequence::choose(int32_t row, int32_t position, std::span<const LogitChange> own) const {
  Ask ask;
  ask.kind = AskKind::choose;
  ask.row = row;
  ask.sampling = sampling_;
  ask.changes = history.changes();
  ask.own_changes = own;
  ask.draw = static_cast<uint64_t>(position);
  return ask;
}

void Sequence::append(const TokenLogprob& token) {
  if (token.token < 0) return fail();
  TIDAR_CHECK(!full());
  tokens_.push_back(token.token);
  history.append(token.token);
  committed_.push_back(token);
}

void Sequence::count_pass() {
  const size_t tokens = committed_.size();
  if (stats.accepted.size() <= tokens) stats.accepted.resize(tokens + 1);
  ++stats.accepted[tokens];
  ++stats.passes;
  stats.committed += static_cast<int64_t>(tokens);
}

}  // namespace tidar
