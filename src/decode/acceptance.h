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
  void add(bool hit) {
    tries_ = kKept * tries_ + 1;
    hits_ = kKept * hits_ + (hit ? 1 : 0);
  }

 private:
  static constexpr double kPriorTries = 3;
  static constexpr double kKept = 0.97;  // of what came before, with each try: difficulty persists

  double tries_ = 0, hits_ = 0;
};

/// Of the drafts of one sequence. A guess has a place (0: right behind a certain token) and the
/// log-probability that the draft gave it; its chance is that of being right where all guesses
/// before it are. Where nothing was verified yet, a draft's own probability is believed.
class Acceptance {
 public:
  /// Of a guess that was made with this log-probability.
  double of_guess(float logprob) const;
  /// Of a guess at `place` of a draft that is still to be made.
  double of_place(int place) const;

  /// The log-probabilities of the guesses of a draft that was verified, and how many of them, the
  /// first ones, were right.
  void learn(std::span<const float> logprobs, int accepted);

 private:
  static constexpr std::array<double, 7> kBorders = {0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99};
  static size_t bin_of(double probability);

  std::array<Chance, kBorders.size() + 1> by_probability_;
  std::vector<Chance> by_place_;
};

}  // namespace tidar
