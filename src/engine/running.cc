#include "engine/running.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidar {

Running::Running(RequestId id, Request request, std::unique_ptr<Decoder> decoder,
                 const Tokenizer* tokenizer)
    : id_(id),
      request_(std::move(request)),
      decoder_(std::move(decoder)),
      facts_(facts_of(request_.method)),
      stops_(request_.stop) {
  if (tokenizer != nullptr) detokenizer_.emplace(*tokenizer, SkipSpecial::yes);
  totals_.prompt_tokens = static_cast<int64_t>(request_.sequence.prompt.size());
}

int64_t Running::adoptable() const {
  if (!facts_.keeps_keys || !facts_.causal_keys) return 0;
  return static_cast<int64_t>(decoder_->readable().size());
}

int Running::adopt_keys(PrefixCache& prefixes) {
  if (adoptable() == 0) return 0;
  SequenceCache& cache = decoder_->cache();
  cache.adopt(prefixes.find(decoder_->readable()));
  return cache.length();
}

void Running::share_keys(PrefixCache& prefixes) {
  if (facts_.causal_keys) prefixes.add(decoder_->text(), decoder_->cache());
}

bool Running::reserve(const EvaluatorLimits& limits) {
  if (!facts_.keeps_keys) return true;
  const int beyond = decoder_->keys_beyond_text(facts_);
  return decoder_->cache().reserve(keys_of_pass(decoder_->text().size(), beyond, limits));
}

int Running::pages_to_come(const EvaluatorLimits& limits) const {
  const auto held = static_cast<int>(decoder_->cache().pages().size());
  return std::max(0, pages_for(most_keys(request_, limits)) - held);
}

void Running::start(int adopted) {
  active_ = true;
  if (std::exchange(began_, true)) return;
  totals_.waiting_s = submitted_.seconds();
  totals_.cached_tokens = adopted;
}

void Running::suspend() {
  drop_keys();
  active_ = false;
}

bool Running::make_offer(const PassOutlook& outlook, Offer& offer) {
  offer.keys = cached_keys();
  PassOutlook own = outlook;
  own.keys = offer.keys;
  granted_ = decoder_->make_offer(own, offer) ? offer.base.size.rows : 0;
  if (update_.explanation && offers()) update_.explanation->offer = offer;
  return offers();
}

void Running::grant(int rows) {
  granted_ = rows;
  if (update_.explanation) update_.explanation->granted = rows;
}

void Running::plan(Pass& pass, int left, int sharers) {
  const int share = std::max(decoder_->min_rows(), left / sharers);
  const int rows = offers() ? std::min(granted_, std::max(left, 1)) : share;
  planned_ = rows <= left;
  waited_ = planned_ ? 0 : waited_ + 1;
  if (!planned_) return;
  first_ask_ = pass.asks.size();
  const int added = decoder_->plan(pass, rows);
  TIDAR_CHECK_LE(1, added);  // its pages were reserved
  TIDAR_CHECK_LE(added, rows);
  asks_ = pass.asks.size() - first_ask_;
  if (update_.explanation) update_.explanation->rows = shown_rows(pass, pass.sequences.back());
}

void Running::take(std::span<const Answer> answers) {
  if (!planned_) return;
  decoder_->take(answers.subspan(first_ask_, asks_));
  const StepReport& report = decoder_->report();
  for (const TokenLogprob& token : report.committed) {
    update_.finish = use(token);
    if (finished()) break;
  }
  update_.listed = report.listed;
  update_.listed.resize(std::min(update_.listed.size(), update_.tokens.size()));
  update_.scores.insert(update_.scores.end(), report.scores.begin(), report.scores.end());
  update_.stats.tokens = static_cast<int>(update_.tokens.size());
  update_.stats.decoding = report.decoding;
  update_.stats.drafted = report.drafted;
  update_.stats.accepted = report.accepted;
  update_.stats.drafter_passes = report.drafter_passes;
  update_.stats.rows = report.rows;
  update_.stats.masks = report.masks();
  update_.stats.used_masks = report.used.masks;
  update_.stats.guessed_right = report.guessed_right;
  const Phase next = decoder_->phase();
  if (!finished() && next == Phase::failed) update_.finish = FinishReason::no_choice;
  if (!finished() && next == Phase::full) update_.finish = FinishReason::context;
  if (finished()) flush_text();
  if (update_.explanation) {
    update_.explanation->report = report;
    update_.explanation->asked = static_cast<int>(asks_);
  }
}

void Running::take_more(std::span<const Answer> answers) {
  decoder_->take(answers);
  if (!update_.explanation) return;
  update_.explanation->asked += static_cast<int>(answers.size());
  update_.explanation->report.provisional = decoder_->report().provisional;
}

const Asks& Running::more_asks() const {
  static const Asks kNone;
  // They prepare a next pass, which a finished request does not have.
  return planned_ && !finished() ? decoder_->more_asks() : kNone;
}

std::optional<Update> Running::end_step(double seconds, const PassCost& cost) {
  const bool decodes = planned_ ? update_.stats.decoding : !reads();
  (decodes ? update_.stats.decode_s : update_.stats.prefill_s) += seconds;
  if (!planned_) update_.explanation.reset();
  if (update_.explanation) update_.explanation->pass = cost;
  const bool news = update_.stats.decoding || !update_.tokens.empty() || !update_.scores.empty() ||
                    finished() || update_.explanation;
  if (!news) return std::nullopt;
  return finish_update();
}

Update Running::finish_update() {
  update_.id = id_;
  totals_.add(update_.stats);
  if (finished()) update_.totals = std::move(totals_);
  Update update;
  update.finish = update_.finish;
  std::swap(update, update_);
  return update;
}

Update Running::end(FinishReason reason) {
  update_.finish = reason;
  if (!began_) totals_.waiting_s = submitted_.seconds();
  flush_text();
  return finish_update();
}

FinishReason Running::use(const TokenLogprob& token) {
  update_.tokens.push_back(token);
  const auto& eos = request_.eos;
  if (std::find(eos.begin(), eos.end(), token.token) != eos.end()) return FinishReason::stop;
  if (detokenizer_) {
    update_.text += stops_.push(detokenizer_->push(token.token));
    if (stops_.found()) return FinishReason::stop;
  }
  const int64_t new_tokens = totals_.new_tokens + static_cast<int64_t>(update_.tokens.size());
  return new_tokens == request_.max_new ? FinishReason::length : FinishReason::none;
}

void Running::flush_text() {
  if (!detokenizer_) return;
  update_.text += stops_.push(detokenizer_->finish());
  update_.text += stops_.finish();
}

}  // namespace tidar
