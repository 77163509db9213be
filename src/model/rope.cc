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

}  // namespace

std::vector<double> Rope::frequencies(int head_size) const {
  std::vector<double> frequencies;
  for (int i = 0; i < head_size / 2; ++i) {
    const double frequency = std::pow(theta, -2.0 * i / head_size);
    frequencies.push_back(llama3 ? stretch(frequency, *llama3) : frequency);
  }
  return frequencies;
}

}  // namespace tidar
