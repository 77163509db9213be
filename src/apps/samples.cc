#include "apps/samples.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tidar {

double Samples::quantile(double share) const {
  TIDAR_CHECK(!values_.empty());
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

}  // namespace tidar
