#include "decode/speculative.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/verification.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

class SpeculativeDecoder final : public SequenceDecoder {
 public:
  SpeculativeDecoder(Sequence sequence, int draft_length, std::unique_ptr<Drafter> drafter,
                     int vocabulary)
      : SequenceDecoder(std::move(sequence)),
        draft_length_(draft_length),
        vocabulary_(vocabulary),
        drafter_(std::move(drafter)) {}

  bool make_offer(const PassOutlook& outlook, Offer& offer) override;
  int min_rows() const override { return 1; }

 private:
  bool add_rows(Pass& pass, int row_budget) override;
  void use(std::span<const Answer> answers) override;

  int most_guesses(int rows_left) const;
  void draft(int most);
  void learn(int accepted);

  int draft_length_;
  int vocabulary_;
  std::unique_ptr<Drafter> drafter_;

  // The pass under way.
  int reading_ = 0;              // rows before the drafts
  std::vector<int32_t> drafts_;  // empty while more of the prompt must be read
  bool drafted_ = false;         // they were made for an offer
  bool tries_ = false;           // they are not expected to pay
  bool began_ = false;           // to make offers
};

// Guesses that cost nothing are made before the pass, so that only rows pay for them. What another
// model's passes cost no price tells.
bool SpeculativeDecoder::make_offer(const PassOutlook& outlook, Offer& offer) {
  drafted_ = false;
  if (!drafter_->is_free() || sequence_.in_prompt() || sequence_.unread().size() != 1) return false;
  draft(most_guesses(1 + draft_length_));
  drafted_ = true;
  Experience& experience = sequence_.experience();
  if (!std::exchange(began_, true)) experience.lookup_tries.begin_text();
  experience.lookup_tries.earn(1 / (1 + outlook.others_tokens));
  PassSize size = {1, 1};
  offer.base = {.size = size, .worth = 1};
  offer.bundles.clear();
  double chance = PlaceChances::kBeforeFirst, right = 1, tokens = 1 + outlook.others_tokens;
  const double alone = tokens / outlook.seconds(size);
  offer.rate = alone;
  for (int place = 0; place + 1 < static_cast<int>(drafts_.size()); ++place) {
    chance = experience.looked_up.of(place, chance);
    right *= chance;
    tokens += right;
    size += {1, 1};
    offer.bundles.push_back({.size = {1, 1}, .worth = right, .chance = chance});
    offer.rate = std::max(offer.rate, tokens / outlook.seconds(size));
  }
  tries_ = false;
  if (offer.rate > alone || offer.bundles.empty()) return true;
  tries_ = experience.lookup_tries.pay(alone * outlook.seconds(size) - (1 + outlook.others_tokens));
  if (tries_) {
    for (Bundle& guess : offer.bundles) guess.worth = TryBudget::kPaidFor;
  }
  return true;
}

// Difficulty persists, in the drafts of other texts, too.
void SpeculativeDecoder::learn(int accepted) {
  if (!drafter_->is_free()) return;
  Experience& experience = sequence_.experience();
  if (std::exchange(tries_, false)) experience.lookup_tries.refund(accepted - 1);
  for (int guess = 1; guess < static_cast<int>(drafts_.size()) && guess <= accepted; ++guess) {
    experience.looked_up.add(static_cast<size_t>(guess) - 1, guess < accepted);
  }
}

bool SpeculativeDecoder::add_rows(Pass& pass, int row_budget) {
  const int before_drafts = static_cast<int>(sequence_.unread().size()) - 1;
  reading_ = std::min(before_drafts, row_budget);
  const bool drafted = std::exchange(drafted_, false);
  if (!drafted) drafts_.clear();
  const bool verifies = reading_ == before_drafts && reading_ < row_budget;
  const int most = verifies ? most_guesses(row_budget - reading_) : 0;

  // Guesses may cost passes of another model: first their room must be sure.
  if (!sequence_.read(pass, reading_, verifies ? 1 + most : 0)) return false;
  if (!verifies) return true;
  drafted ? drafts_.resize(std::min(drafts_.size(), static_cast<size_t>(1 + most))) : draft(most);
  const int32_t first_row = add_causal(pass, drafts_, Keep::page);
  ask_drafts(sequence_, {.drafts = drafts_, .first_row = first_row}, pass.asks);
  return true;
}

// A guess is of use only where a position follows it. The pass that reads the end of the prompt has
// none: it commits one token, as it does for AR.
int SpeculativeDecoder::most_guesses(int rows_left) const {
  if (sequence_.in_prompt()) return 0;
  return std::min({draft_length_, rows_left - 1, sequence_.positions_left() - 1});
}

// The newest token and guesses behind it.
void SpeculativeDecoder::draft(int most) {
  drafts_.assign(1, sequence_.tokens().back());
  if (most == 0) return;
  const auto guesses = drafter_->draft(sequence_.tokens(), most);
  sequence_.report.drafter_passes = drafter_->passes();
  TIDAR_CHECK_LE(guesses.size(), static_cast<size_t>(most));
  // Another model may know tokens that this one lacks.
  const auto known = std::find_if(guesses.begin(), guesses.end(),
                                  [this](int32_t token) { return token >= vocabulary_; });
  const std::span possible(guesses.begin(), known);
  const auto allowed = possible.first(sequence_.history.count_allowed(possible));
  drafts_.insert(drafts_.end(), allowed.begin(), allowed.end());
}

void SpeculativeDecoder::use(std::span<const Answer> answers) {
  if (drafts_.empty()) return sequence_.cache.commit(reading_);
  learn(accept_drafts(sequence_, reading_, {.drafts = drafts_}, answers).drafts);
}

}  // namespace

MethodFacts facts_of(const SpeculativeOptions& options) {
  return {.equals_ar = true, .rows = options.draft_length + 1, .draft_keys = options.draft_length};
}

MethodFacts facts_of(const LookupMethodOptions& options) {
  return facts_of(SpeculativeOptions{.draft_length = options.draft_length});
}

Result<std::unique_ptr<Decoder>> make_decoder(const SpeculativeOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_spec(spec, limits));
  if (options.draft_length < 1)
    return error("draft length: expected at least 1, found {}", options.draft_length);
  if (!options.drafters) return error("speculative decoding needs a drafter; none was given");
  TIDAR_TRY(auto drafter, options.drafters(spec));
  return decoder_of<SpeculativeDecoder>(std::move(spec), std::move(cache), limits,
                                        options.draft_length, std::move(drafter),
                                        limits.vocabulary);
}

Result<std::unique_ptr<Decoder>> make_decoder(const LookupMethodOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  const SpeculativeOptions by_lookup{.draft_length = options.draft_length,
                                     .drafters = lookup_drafters(options.lookup)};
  return make_decoder(by_lookup, std::move(spec), std::move(cache), limits);
}

}  // namespace tidar
