#include "report/plot_scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace tidar {
namespace {

/// Steps that are a hair away from a whole number are whole.
constexpr double kHair = 1e-9;

}  // namespace

PlotScale::PlotScale(double from, double to, std::vector<double> ticks, bool logarithmic)
    : from_(from), to_(to), ticks_(std::move(ticks)), logarithmic_(logarithmic) {}

double nice_step(double span, int count) {
  const double raw = span / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double nice = digit < 1.4 ? 1 : digit < 3 ? 2 : digit < 7 ? 5 : 10;
  return nice * power;
}

PlotScale PlotScale::linear(double least, double most, int count) {
  // One number alone stands in the middle.
  const double size = std::max(std::abs(least), std::abs(most));
  if (!(most - least > size * kHair)) {
    const double room = size > 0 ? size / 10 : 1;
    least -= room;
    most += room;
  }
  const double step = nice_step(most - least, count);
  const double first = std::floor(least / step + kHair), last = std::ceil(most / step - kHair);
  std::vector<double> ticks;
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  const double from = ticks.front(), to = ticks.back();
  return {from, to, std::move(ticks), false};
}

PlotScale PlotScale::log2(double least, double most, int count) {
  const double first = std::floor(std::log2(least) + kHair);
  const double span = std::max(1.0, std::ceil(std::log2(most) - kHair) - first);
  const double step = std::ceil(span / count);
  const double last = first + step * std::ceil(span / step);
  std::vector<double> ticks;
  for (double i = first; i <= last; i += step) ticks.push_back(std::exp2(i));
  return {std::exp2(first), std::exp2(last), std::move(ticks), true};
}

PlotScale PlotScale::exact(double least, double most, std::vector<double> ticks) {
  return {least, most, std::move(ticks), false};
}

double PlotScale::pixel(double value) const {
  const double part = logarithmic_ ? std::log(value / from_) / std::log(to_ / from_)
                                   : (value - from_) / (to_ - from_);
  return begin_ + part * (end_ - begin_);
}

std::vector<std::string> PlotScale::labels() const {
  if (!logarithmic_) return tick_labels(ticks_);
  std::vector<std::string> labels;
  for (const double tick : ticks_) labels.push_back(fmt::format("{:g}", tick));
  return labels;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  const int decimals =
      std::clamp(static_cast<int>(std::ceil(-std::log10(std::abs(step)) - kHair)), 0, 9);
  std::vector<std::string> labels;
  for (const double tick : ticks) {
    // Adding 0 takes the sign from a negative zero.
    labels.push_back(std::abs(tick) < 1e12 ? fmt::format("{:.{}f}", tick + 0.0, decimals)
                                           : fmt::format("{:.3g}", tick));
  }
  return labels;
}

}  // namespace tidar
