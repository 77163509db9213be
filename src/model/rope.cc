#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/config.h"

namespace tidar {

namespace {

// Frequencies whose wave fits often into the original context stay, those whose wave is longer than
// it are divided by the factor, and those between are blended.
double stretch(double frequency, const Llama3RopeScaling& scaling) {
  const double waves = scaling.original_max_positions * frequency / (2 * std::numbers::pi);
  if (waves < scaling.low_freq_factor) return frequency / scaling.factor;
  if (waves > scaling.high_freq_factor) return frequency;
  const double kept =
      (waves - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return kept * frequency + (1 - kept) * frequency / scaling.factor;
}

// The pairs before the first stay, those from the last on are divided by the factor, and those
// between are blended in proportion to their place.
void stretch(std::vector<double>& frequencies, double theta, const YarnRopeScaling& scaling) {
  const auto size = static_cast<double>(2 * frequencies.size());
  const auto pair_that_turns = [&](double times) {
    const double wave = scaling.original_max_positions / times;
    return size * std::log(wave / (2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double first = pair_that_turns(scaling.beta_fast);
  double last = pair_that_turns(scaling.beta_slow);
  if (scaling.truncate) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, size - 1);
  if (first == last) last += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double cut = std::clamp((static_cast<double>(i) - first) / (last - first), 0.0, 1.0);
    frequencies[i] = frequencies[i] / scaling.factor * cut + frequencies[i] * (1 - cut);
  }
}

double magnitude(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

}  // namespace

std::vector<double> Rope::frequencies(int head_size) const {
  std::vector<double> frequencies;
  for (int i = 0; i < head_size / 2; ++i) {
    frequencies.push_back(std::pow(theta, -2.0 * i / head_size));
  }
  if (const auto* llama3 = std::get_if<Llama3RopeScaling>(&scaling)) {
    for (double& frequency : frequencies) frequency = stretch(frequency, *llama3);
  }
  if (const auto* yarn = std::get_if<YarnRopeScaling>(&scaling)) {
    stretch(frequencies, theta, *yarn);
  }
  return frequencies;
}

double Rope::attention_factor() const {
  const auto* yarn = std::get_if<YarnRopeScaling>(&scaling);
  if (yarn == nullptr) return 1;
  if (yarn->attention_factor) return *yarn->attention_factor;
  if (yarn->mscale == 0 || yarn->mscale_all_dim == 0) return magnitude(yarn->factor, 1);
  return magnitude(yarn->factor, yarn->mscale) / magnitude(yarn->factor, yarn->mscale_all_dim);
}

}  // namespace tidar
