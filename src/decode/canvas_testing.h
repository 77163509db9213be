#pragma once
// For tests of diffusion methods: random requests and rules, and what a row says of a mask.

#include <algorithm>
#include <cmath>
#include <vector>

#include "decode/reveal.h"
#include "decode/text_testing.h"

namespace tidar {

/// Penalties that count what was said are refused.
inline SequenceSpec random_canvas_spec(Rng& rng) {
  SequenceSpec spec = random_spec(rng);
  spec.penalties.repetition = 1;
  spec.penalties.presence = spec.penalties.frequency = 0;
  return spec;
}

/// Of any order, perhaps with a threshold or a bound.
inline RevealRule random_rule(Rng& rng) {
  RevealRule rule{.order = static_cast<RevealOrder>(rng.below(5)), .count = 1 + rng.below(3)};
  if (rng.below(3) == 0) rule.threshold = 0.3f * rng.uniform();
  if (rng.below(3) == 0) rule.entropy_bound = 5 * rng.uniform();
  return rule;
}

/// What a row of logits says of the mask at `position`, where `answer` was chosen.
inline MaskGuess plain_guess(int position, const Answer& answer, const std::vector<float>& logits,
                             int32_t mask_token) {
  double sum = 0, entropy = 0, first = 0, second = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  for (size_t v = 0; v < logits.size(); ++v) {
    const double p = std::exp(static_cast<double>(logits[v])) / sum;
    entropy -= p * std::log(p);
    if (static_cast<int32_t>(v) == mask_token) continue;
    second = std::max(second, std::min(first, p));
    first = std::max(first, p);
  }
  return {.position = position,
          .logprob = answer.logprob,
          .margin = static_cast<float>(first - second),
          .entropy = static_cast<float>(entropy)};
}

}  // namespace tidar
