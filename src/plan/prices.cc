#include "plan/prices.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace tidar {

Prices::Curve::Curve(std::vector<PricePoint> points_) : points(std::move(points_)) {
  if (points.empty()) return;
  TIDAR_CHECK_EQ(points.front().rows, 1);
  lines.assign(2, 0);  // of less than a row, too
  for (size_t i = 1; i < points.size(); ++i) {
    TIDAR_CHECK_LT(points[i - 1].rows, points[i].rows);
    points[i].seconds = std::max(points[i].seconds, points[i - 1].seconds);
    lines.resize(static_cast<size_t>(points[i].rows) + 1, static_cast<uint32_t>(i - 1));
  }
}

size_t Prices::Curve::line_of(double rows) const {
  return lines[std::min(static_cast<size_t>(std::ceil(rows)), lines.size() - 1)];
}

double Prices::Curve::seconds(double rows) const {
  const PricePoint& a = points[line_of(rows)];
  if (points.size() == 1 || rows < 1) return a.seconds * rows;
  const PricePoint& b = *(&a + 1);
  return a.seconds + (rows - a.rows) * (b.seconds - a.seconds) / (b.rows - a.rows);
}

void Prices::Curve::scale(double rows, double all, double near) {
  const size_t left = line_of(rows);
  double least = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    const double change = i == left || i == left + 1 ? near : all;
    points[i].seconds = std::max(least, points[i].seconds * (1 + change));
    least = points[i].seconds;
  }
}

Prices::Prices(std::vector<PricePoint> points, std::vector<PricePoint> asks, KeyPrice key)
    : passes_(std::move(points)), asks_(std::move(asks)), key_(key) {
  TIDAR_CHECK(!passes_.points.empty() && !asks_.points.empty());
}

Prices::Prices(std::vector<PricePoint> points, double ask_s)
    : Prices(std::move(points), std::vector<PricePoint>{{1, ask_s}}) {}

double Prices::seconds(const PassSize& size) const {
  const double rows = passes_.seconds(size.rows);
  const double more_keys = size.seen_keys - static_cast<double>(size.rows) * key_.cached;
  const double at_once = std::max(0.0, rows + key_.seconds * more_keys) + asks_.seconds(size.asked);
  if (size.askers_later >= 1) return at_once + asks_.seconds(size.asked_later);
  if (size.askers_later <= 0) return at_once;
  return at_once + size.askers_later * asks_.seconds(size.asked_later / size.askers_later);
}

namespace {

std::vector<PricePoint> lowered(std::vector<PricePoint> kept,
                                const std::vector<PricePoint>& checked) {
  std::vector<double> shares;  // of the kept price, at sizes that both have
  std::vector<bool> met(kept.size(), false);
  auto at = checked.begin();
  for (size_t i = 0; i < kept.size(); ++i) {
    while (at != checked.end() && at->rows < kept[i].rows) ++at;
    if (at == checked.end() || at->rows != kept[i].rows) continue;
    met[i] = true;
    const double lower = std::min(kept[i].seconds, at->seconds);
    shares.push_back(kept[i].seconds > 0 ? lower / kept[i].seconds : 1);
    kept[i].seconds = lower;
  }
  if (!shares.empty()) {
    const auto median = shares.begin() + static_cast<ptrdiff_t>(shares.size() / 2);
    std::nth_element(shares.begin(), median, shares.end());
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!met[i]) kept[i].seconds *= *median;
    }
  }
  // More rows than these were done in less: so can these.
  for (size_t i = kept.size(); i-- > 1;) {
    kept[i - 1].seconds = std::min(kept[i - 1].seconds, kept[i].seconds);
  }
  return kept;
}

}  // namespace

Prices lowered(const Prices& kept, const Prices& checked) {
  KeyPrice key = kept.key();
  const KeyPrice& other = checked.key();
  if (other.seconds > 0 && other.cached == key.cached) {
    key.seconds = std::min(key.seconds, other.seconds);
  }
  return {lowered(kept.points(), checked.points()), lowered(kept.asks(), checked.asks()), key};
}

void Prices::observe(const PassSize& size, double seconds) {
  constexpr double kNew = 0.05, kMost = 1.5;  // weight of a pass; how far off it may be
  constexpr double kOwn = 0.01;               // of what others of late were not off by
  const double expected = this->seconds(size);
  if (!(seconds > 0) || !(expected > 0)) return;
  const double off = std::clamp(seconds / expected, 1 / kMost, kMost) - 1;
  drift_ += kNew * (off - drift_);
  const double all = kNew * off, near = all + kOwn * (off - drift_);
  passes_.scale(size.rows, all, near);
  asks_.scale(size.asked, all, size.asked > 0 ? near : all);
  key_.seconds *= 1 + all;
}

}  // namespace tidar
