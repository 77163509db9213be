#pragma once
// Choosing one token of many, where logits leave the vector kernels: changes, what is allowed, cuts
// and the race.
// Pure logic on small lists, shared by all backends; a backend with a fast path may gather only the
// tokens that can still win.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/matrix.h"
#include "base/sampling.h"
#include "base/token_set.h"
#include "plan/ask.h"

namespace tidar {

/// A token that is still in question, with its changed logit divided by the temperature. A NaN
/// stands below every number.
struct Candidate {
  int32_t token = 0;
  double logit = 0;
};

/// The logit after a change (base/sampling.h), in the arithmetic of T.
template <class T>
T changed(T logit, const LogitChange& change) {
  const T scale = static_cast<T>(change.scale);
  return (logit > 0 ? logit / scale : logit * scale) + static_cast<T>(change.add);
}

/// Calls f(change) for every change of the ask, from `pool`, that counts: own ones, and those of
/// the common list that no own one replaces. No token comes twice.
template <class F>
void for_each_change(const Ask& ask, std::span<const LogitChange> pool, F&& f) {
  const auto own_changes = ask.own_changes.of(pool);
  for (const LogitChange& change : ask.changes.of(pool)) {
    const bool replaced =
        std::any_of(own_changes.begin(), own_changes.end(),
                    [&](const LogitChange& own) { return own.token == change.token; });
    if (!replaced) f(change);
  }
  for (const LogitChange& change : own_changes) f(change);
}

/// What may not be chosen gets -infinity. `logits` may be longer than the set.
template <class T>
void forbid_others(std::span<T> logits, const TokenSet& allowed) {
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  const std::span<const uint64_t> words = allowed.words();
  for (size_t word = 0; 64 * word < logits.size(); ++word) {
    const uint64_t bits = word < words.size() ? words[word] : 0;
    if (bits == ~uint64_t{0}) continue;
    const auto some = logits.subspan(64 * word, std::min<size_t>(64, logits.size() - 64 * word));
    for (size_t i = 0; i < some.size(); ++i) some[i] = (bits >> i & 1) != 0 ? some[i] : kNever;
  }
}

/// Whether logits are a distribution that something can be chosen from: numbers or -infinity, not
/// all of them the latter.
template <class T>
bool is_distribution(std::span<const T> logits) {
  bool any = false;
  for (const T logit : logits) {
    if (!(logit <= std::numeric_limits<T>::max())) return false;
    any = any || logit >= std::numeric_limits<T>::lowest();
  }
  return any;
}

/// Order of candidates: larger logit first, lower id first on ties.
inline bool stands_before(const Candidate& a, const Candidate& b) {
  const bool a_is_number = a.logit == a.logit, b_is_number = b.logit == b.logit;
  if (!a_is_number || !b_is_number) {
    return a_is_number != b_is_number ? a_is_number : a.token < b.token;
  }
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// The answer where logits are no distribution.
Answer no_answer(const Ask& ask);

/// Row `row` of `logits`, f32 or f64, as an answer holds it.
std::vector<float> whole_row(Matrix logits, int32_t row);

/// E_i of the exponential race (plan/ask.h): the time that token i would need at probability 1.
double race_time(uint64_t seed, uint64_t draw, int32_t token);

/// Applies the cuts of `sampling` (top-k, then top-p, then min-p) in place. What is left is not in
/// any particular order, and never empty if `candidates` was not.
///
/// `rest` is the sum of exp(logit - largest logit) over tokens that were not gathered because they
/// cannot outlive the cuts; they take part in the total that top-p is a share of. It must be 0 if
/// top-k cuts.
void cut(std::vector<Candidate>& candidates, const Sampling& sampling, double rest = 0);

/// The winner of the race among `candidates` (not empty) at the seed of `sampling`; the lowest id
/// on ties. Where no candidate has a positive probability, the first by stands_before().
int32_t race(std::span<const Candidate> candidates, const Sampling& sampling, uint64_t draw);

/// The token that takes the place of `chosen`, once it is gone from among `candidates`: greedy, the
/// first by stands_before(), else the winner of the race. -1 where no other has a positive
/// probability.
int32_t runner_up(std::vector<Candidate> candidates, int32_t chosen, const Sampling& sampling,
                  uint64_t draw);

/// The logarithm of the probability with which race() draws `token` from `candidates` (not empty);
/// -infinity if it is not among them.
double race_logprob(std::span<const Candidate> candidates, int32_t token);

/// The same for the greedy choice, which is `best`; NaN where that is -1, none.
inline float greedy_logprob(int32_t best, int32_t token) {
  if (best < 0) return std::numeric_limits<float>::quiet_NaN();
  return token == best ? 0 : -std::numeric_limits<float>::infinity();
}

}  // namespace tidar
