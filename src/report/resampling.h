#pragma once
// How sure a number is that was counted over items, and over trainings that differ in their seed
// alone.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace tidar {

/// Holds the truth in 95 of 100 studies.
struct Interval {
  double low = 0;
  double high = 0;
};

/// 95 % of a normal distribution lie within so many standard deviations of its mean.
inline constexpr double kNormal95 = 1.959963984540054;

/// Of a share, of which `right` of `count` items were counted: Wilson's, which is no point at 0 and
/// at 1. 0 <= right <= count, count >= 1.
Interval share_interval(int64_t right, int64_t count);

/// McNemar's test, exact: the chance that a fair coin parts the items on which two methods differ
/// at least as unevenly as these, of which only the first or only the second was right.
double mcnemar(int64_t only_first, int64_t only_second);

/// How often each counts in one resampling.
struct Draw {
  std::vector<int> seeds;
  std::vector<std::vector<int>> items;  ///< by task
};

/// The central 95 % of what `statistic` says when seeds and, apart from them, the items of each
/// task are drawn with replacement; of several seeds one fewer than there are, since the spread of
/// few would be understated otherwise (Rao and Wu, "Resampling inference with complex survey data",
/// JASA 1988). `seeds` and all of `items` are at least 1. The same arguments give the same
/// interval.
Interval resampled(int seeds, std::span<const int> items,
                   const std::function<double(const Draw&)>& statistic);

}  // namespace tidar
