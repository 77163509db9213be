#pragma once
// What can be read from rows of logits: a choice, a score, the most probable tokens.
//
// Drawing. With p the distribution that is left after changes, temperature and cuts, the token
// drawn is the winner of an exponential race, argmin_i E_i / p_i, which is exactly distributed as
// p. E_i = -log(1 - v), v = (b + 1/2) / 2^32, where b is word (i mod 4) of
// philox(key = seed, counter_high = draw, counter_low = i / 4). The noise thus depends on the seed,
// the draw and the token id alone: every backend draws the same token, up to rounding.

#include <cstdint>
#include <span>
#include <vector>

#include "base/sampling.h"

namespace tidar {

/// One question to a row of logits.
struct LogitTask {
  int32_t row = 0;

  /// If >= 0, the logits are trust * logits[row] + (1 - trust) * logits[other_row].
  int32_t other_row = -1;
  float trust = 1;

  /// If >= 0, this token is scored; otherwise one is chosen.
  int32_t token = -1;

  Sampling sampling{};
  uint64_t draw = 0;
  /// Changes before a choice. An entry of `own_changes` replaces that of `changes` with the same
  /// token; within one list no token comes twice.
  std::span<const LogitChange> changes{};
  std::span<const LogitChange> own_changes{};

  /// Also list this many most probable tokens.
  int32_t top = 0;
};

/// Log-probabilities are natural, of the (mixed) logits before changes, temperature and cuts. Where
/// those are not all numbers, one of them is +infinity or all are -infinity, they are no
/// distribution: log-probability and entropy are NaN, and nothing is chosen or listed.
struct LogitAnswer {
  int32_t token = -1;  ///< -1: nothing can be chosen, since that is so, or is after the changes
  float logprob = 0;
  float entropy = 0;                ///< of the distribution whose logarithms these are, in nats
  std::vector<TokenLogprob> top{};  ///< most probable first, lower id first on ties
};

}  // namespace tidar
