// The chances that offers are made of, held against how often guesses were right.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/rng.h"
#include "decode/acceptance.h"
#include "decode/draft_trace.h"
#include "decode/drive_testing.h"
#include "decode/mock_evaluator_testing.h"

namespace tidar {
namespace {

constexpr int kDraftLength = 6;
// Of confidence, as Acceptance has them.
constexpr std::array<double, 7> kBorders = {0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99};

size_t bin_of(double probability) {
  return static_cast<size_t>(std::upper_bound(kBorders.begin(), kBorders.end(), probability) -
                             kBorders.begin());
}

/// How far `hits` of `tries` may lie from what is expected where each is a hit by a chance that is
/// `share` on average: beyond it in less than one of 10^6 cases, by Bernstein's inequality.
double bound(double tries, double share) {
  const double exponent = std::log(2e6);
  const double variance = tries * share * (1 - share);
  return exponent / 3 + std::sqrt(exponent * exponent / 9 + 2 * exponent * variance);
}

/// Tries of one kind: what was predicted of them, and what was counted. A Chance sticks a little to
/// what it was told before any try, so that rare kinds keep a meaning; `expected` has that in it:
/// the prior's share of what it was told, and the rest of what is counted.
class Count {
 public:
  void add(double predicted, double told, bool hit) {
    // What a prior weighs beside so many tries.
    const double prior = weight_.given(1) - weight_.given(0);
    weight_.add(false);
    ++seen_;
    if (seen_ <= kFirst)
      return;  // while few tries weigh much, there is more chance than is bounded
    ++tries_;
    hits_ += hit ? 1 : 0;
    predicted_ += predicted;
    told_ += prior * told;
    rest_ += 1 - prior;
  }
  bool enough() const { return tries_ >= 300; }
  /// As of chances that are told nothing wrong.
  void expect_calibrated(const char* what, size_t which) const {
    EXPECT_NEAR(predicted_, hits_, bound(tries_, hits_ / tries_)) << what << " " << which;
  }
  void expect_between(const char* what, size_t which) const {
    const double share = hits_ / tries_;
    EXPECT_NEAR(predicted_, told_ + rest_ * share, bound(tries_, share)) << what << " " << which;
  }

 private:
  static constexpr int kFirst = 200;
  Chance weight_;
  int seen_ = 0;
  double tries_ = 0, hits_ = 0, predicted_ = 0, told_ = 0, rest_ = 0;
};

/// What Acceptance said of guesses before they were verified, by confidence and by place.
class Ledger {
 public:
  /// A draft whose first `right` guesses are right.
  void verify(const std::vector<float>& logprobs, int right) {
    double place_before = PlaceChances::kBeforeFirst;
    for (size_t i = 0; i < logprobs.size() && static_cast<int>(i) <= right; ++i) {
      const bool hit = static_cast<int>(i) < right;
      const double said = std::exp(static_cast<double>(logprobs[i]));
      const int number = static_cast<int>(i);
      const double told = Acceptance().by_place().of(number, place_before);
      const double place = acceptance_.by_place().of(number, place_before);
      by_confidence[bin_of(said)].add(acceptance_.of_guess(logprobs[i]), said, hit);
      by_place[i].add(place, told, hit);
      place_before = place;
    }
    acceptance_.learn(logprobs, static_cast<int>(logprobs.size()), right);
  }

  std::array<Count, kBorders.size() + 1> by_confidence;
  std::array<Count, kDraftLength> by_place;

 private:
  Acceptance acceptance_;
};

/// `truth` of a guess's place and of what the draft says of it.
template <class Truth>
Ledger verified_drafts(uint64_t seed, const Truth& truth) {
  Rng rng(seed);
  Ledger ledger;
  for (int draft = 0; draft < 20000; ++draft) {
    std::vector<float> logprobs;
    int right = 0;
    for (int place = 0; place < kDraftLength; ++place) {
      const double said = std::pow(rng.uniform(), 0.7) * 0.999 + 0.001;  // more are sure
      logprobs.push_back(static_cast<float>(std::log(said)));
      if (right == place && rng.uniform() < truth(place, said)) ++right;
    }
    ledger.verify(logprobs, right);
  }
  return ledger;
}

TEST(Calibration, DraftsThatSayTheTruthAreBelieved) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    const Ledger ledger = verified_drafts(seed, [](int, double said) { return said; });
    for (size_t bin = 0; bin < ledger.by_confidence.size(); ++bin) {
      ASSERT_TRUE(ledger.by_confidence[bin].enough()) << bin;
      ledger.by_confidence[bin].expect_calibrated("confidence", bin);
    }
  }
}

