#include "engine/running.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidar {

Running::Running(RequestId id, Request request, std::unique_ptr<Decoder> decoder, int pages,
                 const Tokenizer* tokenizer)
    : id_(id),
      request_(std::move(request)),
      decoder_(std::move(decoder)),
      pages_(pages),
      stops_(request_.stop) {
  if (tokenizer != nullptr) detokenizer_.emplace(*tokenizer, SkipSpecial::yes);
  stats_.prompt_tokens = static_cast<int64_t>(request_.sequence.prompt.size());
}

void Running::plan(Pass& pass, int left, int sharers) {
  const int rows = std::max(decoder_->min_rows(), left / sharers);
  planned_ = rows <= left;
  waited_ = planned_ ? 0 : waited_ + 1;
  if (!planned_) return;
  first_ask_ = pass.asks.size();
  const int added = decoder_->plan(pass, rows);
  TIDAR_CHECK_LE(1, added);  // its pages were promised when it was admitted
  TIDAR_CHECK_LE(added, rows);
  asks_ = pass.asks.size() - first_ask_;
}

void Running::take(std::span<const Answer> answers) {
  if (!planned_) return;
  const int64_t passes_before = decoder_->stats().passes;
  decoder_->take(answers.subspan(first_ask_, asks_));
  for (const TokenLogprob& token : decoder_->committed()) {
    update_.finish = use(token);
    if (finished()) break;
  }
  const size_t kept = update_.tokens.size();
  decoded_ = decoder_->stats().passes > passes_before;
  if (decoded_) {
    stats_.passes += 1;
    stats_.decoded += static_cast<int64_t>(kept);
    stats_.accepted.resize(std::max(stats_.accepted.size(), kept + 1));
    stats_.accepted[kept] += 1;
  }
  stats_.places = decoder_->stats().places;
  stats_.drafter_passes = decoder_->stats().drafter_passes;
  if (!finished() && decoder_->failed()) update_.finish = FinishReason::no_choice;
  if (!finished() && decoder_->full()) update_.finish = FinishReason::context;
  if (finished()) flush_text();
}

std::span<const Ask> Running::more_asks() const {
  // They prepare a next pass, which a finished request does not have.
  return planned_ && !finished() ? decoder_->more_asks() : std::span<const Ask>();
}

std::optional<Update> Running::end_step(double seconds) {
  (stats_.passes == 0 ? stats_.prefill_s : stats_.decode_s) += seconds;
  const bool news = decoded_ || !update_.tokens.empty() || finished();
  decoded_ = false;
  if (!news) return std::nullopt;
  return finish_update();
}

Update Running::finish_update() {
  update_.id = id_;
  update_.stats = stats_;
  Update update;
  update.finish = update_.finish;
  std::swap(update, update_);
  return update;
}

Update Running::cancel() {
  update_.finish = FinishReason::cancelled;
  flush_text();
  return finish_update();
}

FinishReason Running::use(const TokenLogprob& token) {
  update_.tokens.push_back(token);
  stats_.new_tokens += 1;
  const auto& eos = request_.eos;
  if (std::find(eos.begin(), eos.end(), token.token) != eos.end()) return FinishReason::stop;
  if (detokenizer_) {
    update_.text += stops_.push(detokenizer_->push(token.token));
    if (stops_.found()) return FinishReason::stop;
  }
  return stats_.new_tokens == request_.max_new ? FinishReason::length : FinishReason::none;
}

void Running::flush_text() {
  if (!detokenizer_) return;
  update_.text += stops_.push(detokenizer_->finish());
  update_.text += stops_.finish();
}

}  // namespace tidar
