#pragma once
// `tidar generate --reliability`: whether what offers say will happen happens as often as they say.

#include <array>
#include <cstdint>

#include "engine/explanation.h"
#include "report/plot.h"

namespace tidar {

/// Keeps counts by tenths of the chance, of guesses and of groups apart.
class Reliability {
 public:
  /// Counts what the pass shows to be right or wrong of its offer: the guesses that it verified up
  /// to the first wrong one, the groups whose case it decides, whether or not they were held, and
  /// the guessed groups that it held.
  void add(const Explanation& explanation);

  /// The frequency of what happened over the chance that it was given, by tenths of that chance; a
  /// bar is one standard error.
  Plot plot() const;

 private:
  struct Bin {
    double chance = 0;  ///< the sum
    int64_t tries = 0, hits = 0;
  };
  using Bins = std::array<Bin, 10>;

  static void count(Bins& bins, double chance, bool hit);
  static PlotSeries series_of(const char* label, const Bins& bins);

  Bins guesses_{}, groups_{}, guessed_{};
};

}  // namespace tidar
