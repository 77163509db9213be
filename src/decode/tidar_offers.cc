#include "decode/tidar_offers.h"

#include <algorithm>
#include <cmath>

namespace tidar {

void TidarOffers::learn(bool drafted, int accepted) {
  passes_without_draft_ = drafted ? 0 : passes_without_draft_ + 1;
  if (accepted > 2) patience_ = kFirstPatience;
}

// A draft of M masks has M - 1 guesses, for the token that is chosen comes where the first mask
// stood. With all right the next draft is there at once; else a pass of one token makes a new one.
TidarOffers::Plan TidarOffers::best_plan(const PassOutlook& outlook,
                                         const Acceptance& acceptance) const {
  const double others = outlook.others_tokens;
  Plan best{.masks = 1, .rate = (1 + others) / outlook.seconds({1, 1, 0}), .worth = 0};
  double chance = Acceptance::kBeforeFirst, right = 1, tokens = 1 + others, redraft = 0;
  for (int masks = 2; masks <= draft_length_; ++masks) {
    const double guesses = masks - 1;
    chance = acceptance.of_next_place(masks - 2, chance);
    right *= chance;
    tokens += right;
    const double steady = outlook.seconds({2 * masks - 1, 1 + guesses, guesses});
    const double anew = outlook.seconds({1 + masks, 1, guesses});
    const double rate = (tokens + (1 - right) * (1 + others)) / (steady + (1 - right) * anew);
    if (rate > best.rate) best.masks = masks, best.rate = rate, redraft = anew;
  }
  // Who has a draft is spared the pass that makes it, but for the token that it brings.
  if (best.masks > 1) best.worth = best.rate * redraft - 1 - others;
  return best;
}

// The groups that are worth most beside so many guesses, by their chances: the likeliest first, as
// many as pay. Sets likeliest_ and best_count_; returns the step's worth less its cost, in tokens.
double TidarOffers::best_groups(const PassOutlook& outlook, const Plan& plan, double tokens,
                                const Chances& chances) {
  const int drafts = static_cast<int>(chances.size());
  double best = tokens - plan.rate * outlook.seconds({drafts, double(drafts), 0});
  best_count_ = 0;
  likeliest_.clear();
  if (plan.masks < 2) return best;
  for (int j = 1; j <= drafts; ++j) likeliest_.push_back(j);
  const auto chance_of = [&](int group) { return chances[static_cast<size_t>(group) - 1]; };
  std::stable_sort(likeliest_.begin(), likeliest_.end(),
                   [&](int a, int b) { return chance_of(a) > chance_of(b); });
  double used = 0;
  constexpr size_t kFurther = 2;  // behind a step in the prices more may pay again
  for (size_t count = 1; count <= likeliest_.size() && count <= best_count_ + kFurther; ++count) {
    used += chance_of(likeliest_[count - 1]);
    const PassSize size = {drafts + static_cast<int>(count) * plan.masks,
                           static_cast<double>(drafts), used * (plan.masks - 1)};
    const double gain = tokens + used * plan.worth - plan.rate * outlook.seconds(size);
    if (gain > best) best = gain, best_count_ = count;
  }
  return best;
}

void TidarOffers::make(const PassOutlook& outlook, const Acceptance& acceptance,
                       std::span<const float> logprobs, int most_drafts, Offer& offer) {
  Plan plan = best_plan(outlook, acceptance);
  if (passes_without_draft_ >= patience_) {
    constexpr int kTried = 4;
    plan.masks = std::min(draft_length_, kTried);
    plan.worth = 1e3;  // whatever it costs
    passes_without_draft_ = 0;
    patience_ = std::min(2 * patience_, kLongestPatience);
  }
  step_.masks = plan.masks;
  double best = -INFINITY, right = 1, tokens = 1;
  tried_chances_.clear();
  const int most = std::min(static_cast<int>(logprobs.size()), most_drafts);
  // What guesses of a new kind are worth is known when some were verified.
  int least = 1;
  while (least < most && acceptance.is_new(logprobs[static_cast<size_t>(least)])) ++least;
  for (int drafts = 1; drafts <= most; ++drafts) {
    if (drafts > 1) {
      const double chance = acceptance.of_guess(logprobs[static_cast<size_t>(drafts) - 1]);
      tried_chances_.back() = right * (1 - chance);
      right *= chance;
      tokens += right;
    }
    tried_chances_.push_back(right);
    if (drafts < least) continue;
    const double gain = best_groups(outlook, plan, tokens, tried_chances_);
    if (gain <= best) continue;
    best = gain;
    step_.drafts = drafts;
    step_.groups.assign(likeliest_.begin(),
                        likeliest_.begin() + static_cast<ptrdiff_t>(best_count_));
    chances_ = tried_chances_;
  }
  offer_step(plan, offer);
}

void TidarOffers::offer_step(const Plan& plan, Offer& offer) {
  offer.rate = plan.rate;
  offer.base = {.size = {1, 1, 0}, .worth = 1};
  offer.bundles.clear();
  double right = 1;
  for (int i = 1; i < step_.drafts; ++i) {
    const double before = right;
    right -= chances_[static_cast<size_t>(i) - 1];
    const double chance = before > 0 ? right / before : 0;
    offer.bundles.push_back({.size = {1, 1, 0}, .worth = right, .chance = chance});
  }
  for (const int group : step_.groups) {
    const double chance = chances_[static_cast<size_t>(group) - 1];
    offer.bundles.push_back({.size = {step_.masks, 0, chance * (step_.masks - 1)},
                             .worth = chance * plan.worth,
                             .group = group,
                             .chance = chance});
  }
}

}  // namespace tidar
