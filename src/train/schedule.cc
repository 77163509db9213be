#include "train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include "base/nearest.h"

namespace tidar {

double Schedule::rate(int64_t step) const {
  if (step < warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  }
  const int64_t falling = decay == Decay::wsd ? decay_steps : steps - warmup_steps;
  const int64_t left = std::max<int64_t>(steps - 1 - step, 0);
  if (left >= falling) return peak;
  // 0 at the last step at the peak, 1 at the last of all.
  const double progress = 1 - static_cast<double>(left) / static_cast<double>(falling);
  const auto fallen = [&] {
    switch (decay) {
      case Decay::cosine:
        return (1 - std::cos(std::numbers::pi * progress)) / 2;
      case Decay::linear:
        return progress;
      case Decay::wsd:
        return std::sqrt(progress);
    }
    return 0.0;
  };
  return peak + (floor - peak) * fallen();
}

Result<void> Schedule::check() const {
  if (!(peak >= 0) || std::isinf(peak)) {
    return error("learning rate: the peak is {}; expected a number, 0 or above", peak);
  }
  if (!(floor >= 0) || floor > peak) {
    return error("learning rate: the floor is {}; expected 0 to the peak, {}", floor, peak);
  }
  if (steps < 1) return error("learning rate: {} steps; expected at least 1", steps);
  const int64_t decaying = decay == Decay::wsd ? decay_steps : 0;
  if (warmup_steps < 0 || decaying < 0 || warmup_steps > steps - decaying) {
    return error("learning rate: {} steps of warm-up and {} of decay do not fit into {} steps",
                 warmup_steps, decaying, steps);
  }
  return {};
}

Result<Decay> decay_named(std::string_view name) {
  const std::array<std::string, 3> names = {"cosine", "linear", "wsd"};
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<Decay>(found - names.begin());
  const std::string meant = nearest(name, names);
  return error("unknown schedule '{}'; {}", name,
               meant.empty() ? "expected cosine, linear or wsd" : "did you mean " + meant + "?");
}

}  // namespace tidar
