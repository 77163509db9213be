#include "train/spike_guard.h"

#include <algorithm>
#include <cmath>

namespace tidar {

namespace {

constexpr size_t kRemembered = 64;
constexpr size_t kLeast = 32;
constexpr int kMostLeftOut = 3;
constexpr double kLeastDeviation = 0.02;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void remember(double value, std::vector<double>& values) {
  if (values.size() == kRemembered) values.erase(values.begin());
  values.push_back(value);
}

bool stands_out(double loss, double norm, double factor, const SpikeHistory& history) {
  if (history.losses.size() < kLeast) return false;
  const double usual = median(history.losses);
  std::vector<double> deviations;
  for (const double one : history.losses) deviations.push_back(std::abs(one - usual));
  return norm > factor * median(history.norms) ||
         loss - usual > factor * std::max(median(std::move(deviations)), kLeastDeviation);
}

}  // namespace

bool SpikeGuard::is_spike(double loss, double norm) {
  if (factor_ > 0 && stands_out(loss, norm, factor_, history_)) {
    if (history_.left_out < kMostLeftOut) {
      ++history_.left_out;
      return true;
    }
    history_ = {};
  }
  history_.left_out = 0;
  remember(loss, history_.losses);
  remember(norm, history_.norms);
  return false;
}

}  // namespace tidar
