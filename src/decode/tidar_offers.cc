#include "decode/tidar_offers.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tidar {

namespace {

constexpr int kTriedMasks = 4;

// A group of masks whose guesses are asked with the pass, or later if its case happens.
PassSize asked_at_once(int masks) { return {masks, static_cast<double>(masks - 1)}; }
PassSize asked_later(int masks, double chance) { return {masks, 0, chance * (masks - 1), chance}; }

// A guessed group: its token is asked what follows it, its masks only where it is right.
PassSize size_of(const GuessedChance& guess) {
  const PassSize token = {1, 1};
  return guess.masks > 1 ? token + asked_later(guess.masks, guess.chance) : token;
}

}  // namespace

// A try is over when its draft was verified. Then more is known of what drafts bring.
void TidarOffers::learn(Experience& experience, int accepted) {
  if (!tries_ || step_.drafts < 2) return;
  tries_ = false;
  experience.tries.refund(accepted - 1);
  experience.course.until = 0;
}

// A draft of M masks has M - 1 guesses, for the token that is chosen comes where the first mask
// stood. With all right the next draft is there at once; else a pass of one token makes a new one.
Course TidarOffers::best_course(const PassOutlook& outlook, const Acceptance& acceptance) const {
  const double others = outlook.others_tokens;
  const PassSize certain = {1, 1};
  Course best{.masks = 1, .rate = (1 + others) / outlook.seconds(certain), .worth = 0};
  double chance = PlaceChances::kBeforeFirst, right = 1, tokens = 1 + others, redraft = 0;
  for (int masks = 2; masks <= draft_length_; ++masks) {
    chance = acceptance.by_place().of(masks - 2, chance);
    right *= chance;
    tokens += right;
    const PassSize verified = {masks, static_cast<double>(masks)};
    const double steady = std::min(outlook.seconds(verified + asked_at_once(masks)),
                                   outlook.seconds(verified + asked_later(masks, right)));
    const double anew = outlook.seconds(certain + asked_at_once(masks));
    const double rate = (tokens + (1 - right) * (1 + others)) / (steady + (1 - right) * anew);
    if (rate > best.rate) best.masks = masks, best.rate = rate, redraft = anew;
  }
  // Who has a draft is spared the pass that makes it, but for the token that it brings.
  if (best.masks > 1) best.worth = best.rate * redraft - 1 - others;
  if (best.masks == 1) best.try_price = price_of_try(outlook, best.rate);
  best.longest_draft = draft_length_;
  best.others_rows = outlook.others.rows;
  // Without drafts nothing is learnt of them, and prices and keys change slowly.
  const int64_t passes = best.masks > 1 ? 4 : 64;
  if (outlook.number > 0) best.until = outlook.number + passes;
  return best;
}

// It changes slowly, and is the same for all sequences of a pass.
const Course& TidarOffers::course(const PassOutlook& outlook, Experience& experience) const {
  const Course& last = experience.course;
  const bool holds = last.longest_draft == draft_length_ && outlook.number < last.until &&
                     (last.masks > 1 || last.others_rows == outlook.others.rows);
  if (!holds) experience.course = best_course(outlook, experience.acceptance);
  return experience.course;
}

