#pragma once
// For tests: whether counts are those of a distribution.

#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"

namespace tidar {

/// Beyond four standard deviations by chance: 3 in 100 000.
inline constexpr double kFarOff = 4;

/// How many standard deviations χ² lies above what chance gives (Wilson and Hilferty, 1931), where
/// cell i, of probability p[i], was counted counts[i] times. Cells expected fewer than 5 times are
/// pooled; one that cannot happen and did is infinitely far off.
inline double chi_square_score(const std::vector<int>& counts, const std::vector<double>& p) {
  double runs = 0;
  for (const int count : counts) runs += count;
  double chi = 0, rare_expected = 0;
  int cells = 0, rare_count = 0;
  const auto add = [&](double count, double expected) {
    chi += (count - expected) * (count - expected) / expected;
    ++cells;
  };
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = p[i] * runs;
    if (p[i] == 0 && counts[i] > 0) return std::numeric_limits<double>::infinity();
    if (expected >= 5) {
      add(counts[i], expected);
    } else {
      rare_expected += expected;
      rare_count += counts[i];
    }
  }
  if (rare_expected >= 5) add(rare_count, rare_expected);
  TIDAR_CHECK_LT(3, cells);
  const double df = cells - 1, spread = 2 / (9 * df);
  return (std::cbrt(chi / df) - (1 - spread)) / std::sqrt(spread);
}

}  // namespace tidar
