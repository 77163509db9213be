#include "engine/stats.h"

#include <algorithm>

namespace tidar {

void RequestStats::add(const StepStats& step) {
  new_tokens += step.tokens;
  if (step.decoding) {
    const auto tokens = static_cast<size_t>(step.tokens);
    passes += 1;
    decoded += step.tokens;
    accepted.resize(std::max(accepted.size(), tokens + 1));
    accepted[tokens] += 1;
  }
  places.resize(std::max(places.size(), static_cast<size_t>(step.drafted)));
  for (int i = 0; i < step.drafted; ++i) {
    DraftPlace& place = places[static_cast<size_t>(i)];
    place.drafted += 1;
    place.accepted += i < step.accepted ? 1 : 0;
  }
  drafter_passes += step.drafter_passes;
  prefill_s += step.prefill_s;
  decode_s += step.decode_s;
}

}  // namespace tidar