// The groups that are worth most beside so many guesses, by their chances: the likeliest first, as
// many as pay. Sets likeliest_, best_count_ and best_at_once_; returns the step's worth less its
// cost, in tokens.
double TidarOffers::best_groups(const PassOutlook& outlook, const Course& course, double tokens,
                                const Chances& chances) {
  const int drafts = static_cast<int>(chances.size());
  PassSize size = {drafts, static_cast<double>(drafts)};
  double best = tokens - course.rate * outlook.seconds(size);
  best_count_ = best_at_once_ = 0;
  likeliest_.clear();
  if (course.masks < 2) return best;
  for (int j = 1; j <= drafts; ++j) likeliest_.push_back(j);
  const auto chance_of = [&](int group) { return chances[static_cast<size_t>(group) - 1]; };
  const auto less_likely = [&](int a, int b) {
    return chance_of(a) != chance_of(b) ? chance_of(a) < chance_of(b) : a > b;
  };
  int at_once = 0;
  constexpr int kFurther = 2;  // behind a step in the prices more may pay again
  for (int count = 1; count <= drafts && count <= best_count_ + kFurther; ++count) {
    // Few pay of many, so they are looked for one by one.
    const auto place = likeliest_.begin() + (count - 1);
    std::iter_swap(place, std::max_element(place, likeliest_.end(), less_likely));
    const double chance = chance_of(*place);
    tokens += chance * course.worth;
    const PassSize later = size + asked_later(course.masks, chance);
    double seconds = outlook.seconds(later);
    if (at_once == count - 1) {
      const PassSize now = size + asked_at_once(course.masks);
      const double now_s = outlook.seconds(now);
      if (now_s <= seconds) seconds = now_s, at_once = count;
    }
    size = at_once == count ? size + asked_at_once(course.masks) : later;
    const double gain = tokens - course.rate * seconds;
    if (gain > best) best = gain, best_count_ = count, best_at_once_ = at_once;
  }
  return best;
}

// Of a draft, and of verifying it: what they cost more than a token that is decoded without.
double TidarOffers::price_of_try(const PassOutlook& outlook, double rate) const {
  if (draft_length_ < 2) return INFINITY;
  const int masks = std::min(draft_length_, kTriedMasks);
  const double plain = outlook.seconds({1, 1});
  const double drafting = outlook.seconds(PassSize{1, 1} + asked_at_once(masks)) - plain;
  const double verifying = outlook.seconds({masks, static_cast<double>(masks)}) - plain;
  return rate * (drafting + verifying);
}

bool TidarOffers::make(const PassOutlook& outlook, Experience& experience,
                       std::span<const float> logprobs, std::span<const ListedToken> runners_up,
                       int most_drafts, Offer& offer) {
  const Course& found = this->course(outlook, experience);
  if (!std::exchange(began_, true)) experience.tries.begin_text();
  experience.tries.earn(1 / (1 + outlook.others_tokens));  // a pass earns as much in any company
  const bool has_draft = logprobs.size() > 1;
  const bool pays = found.masks > 1;
  if (!has_draft) tries_ = !pays && experience.tries.pay(found.try_price);
  if (!has_draft && !pays && !tries_) {
    step_ = {};
    return false;
  }
  const Acceptance& acceptance = experience.acceptance;
  Course course = found;
  if (!has_draft && tries_) {
    course.masks = std::min(draft_length_, kTriedMasks);
    course.worth = TryBudget::kPaidFor;
  }
  step_.masks = course.masks;
  double best = -INFINITY, right = 1, tokens = 1;
  tried_chances_.clear();
  const int most = std::min(static_cast<int>(logprobs.size()), most_drafts);
  // What guesses of a new kind are worth is known when some were verified, and a try is one.
  int least = tries_ ? std::max(most, 1) : 1;
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
    const double gain = best_groups(outlook, course, tokens, tried_chances_);
    if (gain <= best) continue;
    best = gain;
    step_.drafts = drafts;
    step_.groups.assign(likeliest_.begin(), likeliest_.begin() + best_count_);
    step_.asked_at_once = best_at_once_;
    chances_ = tried_chances_;
  }
  choose_guessed(outlook, course, acceptance, logprobs, runners_up);
  offer_step(course, offer);
  return true;
}

bool TidarOffers::holds_group(int group) const {
  return std::find(step_.groups.begin(), step_.groups.end(), group) != step_.groups.end();
}

PassSize TidarOffers::size_of_step() const {
  PassSize size = {step_.drafts, static_cast<double>(step_.drafts)};
  for (size_t i = 0; i < step_.groups.size(); ++i) {
    const bool at_once = static_cast<int>(i) < step_.asked_at_once;
    const double chance = chances_[static_cast<size_t>(step_.groups[i]) - 1];
    size += at_once ? asked_at_once(step_.masks) : asked_later(step_.masks, chance);
  }
  return size;
}

