#include "report/resampling.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"

namespace tidar {
namespace {

constexpr int kResamplings = 2000;
constexpr uint64_t kKey = 20251111;

/// Draws `times` of `count` with replacement.
void draw(Rng& rng, int count, int times, std::vector<int>& drawn) {
  drawn.assign(static_cast<size_t>(count), 0);
  for (int i = 0; i < times; ++i) ++drawn[static_cast<size_t>(rng.below(count))];
}

}  // namespace

Interval share_interval(int64_t right, int64_t count) {
  TIDAR_CHECK(0 <= right && right <= count && count >= 1);
  const auto n = static_cast<double>(count);
  const double share = static_cast<double>(right) / n;
  const double square = kNormal95 * kNormal95;
  const double middle = (share + square / (2 * n)) / (1 + square / n);
  const double half =
      kNormal95 / (1 + square / n) * std::sqrt(share * (1 - share) / n + square / (4 * n * n));
  // At the ends the bound is exact; rounding would put it a little beside.
  return {right == 0 ? 0 : middle - half, right == count ? 1 : middle + half};
}

double mcnemar(int64_t only_first, int64_t only_second) {
  const int64_t n = only_first + only_second, less = std::min(only_first, only_second);
  if (2 * less == n) return 1;
  const auto log_factorial = [](int64_t of) { return std::lgamma(static_cast<double>(of) + 1); };
  double tail = 0;
  for (int64_t k = 0; k <= less; ++k) {
    tail += std::exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) -
                     static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

Interval resampled(int seeds, std::span<const int> items,
                   const std::function<double(const Draw&)>& statistic) {
  TIDAR_CHECK(seeds >= 1);
  for (const int count : items) TIDAR_CHECK(count >= 1);
  Rng rng(kKey);
  Draw drawn;
  drawn.items.resize(items.size());
  std::vector<double> values;
  values.reserve(kResamplings);
  for (int i = 0; i < kResamplings; ++i) {
    draw(rng, seeds, std::max(1, seeds - 1), drawn.seeds);
    for (size_t task = 0; task < items.size(); ++task) {
      draw(rng, items[task], items[task], drawn.items[task]);
    }
    values.push_back(statistic(drawn));
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(std::lround(share * (kResamplings - 1)))];
  };
  return {at(0.025), at(0.975)};
}

}  // namespace tidar
