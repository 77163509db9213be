#include "eval/token_mean.h"

#include <cmath>
#include <numeric>

namespace tidar {

Score mean_of_tokens(std::span<const double> sums, std::span<const double> tokens) {
  Score score;
  score.count = static_cast<int64_t>(sums.size());
  if (sums.empty()) return score;
  const double all = std::accumulate(tokens.begin(), tokens.end(), 0.0);
  score.mean = std::accumulate(sums.begin(), sums.end(), 0.0) / all;
  const auto n = static_cast<double>(sums.size());
  if (n < 2) return score;
  double squares = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    const double rest = sums[i] - score.mean * tokens[i];
    squares += rest * rest;
  }
  score.standard_error = std::sqrt(squares * n / (n - 1)) / all;
  return score;
}

}  // namespace tidar
