#include "engine/prices.h"

#include <algorithm>

#include "base/check.h"

namespace tidar {

Prices::Prices(std::vector<PricePoint> points, double ask_s)
    : points_(std::move(points)), ask_s_(ask_s) {
  TIDAR_CHECK(!points_.empty());
  TIDAR_CHECK_EQ(points_.front().rows, 1);
  for (size_t i = 1; i < points_.size(); ++i) {
    TIDAR_CHECK_LT(points_[i - 1].rows, points_[i].rows);
    points_[i].seconds = std::max(points_[i].seconds, points_[i - 1].seconds);
  }
}

double Prices::of_rows(double rows) const {
  if (points_.size() == 1) return points_[0].seconds * rows;
  auto upper =
      std::upper_bound(points_.begin(), points_.end(), rows,
                       [](double wanted, const PricePoint& point) { return wanted < point.rows; });
  upper = std::clamp(upper, points_.begin() + 1, points_.end() - 1);
  const PricePoint& a = *(upper - 1);
  const PricePoint& b = *upper;
  return a.seconds + (rows - a.rows) * (b.seconds - a.seconds) / (b.rows - a.rows);
}

double Prices::seconds(const PassSize& size) const {
  return scale_ * (of_rows(size.rows) + ask_s_ * size.asked);
}

void Prices::observe(const PassSize& size, double seconds) {
  constexpr double kShare = 0.05, kMost = 1.5;  // of the new pass; how far off it may be
  const double expected = this->seconds(size);
  if (!(seconds > 0) || !(expected > 0)) return;
  scale_ *= 1 + kShare * (std::clamp(seconds / expected, 1 / kMost, kMost) - 1);
}

}  // namespace tidar
