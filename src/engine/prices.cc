#include "engine/prices.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidar {

namespace {

void check_and_raise(std::vector<PricePoint>& points) {
  TIDAR_CHECK(!points.empty());
  TIDAR_CHECK_EQ(points.front().rows, 1);
  for (size_t i = 1; i < points.size(); ++i) {
    TIDAR_CHECK_LT(points[i - 1].rows, points[i].rows);
    points[i].seconds = std::max(points[i].seconds, points[i - 1].seconds);
  }
}

// The index of the line's left end; 0 where there is one point alone.
size_t line_of(const std::vector<PricePoint>& points, double rows) {
  const auto behind =
      std::upper_bound(points.begin(), points.end(), rows,
                       [](double wanted, const PricePoint& point) { return wanted < point.rows; });
  const auto left = static_cast<size_t>(std::max<ptrdiff_t>(behind - points.begin() - 1, 0));
  return std::min(left, points.size() < 2 ? 0 : points.size() - 2);
}

double seconds_of(const std::vector<PricePoint>& points, double rows) {
  const PricePoint& a = points[line_of(points, rows)];
  if (points.size() == 1 || rows < 1) return a.seconds * rows;
  const PricePoint& b = *(&a + 1);
  return a.seconds + (rows - a.rows) * (b.seconds - a.seconds) / (b.rows - a.rows);
}

void scale(std::vector<PricePoint>& points, double rows, double change) {
  const size_t left = line_of(points, rows);
  double least = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    const bool near = i == left || i == left + 1;
    points[i].seconds = std::max(least, points[i].seconds * (1 + (near ? change : change / 2)));
    least = points[i].seconds;
  }
}

}  // namespace

Prices::Prices(std::vector<PricePoint> points, std::vector<PricePoint> asks)
    : points_(std::move(points)), asks_(std::move(asks)) {
  check_and_raise(points_);
  check_and_raise(asks_);
}

Prices::Prices(std::vector<PricePoint> points, double ask_s)
    : Prices(std::move(points), std::vector<PricePoint>{{1, ask_s}}) {}

double Prices::seconds(const PassSize& size) const {
  return seconds_of(points_, size.rows) + seconds_of(asks_, size.asked);
}

void Prices::observe(const PassSize& size, double seconds) {
  constexpr double kShare = 0.05, kMost = 1.5;  // of the new pass; how far off it may be
  const double expected = this->seconds(size);
  if (!(seconds > 0) || !(expected > 0)) return;
  const double change = kShare * (std::clamp(seconds / expected, 1 / kMost, kMost) - 1);
  scale(points_, size.rows, change);
  scale(asks_, size.asked, change);
}

}  // namespace tidar
