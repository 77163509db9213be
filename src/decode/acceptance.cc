#include "decode/acceptance.h"

#include <algorithm>
#include <cmath>

namespace tidar {

namespace {

// What a draft says of its second candidate once it is known that the first is wrong.
double said_of_runner_up(float logprob, float runner_up_logprob) {
  const double left = 1 - std::exp(static_cast<double>(logprob));
  const double second = std::exp(static_cast<double>(runner_up_logprob));
  return second < left ? second / left : 1;
}

}  // namespace

size_t Acceptance::bin_of(double probability) {
  return static_cast<size_t>(std::upper_bound(kBorders.begin(), kBorders.end(), probability) -
                             kBorders.begin());
}

const Chance& Acceptance::kind_of(float logprob) const {
  return by_probability_[bin_of(std::exp(static_cast<double>(logprob)))];
}

double Acceptance::of_guess(float logprob) const {
  return kind_of(logprob).given(std::exp(static_cast<double>(logprob)));
}

double PlaceChances::of(int place, double before) const {
  constexpr double kWorse = 0.99;
  const double prior = kWorse * before;
  const auto index = static_cast<size_t>(place);
  return index < chances_.size() ? chances_[index].given(prior) : prior;
}

void PlaceChances::add(size_t place, double hit) {
  if (place >= chances_.size()) chances_.resize(place + 1);
  chances_[place].add(hit);
}

void PlaceChances::fade_from(size_t place) {
  for (; place < chances_.size(); ++place) chances_[place].fade();
}

double Acceptance::of_runner_up(float logprob, float runner_up_logprob) const {
  const double said = said_of_runner_up(logprob, runner_up_logprob);
  return of_runner_up_[bin_of(said)].given(said);
}

void Acceptance::learn_runner_up(float logprob, float runner_up_logprob, bool right) {
  of_runner_up_[bin_of(said_of_runner_up(logprob, runner_up_logprob))].add(right);
}

void Acceptance::learn(std::span<const float> logprobs, int verified, int right) {
  const auto hits = static_cast<size_t>(right);
  const size_t tried = std::min(hits + 1, static_cast<size_t>(verified));  // none behind a miss
  for (size_t i = 0; i < tried; ++i) {
    by_probability_[bin_of(std::exp(static_cast<double>(logprobs[i])))].add(i < hits);
    by_place_.add(i, i < hits);
  }
  if (!logprobs.empty()) by_place_.fade_from(logprobs.size());
  if (right < verified) return;
  for (size_t i = tried; i < logprobs.size(); ++i) by_place_.add(i, of_guess(logprobs[i]));
}

}  // namespace tidar