TEST(Calibration, DraftsThatSayTooMuchOrTooLittleAreSeenThrough) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    const double power = std::array{0.3, 0.6, 1.5, 3.0, 8.0}[seed - 1];
    const Ledger ledger =
        verified_drafts(seed, [&](int, double said) { return std::pow(said, power); });
    for (size_t bin = 0; bin < ledger.by_confidence.size(); ++bin) {
      if (ledger.by_confidence[bin].enough())
        ledger.by_confidence[bin].expect_between("confidence", bin);
    }
  }
}

TEST(Calibration, EveryPlaceHasItsChance) {
  constexpr std::array<double, kDraftLength> kTruth = {0.95, 0.7, 0.9, 0.5, 0.8, 0.6};
  for (const uint64_t seed : {6, 7, 8}) {
    const Ledger ledger = verified_drafts(
        seed, [&](int place, double) { return kTruth[static_cast<size_t>(place)]; });
    for (size_t place = 0; place < kTruth.size(); ++place) {
      ASSERT_TRUE(ledger.by_place[place].enough()) << place;
      ledger.by_place[place].expect_between("place", place);
    }
  }
  const Ledger alike = verified_drafts(9, [](int, double) { return PlaceChances::kBeforeFirst; });
  for (size_t place = 0; place < kDraftLength; ++place)
    alike.by_place[place].expect_calibrated("place", place);
}

/// What masks draft along a text that the model draws itself.
DraftTrace drawn_text(const MockModel& model, const SequenceSpec& spec, int tokens) {
  const EvaluatorLimits limits = {
      .max_rows = 256, .pages = 80, .max_position = 1200, .vocabulary = model.vocabulary};
  MockEvaluator evaluator(model, limits);
  Driven text{.decoder = {}, .wanted = tokens};
  {
    PagePool pool(limits.pages);
    text.decoder = make_decoder(ArOptions{}, spec, SequenceCache(pool), limits).value();
    drive(evaluator, text);
    text.decoder.reset();  // before the pool
  }
  return record_drafts(evaluator, spec, text.tokens(), kDraftLength);
}

/// Draft behind draft, as masks make them once guesses were verified.
void verify_along(const DraftTrace& trace, Ledger& ledger) {
  for (int position = trace.prompt_tokens(); trace.in_answer(position + kDraftLength);) {
    // The first mask gives way to the token that is chosen there.
    const auto guesses = trace.draft(position, kDraftLength).subspan(1);
    std::vector<float> logprobs;
    int right = 0;
    for (size_t i = 0; i < guesses.size(); ++i) {
      const size_t at = static_cast<size_t>(position) + 1 + i;
      logprobs.push_back(guesses[i].logprob);
      if (right == static_cast<int>(i) && guesses[i].token == trace.text()[at]) ++right;
    }
    ledger.verify(logprobs, right);
    position += 1 + right;
  }
}

// Guesses are drawn behind temperature and cuts; what they are said to be is from before these.
TEST(Calibration, DrawnGuessesAreCounted) {
  Rng rng(10);
  for (const Sampling& sampling :
       {Sampling{}, Sampling{.temperature = 1}, Sampling{.temperature = 0.5, .top_k = 4},
        Sampling{.temperature = 1.5, .top_p = 0.8f}}) {
    const MockModel model{.seed = rng.bits(), .agreement = 0.9};
    Ledger ledger;
    for (int text = 0; text < 4; ++text) {
      SequenceSpec spec{.prompt = {1, 2, text}, .sampling = sampling, .mask_token = 10};
      spec.sampling.seed = rng.bits();
      verify_along(drawn_text(model, spec, 800), ledger);
    }
    int bins = 0;
    for (size_t bin = 0; bin < ledger.by_confidence.size(); ++bin) {
      if (!ledger.by_confidence[bin].enough()) continue;
      ledger.by_confidence[bin].expect_between("confidence", bin);
      ++bins;
    }
    EXPECT_GE(bins, 2) << sampling.temperature;
    ASSERT_TRUE(ledger.by_place[0].enough());
    ledger.by_place[0].expect_between("place", 0);
  }
}

}  // namespace
}  // namespace tidar
