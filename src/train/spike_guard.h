#pragma once
// Leaves out steps whose loss or gradient stands far outside what was seen lately: one bad batch
// late in a run can undo hours.

#include <vector>

namespace tidar {

/// What the guard remembers, for checkpoints.
struct SpikeHistory {
  std::vector<double> losses;  ///< of the last steps that were taken, oldest first; 64 at most
  std::vector<double> norms;
  int left_out = 0;  ///< steps in a row
};

/// A step is a spike when its gradient norm is more than `factor` times the median of the last 64,
/// or its loss lies more than `factor` times their median deviation (0.02 at least) above their
/// median. The fourth spike in a row is taken, and what was seen before is forgotten: then it is
/// the text that has changed. The first 32 steps, and those behind such a spike, are all taken.
class SpikeGuard {
 public:
  /// Factor 0: no step is a spike.
  explicit SpikeGuard(double factor) : factor_(factor) {}

  /// Whether the step is to be left out; a step that is not is remembered.
  bool is_spike(double loss, double norm);

  const SpikeHistory& history() const { return history_; }
  void restore(SpikeHistory history) { history_ = std::move(history); }

 private:
  double factor_;
  SpikeHistory history_;
};

}  // namespace tidar
