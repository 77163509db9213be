#pragma once
// A running mean of the weights under training, which is often the better model (Polyak and
// Juditsky, 1992).

#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/matrix.h"
#include "base/threads.h"
#include "net/parameters.h"

namespace tidar {

/// After update t, counted from 1, mean += (1 - d) (weight - mean) with d = min(decay, t / (t +
/// 9)): the mean of a short run is not held back by where it began. Frozen weights have none.
/// Results do not depend on the number of threads.
class WeightAverage {
 public:
  /// The means are the present weights. 0 < decay < 1. `threads` must outlive this.
  WeightAverage(const Parameters& parameters, double decay, Threads& threads);

  /// Takes in the weights behind an update.
  void take(const Parameters& parameters, int64_t update);

  /// Exchanges masters and means: called a second time, everything is as it was. Products see it
  /// after Trainable::refresh().
  void exchange(Parameters& parameters);

  /// One for each parameter, f32, shaped as it; without data where it is frozen. May be written to
  /// when a state is restored.
  std::span<const Matrix> means() const { return means_; }

  int64_t bytes() const { return static_cast<int64_t>(memory_.bytes()); }

 private:
  double decay_;
  Threads& threads_;
  Buffer memory_;
  std::vector<Matrix> means_;
};

}  // namespace tidar
