#pragma once
// The time that something takes on the wall, by a clock that nobody sets.

#include <chrono>
#include <utility>

namespace tidar {

/// Runs from when it is made; assign a new one to begin anew.
class Stopwatch {
 public:
  /// Since it began, waiting included.
  double seconds() const { return between(start_, Clock::now()); }

  /// Likewise, and it begins anew at the same moment: laps add up to the whole time.
  double lap() {
    const Clock::time_point now = Clock::now();
    return between(std::exchange(start_, now), now);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double between(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  Clock::time_point start_ = Clock::now();
};

}  // namespace tidar
