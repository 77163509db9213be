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

// The index of the line's left end; 0 where there is one point alone.
size_t Prices::line_of(double rows) const {
  const auto behind =
      std::upper_bound(points_.begin(), points_.end(), rows,
                       [](double wanted, const PricePoint& point) { return wanted < point.rows; });
  const auto left = static_cast<size_t>(std::max<ptrdiff_t>(behind - points_.begin() - 1, 0));
  return std::min(left, points_.size() < 2 ? 0 : points_.size() - 2);
}

double Prices::seconds(const PassSize& size) const {
  const double asked = ask_s_ * size.asked;
  const PricePoint& a = points_[line_of(size.rows)];
  if (points_.size() == 1) return a.seconds * size.rows + asked;
  const PricePoint& b = *(&a + 1);
  return a.seconds + (size.rows - a.rows) * (b.seconds - a.seconds) / (b.rows - a.rows) + asked;
}

void Prices::observe(const PassSize& size, double seconds) {
  constexpr double kShare = 0.05, kMost = 1.5;  // of the new pass; how far off it may be
  const double expected = this->seconds(size);
  if (!(seconds > 0) || !(expected > 0)) return;
  const double change = kShare * (std::clamp(seconds / expected, 1 / kMost, kMost) - 1);
  const size_t left = line_of(size.rows);
  double least = 0;
  for (size_t i = 0; i < points_.size(); ++i) {
    const bool near = i == left || i == left + 1;
    points_[i].seconds = std::max(least, points_[i].seconds * (1 + (near ? change : change / 2)));
    least = points_[i].seconds;
  }
}

}  // namespace tidar
