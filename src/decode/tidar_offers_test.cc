#include "decode/tidar_offers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/rng.h"

namespace tidar {
namespace {

std::vector<PricePoint> random_points(Rng& rng, double first, double slope) {
  std::vector<PricePoint> points = {{1, first}};
  while (points.size() < 8) {
    const int rows = 1 + rng.below(4);
    const double steepness = rng.below(3) == 0 ? 0 : 2 * slope * rng.uniform();
    points.push_back({points.back().rows + rows, points.back().seconds + steepness * rows});
  }
  return points;
}

// Of a machine on which rows cost from next to nothing to nearly a pass each.
Prices random_prices(Rng& rng, bool asks_are_free) {
  const double row = std::pow(10, -0.2 - 2 * rng.uniform());
  std::vector<PricePoint> passes = random_points(rng, 1, row);
  if (asks_are_free) return {passes, 0};
  return {passes, random_points(rng, 0.3 * rng.uniform(), 0.05 * rng.uniform())};
}

// What a machine with such drafts has learnt, and a draft of it.
struct Taught {
  Experience experience;
  std::vector<float> logprobs = {0};
  std::vector<ListedToken> runners_up = {};  // none: no second candidates
};

Taught random_taught(Rng& rng, int draft_length) {
  Taught taught;
  const double right = rng.uniform();
  const auto guess = [&] {
    return std::log(
        std::clamp(static_cast<float>(right) + 0.3f * (rng.uniform() - 0.5f), 0.01f, 0.999f));
  };
  for (int i = 0; i < 300; ++i) {
    std::vector<float> guesses;
    for (int g = 1; g < draft_length; ++g) guesses.push_back(guess());
    int hits = 0;
    while (hits < draft_length - 1 && rng.uniform() < right) ++hits;
    taught.experience.acceptance.learn(guesses, draft_length - 1, hits);
  }
  for (int n = rng.below(draft_length); n > 0; --n) taught.logprobs.push_back(guess());
  return taught;
}

// Second candidates in most places, and what was learnt of such.
void add_runners_up(Rng& rng, Taught& taught) {
  const auto second = [&](float logprob) {
    return std::log(std::max(1e-4f, rng.uniform() * (1 - std::exp(logprob))));
  };
  const float right = rng.uniform();
  for (int i = 0; i < 200; ++i) {
    const float logprob = std::log(0.05f + 0.9f * rng.uniform());
    taught.experience.acceptance.learn_runner_up(logprob, second(logprob), rng.uniform() < right);
  }
  for (const float logprob : taught.logprobs) {
    taught.runners_up.push_back({rng.below(5) == 0 ? -1 : rng.below(9), second(logprob)});
  }
}

// A way to decode for ever, with drafts of so many masks whose last group alone is kept, as a chain
// of two states, to have a draft and to have none. Tokens a second, and what a draft is worth,
// found by going through many steps.
struct Course {
  double rate = 0;
  double worth = 0;
};

Course course_of(const Prices& prices, const Acceptance& acceptance, int masks) {
  double chance = PlaceChances::kBeforeFirst, right = 1, tokens = 1;
  for (int place = 0; place + 1 < masks; ++place) {
    chance = acceptance.by_place().of(place, chance);
    right *= chance;
    tokens += right;
  }
  if (masks < 2) return {.rate = 1 / prices.seconds({1, 1})};
  const double guesses = masks - 1;
  const double anew = prices.seconds({1 + masks, 1 + guesses});
  const double with_draft =
      std::min(prices.seconds({2 * masks, masks + guesses}),
               prices.seconds({2 * masks, masks + 0.0, right * guesses, right}));
  double drafted = 0.5;  // how likely it is to have a draft; half-way, so that it settles
  for (int step = 0; step < 200; ++step) drafted += (drafted * right + (1 - drafted) - drafted) / 2;
  const double rate =
      (drafted * tokens + (1 - drafted)) / (drafted * with_draft + (1 - drafted) * anew);
  return {.rate = rate, .worth = rate * anew - 1};
}

Course best_course(const Prices& prices, const Acceptance& acceptance, int draft_length) {
  Course best;
  for (int masks = 1; masks <= draft_length; ++masks) {
    const Course course = course_of(prices, acceptance, masks);
    if (course.rate > best.rate) best = course;
  }
  return best;
}

// A step, and whether each of its groups is asked at once.
struct Candidate {
  int drafts = 1;
  std::vector<std::pair<int, bool>> groups{};
};

double gain_of(const Candidate& step, int masks, const Course& course, const Prices& prices,
               const Taught& taught) {
  std::vector<double> cases;  // that exactly so many drafts are right
  double right = 1, tokens = 1;
  for (int i = 1; i < step.drafts; ++i) {
    const double chance =
        taught.experience.acceptance.of_guess(taught.logprobs[static_cast<size_t>(i)]);
    cases.push_back(right * (1 - chance));
    right *= chance;
    tokens += right;
  }
  cases.push_back(right);
  PassSize size = {step.drafts, static_cast<double>(step.drafts)};
  for (const auto& [group, at_once] : step.groups) {
    const double chance = cases[static_cast<size_t>(group) - 1];
    tokens += chance * course.worth;
    size +=
        at_once ? PassSize{masks, masks - 1.0} : PassSize{masks, 0, chance * (masks - 1), chance};
  }
  return tokens - course.rate * prices.seconds(size);
}

// The largest gain of all steps of up to `most_groups` groups.
double best_gain(int most_groups, int masks, const Course& course, const Prices& prices,
                 const Taught& taught) {
  double best = -1e9;
  const std::function<void(const Candidate&, int)> visit = [&](const Candidate& step, int from) {
    best = std::max(best, gain_of(step, masks, course, prices, taught));
    if (static_cast<int>(step.groups.size()) == most_groups || masks < 2) return;
    for (int group = from; group <= step.drafts; ++group) {
      for (const bool at_once : {false, true}) {
        Candidate with = step;
        with.groups.emplace_back(group, at_once);
        visit(with, group + 1);
      }
    }
  };
  for (int drafts = 1; drafts <= static_cast<int>(taught.logprobs.size()); ++drafts) {
    visit({.drafts = drafts}, 1);
  }
  return best;
}

struct Choice {
  TidarOffers offers;
  Offer offer{};
  bool offered = false;
  Candidate step() const {
    Candidate step{.drafts = offers.step().drafts};
    for (const int group : offers.step().groups) {
      step.groups.emplace_back(group,
                               static_cast<int>(step.groups.size()) < offers.step().asked_at_once);
    }
    return step;
  }
};

Choice choose(const Prices& prices, Taught& taught, int draft_length) {
  Choice choice{.offers = TidarOffers(draft_length)};
  choice.offered = choice.offers.make({.prices = &prices, .others = {}}, taught.experience,
                                      taught.logprobs, taught.runners_up, 1000, choice.offer);
  return choice;
}

class TidarOffersChoose : public testing::TestWithParam<uint64_t> {
 protected:
  Rng rng{GetParam()};
};

TEST_P(TidarOffersChoose, TheFastestLengthOfDrafts) {
  for (int i = 0; i < 20; ++i) {
    const Prices prices = random_prices(rng, rng.below(2) == 0);
    const int draft_length = 1 + rng.below(8);
    Taught taught = random_taught(rng, draft_length);
    const Course course = best_course(prices, taught.experience.acceptance, draft_length);
    Choice choice = choose(prices, taught, draft_length);
    if (!choice.offered)
      choice.offer.rate = course_of(prices, taught.experience.acceptance, 1).rate;
    EXPECT_NEAR(choice.offer.rate, course.rate, 1e-9 * course.rate);
    for (const Bundle& bundle : choice.offer.bundles) {
      if (bundle.group == 0) continue;
      EXPECT_NEAR(bundle.worth / bundle.chance, course.worth, 1e-9 * (1 + course.worth));
    }
  }
}

// Where all groups cost the same, none is missed.
TEST_P(TidarOffersChoose, TheBestOfAllStepsWhereAsksAreFree) {
  for (int i = 0; i < 20; ++i) {
    const Prices prices = random_prices(rng, true);
    const int draft_length = 2 + rng.below(3);
    Taught taught = random_taught(rng, draft_length);
    const Course course = best_course(prices, taught.experience.acceptance, draft_length);
    const Choice choice = choose(prices, taught, draft_length);
    const int masks = choice.offers.step().masks;
    const double best = best_gain(draft_length, masks, course, prices, taught);
    EXPECT_NEAR(gain_of(choice.step(), masks, course, prices, taught), best, 1e-9);
  }
}

// In general it is at least as good as the best with one group, asked when that is cheapest.
TEST_P(TidarOffersChoose, NothingWorseThanTheBestSingleGroup) {
  for (int i = 0; i < 20; ++i) {
    const Prices prices = random_prices(rng, false);
    const int draft_length = 2 + rng.below(6);
    Taught taught = random_taught(rng, draft_length);
    const Course course = best_course(prices, taught.experience.acceptance, draft_length);
    const Choice choice = choose(prices, taught, draft_length);
    const int masks = choice.offers.step().masks;
    EXPECT_GE(gain_of(choice.step(), masks, course, prices, taught),
              best_gain(1, masks, course, prices, taught) - 1e-9);
  }
}

// That exactly so many drafts are right, and then the second candidate.
double chance_of_guessed(int accepted, const Taught& taught) {
  double chance = 1;
  const Acceptance& acceptance = taught.experience.acceptance;
  for (int i = 1; i < accepted; ++i)
    chance *= acceptance.of_guess(taught.logprobs[static_cast<size_t>(i)]);
  const auto place = static_cast<size_t>(accepted);
  const float logprob = taught.logprobs[place];
  return chance * (1 - acceptance.of_guess(logprob)) *
         acceptance.of_runner_up(logprob, taught.runners_up[place].logprob);
}

// What a guessed group adds to a step without one: in its case a token and, unless a group is there
// for the case, a draft.
double gain_of_guessed(const GuessedChance& guess, const TidarOffers::Step& step,
                       const Course& course, const Prices& prices, const Taught& taught) {
  const double chance = chance_of_guessed(guess.accepted, taught);
  const auto& groups = step.groups;
  const bool has_group = std::find(groups.begin(), groups.end(), guess.accepted) != groups.end();
  double worth = chance;
  if (!has_group && guess.masks > 0) worth += chance * course.worth;
  PassSize without = {step.drafts, static_cast<double>(step.drafts)};
  for (size_t i = 0; i < groups.size(); ++i) without += PassSize{step.masks, 0};
  PassSize with = without + PassSize{1, 1};
  if (guess.masks > 0) with += PassSize{guess.masks, 0};
  return worth - course.rate * (prices.seconds(with) - prices.seconds(without));
}

// With free asks: whether there are guessed groups, and which is the first, is the best there is.
TEST_P(TidarOffersChoose, TheGuessedGroupThatBringsMost) {
  int chosen = 0;
  for (int i = 0; i < 40; ++i) {
    const Prices prices = random_prices(rng, true);
    const int draft_length = 2 + rng.below(6);
    Taught taught = random_taught(rng, draft_length);
    add_runners_up(rng, taught);
    const Course course = best_course(prices, taught.experience.acceptance, draft_length);
    const Choice choice = choose(prices, taught, draft_length);
    const TidarOffers::Step& step = choice.offers.step();
    double best = 0;
    for (int j = 1; j < step.drafts; ++j) {
      const ListedToken& second = taught.runners_up[static_cast<size_t>(j)];
      if (second.token < 0) continue;
      for (const int masks : {0, step.masks}) {
        const GuessedChance guess = {.accepted = j, .token = second.token, .masks = masks};
        best = std::max(best, gain_of_guessed(guess, step, course, prices, taught));
      }
    }
    EXPECT_LE(step.guessed.size(), static_cast<size_t>(TidarOffers::kMostGuessed));
    ASSERT_EQ(step.guessed.empty(), best <= 1e-12);
    size_t bundles = 0;
    for (const Bundle& bundle : choice.offer.bundles) bundles += bundle.guessed ? 1 : 0;
    EXPECT_EQ(bundles, step.guessed.size());
    if (step.guessed.empty()) continue;
    ++chosen;
    EXPECT_NEAR(step.guessed[0].chance, chance_of_guessed(step.guessed[0].accepted, taught), 1e-9);
    EXPECT_NEAR(gain_of_guessed(step.guessed[0], step, course, prices, taught), best, 1e-9);
  }
  EXPECT_GT(chosen, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TidarOffersChoose, testing::Range<uint64_t>(0, 20));

// A sequence whose guesses are all right or all wrong, pass by pass.
class Decoding {
 public:
  // So many of the seven guesses of each draft were right before.
  explicit Decoding(Prices of_passes, int right_before = 0) : prices(std::move(of_passes)) {
    const std::vector<float> guesses(7, -1.0f);
    for (int i = 0; i < 300; ++i) experience_.acceptance.learn(guesses, 7, right_before);
  }

  void begin_text() { offers_ = TidarOffers(8); }

  // One pass; whether it drafts.
  bool step(bool right) {
    const PassOutlook outlook = {
        .prices = &prices, .others = others, .others_tokens = others.asked, .number = ++pass_};
    offered = offers_.make(outlook, experience_, logprobs_, {}, 1000, offer_);
    const TidarOffers::Step& step = offers_.step();
    const auto groups = static_cast<int>(step.groups.size());
    seconds += outlook.seconds({step.drafts + groups * step.masks,
                                static_cast<double>(step.drafts + groups * (step.masks - 1))});
    const int accepted = right ? step.drafts : 1;
    offers_.learn(experience_, accepted);
    experience_.acceptance.learn(std::span(logprobs_).subspan(1), step.drafts - 1, accepted - 1);
    logprobs_.resize(1);
    if (groups > 0) logprobs_.resize(static_cast<size_t>(step.masks), -1.0f);
    return groups > 0;
  }

  Prices prices;
  PassSize others;       // in all passes
  bool offered = false;  // by the last step
  double seconds = 0;    // of all

 private:
  Experience experience_;
  TidarOffers offers_{8};
  Offer offer_;
  std::vector<float> logprobs_ = {0};
  int64_t pass_ = 0;
};

// Drafts that are never right, on a machine where rows cost.
TEST(TidarOffers, TriesBecomeRareWhereDraftsNeverPay) {
  const Prices prices({{1, 1}, {9, 5}}, 0.1);
  Decoding decoding(prices);
  const auto tries_in = [&](int passes) {
    int tries = 0;
    while (passes-- > 0) tries += decoding.step(false) ? 1 : 0;
    return tries;
  };
  const int first = tries_in(4000);
  EXPECT_GE(first, 3);
  EXPECT_LT(decoding.seconds / prices.seconds({1, 1}), 1.01 * 4000);
  tries_in(10000);
  const double before = decoding.seconds;
  const int later = tries_in(20000);
  EXPECT_GT(later, 3);
  EXPECT_LT((decoding.seconds - before) / prices.seconds({1, 1}), 1.0015 * 20000);
}

// Else than in tries nothing is chosen there.
TEST(TidarOffers, NothingIsOfferedWhereDraftsDoNotPay) {
  Decoding decoding(Prices({{1, 1}, {9, 5}}, 0.1));
  for (int i = 0; i < 2000; ++i) {
    const bool verifies = decoding.step(false);
    EXPECT_EQ(decoding.offered, verifies) << i;
    if (!verifies) continue;
    decoding.step(false);
    EXPECT_TRUE(decoding.offered) << i;
  }
}

// In company a pass of few rows costs what a pass of many does; alone a draft pays.
TEST(TidarOffers, WhatPaysIsFoundAnewInOtherCompany) {
  Decoding decoding(Prices({{1, 1}, {40, 1.2}, {60, 21}}, 0.001), 7);
  decoding.others = {40, 40};
  for (int i = 0; i < 100; ++i) decoding.step(true);
  EXPECT_FALSE(decoding.offered);
  decoding.others = {};
  decoding.step(true);
  EXPECT_TRUE(decoding.offered);
}

// Prices follow what passes take; so what pays changes, even where nothing is tried.
TEST(TidarOffers, WhatPaysIsFoundAnewInTime) {
  Decoding decoding(Prices({{1, 1}, {9, 9}}, 0.1), 7);
  for (int i = 0; i < 100; ++i) decoding.step(true);
  EXPECT_FALSE(decoding.offered);
  decoding.prices = Prices({{1, 1}, {9, 1.1}}, 0.01);
  int passes = 0;
  while (passes < 1000 && !decoding.step(true)) ++passes;
  EXPECT_LE(passes, 64);
}

// And what tries bring pays for further ones, until drafts are known to pay.
TEST(TidarOffers, TriesThatBringTokensAreRepeatedAtOnce) {
  Decoding decoding(Prices({{1, 1}, {16, 1.5}}, 0.01));
  int passes = 0, with_draft = 0;
  for (; passes < 2000 && with_draft < 100; ++passes) with_draft += decoding.step(true) ? 1 : 0;
  EXPECT_LT(passes, 300);
}

// Each text has its own try soon.
TEST(TidarOffers, TriesAreAsFrequentAgainWhereATextBegins) {
  Decoding decoding(Prices({{1, 1}, {9, 5}}, 0.1));
  const auto passes_to_a_try = [&] {
    int passes = 1;
    while (!decoding.step(false)) ++passes;
    return passes;
  };
  for (int i = 0; i < 10000; ++i) decoding.step(false);
  passes_to_a_try();
  EXPECT_GT(passes_to_a_try(), 2000);
  decoding.begin_text();
  passes_to_a_try();
  EXPECT_LT(passes_to_a_try(), 1000);
}

// However long they failed before.
TEST(TidarOffers, TriesThatBringTokensAgainAreRepeatedAtOnce) {
  Decoding decoding(Prices({{1, 1}, {16, 1.5}}, 0.01));
  for (int i = 0; i < 10000; ++i) decoding.step(false);
  int passes = 0, with_draft = 0;
  for (; passes < 2000 && with_draft < 100; ++passes) with_draft += decoding.step(true) ? 1 : 0;
  EXPECT_LT(passes, 600);
}

}  // namespace
}  // namespace tidar
