#pragma once
// Numbers that sum up many items.

#include <cstdint>
#include <span>

namespace tidar {

/// A mean and how far it may be from the truth.
struct Score {
  double mean = 0;
  double standard_error = 0;  ///< sqrt(sample variance / count); 0 for less than two values
  int64_t count = 0;
};

Score score_of(std::span<const double> values);

/// The chance that at least one of k samples is right, estimated without bias from n samples of
/// which `right` are: 1 - C(n - right, k) / C(n, k) (Chen et al., arXiv 2107.03374). 1 <= k <= n.
double pass_at_k(int n, int right, int k);

}  // namespace tidar
