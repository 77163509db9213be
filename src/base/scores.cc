#include "base/scores.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tidar {

Score score_of(std::span<const double> values) {
  Score score;
  score.count = static_cast<int64_t>(values.size());
  if (values.empty()) return score;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) score.mean += value;
  score.mean /= n;
  if (values.size() < 2) return score;
  double squares = 0;
  for (const double value : values) squares += (value - score.mean) * (value - score.mean);
  score.standard_error = std::sqrt(squares / (n - 1) / n);
  return score;
}

double pass_at_k(int n, int right, int k) {
  TIDAR_CHECK(1 <= k && k <= n && 0 <= right && right <= n);
  // C(n - right, k) / C(n, k), one factor for each right sample that all k must miss.
  double all_wrong = 1;
  for (int i = n - right + 1; i <= n; ++i) all_wrong *= std::max(0.0, 1 - double(k) / i);
  return 1 - all_wrong;
}

}  // namespace tidar
