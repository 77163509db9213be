#include "decode/acceptance.h"

#include <algorithm>
#include <cmath>

namespace tidar {

size_t Acceptance::bin_of(double probability) {
  return static_cast<size_t>(std::upper_bound(kBorders.begin(), kBorders.end(), probability) -
                             kBorders.begin());
}

double Acceptance::of_guess(float logprob) const {
  const double probability = std::exp(static_cast<double>(logprob));
  return by_probability_[bin_of(probability)].given(probability);
}

// Without tries of its own a place is like the one before it.
double Acceptance::of_place(int place) const {
  constexpr double kFirstPlace = 0.8;
  double chance = kFirstPlace;
  for (size_t i = 0; i <= static_cast<size_t>(place) && i < by_place_.size(); ++i) {
    chance = by_place_[i].given(chance);
  }
  return chance;
}

void Acceptance::learn(std::span<const float> logprobs, int accepted) {
  const auto right = static_cast<size_t>(accepted);
  const size_t tried = std::min(right + 1, logprobs.size());  // behind a wrong one none is
  by_place_.resize(std::max(by_place_.size(), tried));
  for (size_t i = 0; i < tried; ++i) {
    by_probability_[bin_of(std::exp(static_cast<double>(logprobs[i])))].add(i < right);
    by_place_[i].add(i < right);
  }
}

}  // namespace tidar