// In its case it brings the token behind it, and the draft that its masks make unless there is one
// anyway.
double TidarOffers::worth_of(const GuessedChance& guess, const Course& course) const {
  const bool brings_draft = guess.masks > 1 && !holds_group(guess.accepted);
  return guess.chance * (1 + (brings_draft ? course.worth : 0));
}

// The second candidates of the step's guesses whose cases are likelier than that.
void TidarOffers::list_guessed(double least_chance, const Acceptance& acceptance,
                               std::span<const float> logprobs,
                               std::span<const ListedToken> runners_up) {
  possible_guessed_.clear();
  for (size_t place = 1; place < static_cast<size_t>(step_.drafts); ++place) {
    const ListedToken& second = runners_up[place];
    const double first_wrong = chances_[place - 1];
    if (second.token < 0 || first_wrong <= least_chance) continue;
    const double chance = first_wrong * acceptance.of_runner_up(logprobs[place], second.logprob);
    possible_guessed_.push_back(
        {.accepted = static_cast<int>(place), .token = second.token, .chance = chance});
  }
}

// Takes, one by one, the possible group that brings most for what it costs, alone or with masks.
void TidarOffers::choose_guessed(const PassOutlook& outlook, const Course& course,
                                 const Acceptance& acceptance, std::span<const float> logprobs,
                                 std::span<const ListedToken> runners_up) {
  step_.guessed.clear();
  if (tries_ || runners_up.empty() || step_.drafts < 2) return;
  PassSize size = size_of_step();
  double before = outlook.seconds(size);
  double least_cost = course.rate * (outlook.seconds(size + PassSize{1, 1}) - before);
  list_guessed(least_cost / (1 + course.worth), acceptance, logprobs, runners_up);
  while (!possible_guessed_.empty()) {
    GuessedChance* best = nullptr;
    double best_gain = 0;
    int best_masks = 0;
    for (GuessedChance& guess : possible_guessed_) {
      for (const int masks : {0, step_.masks}) {
        guess.masks = masks;
        const double worth = worth_of(guess, course);
        if (worth - least_cost <= best_gain) continue;
        const double gain = worth - course.rate * (outlook.seconds(size + size_of(guess)) - before);
        if (gain <= best_gain) continue;
        best = &guess;
        best_gain = gain;
        best_masks = masks;
      }
    }
    if (best == nullptr) return;
    best->masks = best_masks;
    step_.guessed.push_back(*best);
    if (static_cast<int>(step_.guessed.size()) == kMostGuessed) return;
    size += size_of(*best);
    possible_guessed_.erase(possible_guessed_.begin() + (best - possible_guessed_.data()));
    before = outlook.seconds(size);
    least_cost = course.rate * (outlook.seconds(size + PassSize{1, 1}) - before);
  }
}

void TidarOffers::offer_step(const Course& course, Offer& offer) {
  offer.rate = course.rate;
  offer.base = {.size = {1, 1}, .worth = 1};
  offer.bundles.clear();
  double right = 1;
  for (int i = 1; i < step_.drafts; ++i) {
    const double before = right;
    right -= chances_[static_cast<size_t>(i) - 1];
    const double chance = before > 0 ? right / before : 0;
    offer.bundles.push_back({.size = {1, 1}, .worth = right, .chance = chance});
  }
  int number = 0;
  for (const int group : step_.groups) {
    const double chance = chances_[static_cast<size_t>(group) - 1];
    const bool at_once = number++ < step_.asked_at_once;
    offer.bundles.push_back(
        {.size = at_once ? asked_at_once(step_.masks) : asked_later(step_.masks, chance),
         .worth = chance * course.worth,
         .group = group,
         .chance = chance});
  }
  for (const GuessedChance& guess : step_.guessed) {
    offer.bundles.push_back({.size = size_of(guess),
                             .worth = worth_of(guess, course),
                             .group = guess.accepted,
                             .guessed = true,
                             .chance = guess.chance});
  }
}

}  // namespace tidar
