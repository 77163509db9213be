#pragma once
// The learning rate of every step: a closed form, without state.

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace tidar {

enum class Decay : uint8_t {
  cosine,  ///< half a cosine from the peak to the floor
  linear,  ///< a line from the peak to the floor
  wsd,     ///< warm-up, stable, decay: the peak until the last decay_steps, then as 1 - sqrt
           ///< (arXiv 2405.18392)
};

struct Schedule {
  Decay decay = Decay::cosine;
  double peak = 1e-5;        ///< 0: nothing is learnt, only measured
  double floor = 0;          ///< the rate of the last step, and of all behind it
  int64_t steps = 1;         ///< of the run
  int64_t warmup_steps = 0;  ///< the rate rises by equal amounts to the peak, which the last has
  int64_t decay_steps = 0;   ///< wsd only; 0: the rate stays at the peak

  /// Of step 0, 1, …; above 0 wherever peak and floor are. Must have passed check().
  double rate(int64_t step) const;

  /// An Error when the numbers make no sense together.
  Result<void> check() const;
};

/// cosine, linear or wsd. The Error names the nearest.
Result<Decay> decay_named(std::string_view name);

}  // namespace tidar
