#pragma once
// How likely guesses are to be right, learnt from those that were verified.

#include <array>
#include <span>
#include <vector>

namespace tidar {

/// A count of tries and of hits that forgets slowly, beside a prior that is worth a few tries.
class Chance {
 public:
  /// The expected share of hits where `prior` is expected without any try.
  double given(double prior) const {
    return (hits_ + kPriorTries * prior) / (tries_ + kPriorTries);
  }
  /// A hit counts 1, a miss 0; an expected one what it is likely to be.
  void add(double hit) {
    tries_ = kKept * tries_ + 1;
    hits_ = kKept * hits_ + hit;
  }
  /// Time went by without a try: less is known.
  void fade() { tries_ *= kKeptUnseen, hits_ *= kKeptUnseen; }
  bool is_new() const { return tries_ < kPriorTries; }

 private:
  static constexpr double kPriorTries = 3;
  static constexpr double kKept = 0.995;  // of what came before, with each try: difficulty persists
  static constexpr double kKeptUnseen = 0.98;

  double tries_ = 0, hits_ = 0;
};

/// Of guesses by their places in a draft alone (0: right behind a certain token): of being right
/// where all before them are.
class PlaceChances {
 public:
  /// Where the chance of the place before it is `before`; before place 0: kBeforeFirst. A place
  /// without tries of its own is somewhat worse than the one before it.
  double of(int place, double before) const;
  static constexpr double kBeforeFirst = 0.8;
  /// A guess there was right (1) or not (0), or was likely to be.
  void add(size_t place, double hit);
  /// A draft did not reach the places from there on. What is known of them fades: a few early
  /// misses would else keep drafts short for ever, and so never be seen to have been chance.
  void fade_from(size_t place);

 private:
  std::vector<Chance> chances_;
};

/// Of the drafts of one sequence. A guess has a place (0: right behind a certain token) and the
/// log-probability that the draft gave it; its chance is that of being right where all guesses
/// before it are. Where nothing was verified yet, a draft's own probability is believed.
class Acceptance {
 public:
  /// Of a guess that was made with this log-probability.
  double of_guess(float logprob) const;
  /// Whether hardly any guess like this one was verified yet.
  bool is_new(float logprob) const { return kind_of(logprob).is_new(); }
  /// Those of a draft that is still to be made.
  const PlaceChances& by_place() const { return by_place_; }
  /// Of the second candidate of a place where the guess, made with `logprob`, is wrong and all
  /// before it are right.
  double of_runner_up(float logprob, float runner_up_logprob) const;

  /// The log-probabilities of the guesses of a draft, how many of them were verified, and how many
  /// of these, the first ones, were right. Those that nobody verified because they promised little
  /// count for their places as what they promised: else places would look as good as the best.
  void learn(std::span<const float> logprobs, int verified, int right);
  /// A guess with these log-probabilities turned out wrong: whether its second candidate was right.
  void learn_runner_up(float logprob, float runner_up_logprob, bool right);

 private:
  static constexpr std::array<double, 7> kBorders = {0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99};
  using ByProbability = std::array<Chance, kBorders.size() + 1>;
  static size_t bin_of(double probability);
  const Chance& kind_of(float logprob) const;

  ByProbability by_probability_, of_runner_up_;
  PlaceChances by_place_;
};

}  // namespace tidar
