#include "ops/candidates.h"

#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/rng.h"

namespace tidar {

namespace {

// Keeps the first `count` by stands_before().
void keep_first(std::vector<Candidate>& candidates, size_t count) {
  if (count >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                   candidates.end(), stands_before);
  candidates.resize(count);
}

Candidate first_of(std::span<const Candidate> candidates) {
  return *std::min_element(candidates.begin(), candidates.end(), stands_before);
}

// exp(logit - largest), and 0 where either is no number.
double weight_of(const Candidate& candidate, double largest) {
  const double weight = std::exp(candidate.logit - largest);
  return weight >= 0 ? weight : 0;
}

void keep_top_p(std::vector<Candidate>& candidates, double top_p, double rest) {
  std::sort(candidates.begin(), candidates.end(), stands_before);
  const double largest = candidates[0].logit;
  double total = rest;
  for (const Candidate& candidate : candidates) total += weight_of(candidate, largest);
  double sum = 0;
  size_t kept = 0;
  do {
    sum += weight_of(candidates[kept++], largest);
  } while (kept < candidates.size() && sum < top_p * total);
  candidates.resize(kept);
}

void keep_min_p(std::vector<Candidate>& candidates, double min_p) {
  const Candidate first = first_of(candidates);
  // The first stays even where no candidate has a probability.
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return candidate.token != first.token && weight_of(candidate, first.logit) < min_p;
  });
}

}  // namespace

Answer no_answer(const Ask& ask) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  return {.token = ask.token, .logprob = kNaN, .policy_logprob = kNaN, .entropy = kNaN};
}

std::vector<float> whole_row(Matrix logits, int32_t row) {
  std::vector<float> values(static_cast<size_t>(logits.cols));
  with_float_type(logits.dtype, [&]<class T>(T*) {
    const T* from = logits.row<T>(row);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(from[i]);
  });
  return values;
}

double race_time(uint64_t seed, uint64_t draw, int32_t token) {
  const auto block = philox(seed, draw, static_cast<uint64_t>(token) / 4);
  const double bits = block[static_cast<size_t>(token) % 4];
  return -std::log1p(-(bits + 0.5) * 0x1p-32);
}

void cut(std::vector<Candidate>& candidates, const Sampling& sampling, double rest) {
  TIDAR_CHECK(sampling.top_k <= 0 || rest == 0);
  if (candidates.empty()) return;
  if (sampling.top_k > 0) keep_first(candidates, static_cast<size_t>(sampling.top_k));
  if (sampling.top_p < 1) keep_top_p(candidates, sampling.top_p, rest);
  if (sampling.min_p > 0) keep_min_p(candidates, sampling.min_p);
}

int32_t race(std::span<const Candidate> candidates, const Sampling& sampling, uint64_t draw) {
  TIDAR_CHECK(!candidates.empty());
  const Candidate first = first_of(candidates);
  int32_t winner = first.token;
  double best = std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : candidates) {
    const double weight = weight_of(candidate, first.logit);
    if (weight == 0) continue;
    const double time = race_time(sampling.seed, draw, candidate.token) / weight;
    if (time < best || (time == best && candidate.token < winner)) {
      best = time;
      winner = candidate.token;
    }
  }
  return winner;
}

int32_t runner_up(std::vector<Candidate> candidates, int32_t chosen, const Sampling& sampling,
                  uint64_t draw) {
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return candidate.token == chosen || !std::isfinite(candidate.logit);
  });
  if (candidates.empty()) return -1;
  return sampling.greedy() ? first_of(candidates).token : race(candidates, sampling, draw);
}

double race_logprob(std::span<const Candidate> candidates, int32_t token) {
  TIDAR_CHECK(!candidates.empty());
  const Candidate first = first_of(candidates);
  double total = 0, logprob = -std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : candidates) {
    const double weight = weight_of(candidate, first.logit);
    total += weight;
    if (candidate.token == token && weight > 0) logprob = candidate.logit - first.logit;
  }
  // Where nothing has a positive probability, the first is drawn.
  return total > 0 ? logprob - std::log(total) : greedy_logprob(first.token, token);
}

}  // namespace tidar
