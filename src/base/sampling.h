#pragma once
// How a token is chosen from logits: the vocabulary that requests, passes and kernels share.

#include <cstdint>

namespace tidar {

/// A change of one token's logit before a choice:
/// `logit = (logit > 0 ? logit / scale : logit * scale) + add`. Repetition penalties set `scale`;
/// presence and frequency penalties and biases set `add`; `add` = -infinity forbids the token.
struct LogitChange {
  int32_t token = 0;
  float scale = 1;
  float add = 0;
};

/// How a token is chosen from (changed) logits. Temperature 0, and any below kLeastTemperature,
/// takes the largest, the lowest id on ties. Otherwise the logits are divided by the temperature,
/// then cut to the `top_k` largest (0: all), then to the smallest set of the most probable whose
/// probabilities sum to at least `top_p`, then to those at least `min_p` times as probable as the
/// most probable; ties at a border are broken towards lower ids. One token of what is left is
/// drawn.
struct Sampling {
  /// Less would draw the largest as well, but logits over it might be more than f32 can say.
  static constexpr float kLeastTemperature = 1e-5f;

  float temperature = 0;
  int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  uint64_t seed = 0;

  bool greedy() const { return temperature < kLeastTemperature; }
  friend bool operator==(const Sampling&, const Sampling&) = default;
};

/// A token that was chosen, and natural logarithms of how probable it was.
struct TokenLogprob {
  int32_t token = -1;
  float logprob = 0;         ///< to the model: before changes, temperature and cuts
  float policy_logprob = 0;  ///< to the policy that it was drawn from: after them; greedy: 0
  friend bool operator==(const TokenLogprob&, const TokenLogprob&) = default;
};

/// A token that was not chosen but named beside it.
struct ListedToken {
  int32_t token = -1;
  float logprob = 0;  ///< to the model
  friend bool operator==(const ListedToken&, const ListedToken&) = default;
};

}  // namespace tidar
