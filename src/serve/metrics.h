#pragma once
// What the server did and how it fares, for Prometheus. Names are those of vLLM behind "tidar:",
// where vLLM measures the same.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/engine_thread.h"

namespace tidar {

/// How often a value was found up to each of some bounds, which ascend and must outlive it.
class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds)
      : bounds_(bounds), counts_(bounds.size() + 1) {}

  void add(double value, int64_t times = 1);

  std::span<const double> bounds() const { return bounds_; }
  /// Values up to bounds()[i] that are more than the bound before it; at last those that are more
  /// than all bounds.
  std::span<const int64_t> counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  std::span<const double> bounds_;
  std::vector<int64_t> counts_;
  double sum_ = 0;
};

/// Bounds of times, in seconds.
inline constexpr std::array<double, 18> kTimeBounds = {
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500};

/// What clients felt. Belongs to the thread that owns the EngineThread.
struct Metrics {
  Histogram first_token_s{kTimeBounds};  ///< from an output's request to its first token
  /// Between its tokens: those that one pass brought share the time since the pass before them.
  Histogram inter_token_s{kTimeBounds};
  Histogram request_s{kTimeBounds};  ///< from a request to the end of its answer
  /// Answers of each route and status.
  std::map<std::pair<std::string_view, int>, int64_t> answers;
  int connections = 0;                  ///< that are open
  std::atomic<int64_t> body_bytes = 0;  ///< of bodies that are being read, or wait to be understood
};

/// Prometheus's text format, version 0.0.4.
inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";
std::string metrics_text(const Metrics& metrics, const EngineTotals& totals,
                         const EngineState& state);

}  // namespace tidar
