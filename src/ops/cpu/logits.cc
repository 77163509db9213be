#include "ops/cpu/logits.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "ops/candidates.h"

namespace tidar::cpu {

namespace {

// The sum of exp is finite just where the logits are a distribution (candidates.h).
bool is_distribution(const LogitSummary& summary) { return std::isfinite(summary.log_sum); }

// A row under a question.
struct Reading {
  const Kernels& kernels;
  const float* row;  // [V], mixed
  int64_t vocabulary;
  const Ask& ask;
  const Asks& asks;  // among which it is
  float* scratch;    // [V]

  const TokenSet* allowed() const { return asks.allowed(ask); }
};

template <class F>
void for_each_change(const Reading& reading, F&& f) {
  for_each_change(reading.ask, reading.asks.changes(), std::forward<F>(f));
}

// The row after the changes, in scratch; what is not allowed has no chance.
const float* changed_row(const Reading& reading) {
  std::copy(reading.row, reading.row + reading.vocabulary, reading.scratch);
  for_each_change(reading, [&](const LogitChange& change) {
    reading.scratch[change.token] = changed(reading.row[change.token], change);
  });
  if (const TokenSet* const allowed = reading.allowed()) {
    forbid_others<float>({reading.scratch, static_cast<size_t>(reading.vocabulary)}, *allowed);
  }
  return reading.scratch;
}

// The token with the largest changed logit; -1 where that is not finite. Changes are few: unless
// they lower the best of the row, or it is not allowed, it only has to be compared with the changed
// ones.
int32_t choose_greedy(const Reading& reading, int32_t unchanged_best) {
  const float* const row = reading.row;
  const TokenSet* const allowed = reading.allowed();
  const auto may_be = [&](int32_t token) { return allowed == nullptr || allowed->contains(token); };
  Candidate best = {unchanged_best, row[unchanged_best]};
  bool lowered = !may_be(unchanged_best);
  for_each_change(reading, [&](const LogitChange& change) {
    const float logit = changed(row[change.token], change);
    if (change.token == unchanged_best && !(logit >= row[unchanged_best])) lowered = true;
    if (change.token == unchanged_best) best.logit = logit;
  });
  if (lowered) {
    const LogitSummary now = reading.kernels.summarize(changed_row(reading), reading.vocabulary);
    return is_distribution(now) ? now.best : -1;
  }
  for_each_change(reading, [&](const LogitChange& change) {
    const Candidate other = {change.token, changed(row[change.token], change)};
    if (stands_before(other, best) && may_be(other.token)) best = other;
  });
  return std::isfinite(best.logit) ? best.token : -1;
}

// Tokens within `gap` of the largest logit, with logits divided by the temperature.
std::vector<Candidate> gather(const float* row, int64_t vocabulary, double largest, double gap,
                              double inverse_temperature) {
  std::vector<Candidate> near;
  for (int64_t i = 0; i < vocabulary; ++i) {
    if (largest - row[i] <= gap) {
      near.push_back({static_cast<int32_t>(i), row[i] * inverse_temperature});
    }
  }
  return near;
}

// Sum of exp((logit - largest) / temperature) over all tokens.
double total_weight(const float* row, int64_t vocabulary, double largest,
                    double inverse_temperature) {
  double total = 0;
  for (int64_t i = 0; i < vocabulary; ++i) {
    total += std::exp((row[i] - largest) * inverse_temperature);
  }
  return total;
}

// What the cuts leave of a row, found by widening the distance from the best until all that they
// can leave is gathered.
std::vector<Candidate> cut_row(const float* row, int64_t vocabulary, const LogitSummary& summary,
                               Sampling sampling) {
  if (sampling.top_k >= vocabulary) sampling.top_k = 0;
  const double inverse_temperature = 1.0 / sampling.temperature;
  const bool by_count = sampling.top_k > 0;
  const bool by_share = sampling.top_p < 1;
  const double total = by_share && !by_count
                           ? total_weight(row, vocabulary, summary.best_logit, inverse_temperature)
                           : 0;
  // What is forbidden is at no distance.
  const auto possible =
      std::count_if(row, row + vocabulary, [](float logit) { return std::isfinite(logit); });
  for (double gap = 8 * sampling.temperature;; gap *= 2) {
    auto near = gather(row, vocabulary, summary.best_logit, gap, inverse_temperature);
    const bool all = static_cast<int64_t>(near.size()) >= possible;
    double rest = 0;
    bool enough = all;
    if (by_count) {
      enough = enough || static_cast<int64_t>(near.size()) >= sampling.top_k;
    } else if (by_share) {
      double gathered = 0;
      for (const Candidate& c : near) {
        gathered += std::exp(c.logit - summary.best_logit * inverse_temperature);
      }
      rest = all ? 0 : std::max(0.0, total - gathered);
      enough = enough || gathered >= sampling.top_p * total;
    } else {
      enough = enough || std::exp(-gap * inverse_temperature) < sampling.min_p;
    }
    if (!enough) continue;
    cut(near, sampling, rest);
    return near;
  }
}

// Of a token that is drawn from a whole row.
float drawn_logprob(const Kernels& kernels, const float* row, int64_t vocabulary,
                    const LogitSummary& summary, float inverse_temperature, int32_t token) {
  if (inverse_temperature == 1) return row[token] - summary.log_sum;
  const float below = (row[token] - summary.best_logit) * inverse_temperature;
  return below - kernels.log_weight(row, summary.best_logit, inverse_temperature, vocabulary);
}

// The token that a whole row gives without the chosen one; -1: nothing else is left.
int32_t next_of_row(const Reading& reading, int32_t chosen) {
  const auto& [kernels, row, vocabulary, ask, asks, scratch] = reading;
  changed_row(reading);
  scratch[chosen] = -std::numeric_limits<float>::infinity();
  const int32_t next = ask.sampling.greedy()
                           ? kernels.summarize(scratch, vocabulary).best
                           : kernels.race(scratch, 1 / ask.sampling.temperature, ask.sampling.seed,
                                          ask.draw, vocabulary);
  return std::isfinite(scratch[next]) ? next : -1;
}

// The answer's token, chosen or given, and its probability to the policy; also the runner-up.
void choose(const Reading& reading, const LogitSummary& summary, Answer& answer) {
  const auto& [kernels, unchanged, vocabulary, ask, asks, scratch] = reading;
  const Sampling& sampling = ask.sampling;
  const bool scores = ask.kind == AskKind::score;
  const bool names_next = !scores && ask.runner_up;
  if (sampling.greedy()) {
    const int32_t best = choose_greedy(reading, summary.best);
    answer.token = scores ? ask.token : best;
    answer.policy_logprob = greedy_logprob(best, answer.token);
    if (names_next && best >= 0) answer.runner_up.token = next_of_row(reading, best);
    return;
  }
  const float* row = unchanged;
  LogitSummary now = summary;
  if (!ask.changes.empty() || !ask.own_changes.empty() || reading.allowed() != nullptr) {
    row = changed_row(reading);
    now = kernels.summarize(row, vocabulary);
    if (!is_distribution(now)) {
      answer.token = scores ? ask.token : -1;
      answer.policy_logprob = std::numeric_limits<float>::quiet_NaN();
      return;
    }
  }
  const bool cuts = (sampling.top_k > 0 && sampling.top_k < vocabulary) || sampling.top_p < 1 ||
                    sampling.min_p > 0;
  if (cuts) {
    auto left = cut_row(row, vocabulary, now, sampling);
    answer.token = scores ? ask.token : race(left, sampling, ask.draw);
    answer.policy_logprob = static_cast<float>(race_logprob(left, answer.token));
    if (names_next)
      answer.runner_up.token = runner_up(std::move(left), answer.token, sampling, ask.draw);
    return;
  }
  const float inverse_temperature = 1 / sampling.temperature;
  answer.token = scores
                     ? ask.token
                     : kernels.race(row, inverse_temperature, sampling.seed, ask.draw, vocabulary);
  answer.policy_logprob =
      drawn_logprob(kernels, row, vocabulary, now, inverse_temperature, answer.token);
  if (names_next) answer.runner_up.token = next_of_row(reading, answer.token);
}

std::vector<ListedToken> most_probable(const float* row, int64_t vocabulary, float log_sum,
                                       int32_t count) {
  std::vector<Candidate> all;
  all.reserve(static_cast<size_t>(vocabulary));
  for (int64_t i = 0; i < vocabulary; ++i) all.push_back({static_cast<int32_t>(i), row[i]});
  const auto listed = std::min<std::ptrdiff_t>(count, static_cast<std::ptrdiff_t>(all.size()));
  std::partial_sort(all.begin(), all.begin() + listed, all.end(), stands_before);
  std::vector<ListedToken> top;
  for (std::ptrdiff_t i = 0; i < listed; ++i) {
    const Candidate& c = all[static_cast<size_t>(i)];
    top.push_back({c.token, static_cast<float>(c.logit) - log_sum});
  }
  return top;
}

}  // namespace

Answer answer(const Kernels& kernels, Matrix logits, const Ask& ask, const Asks& asks,
              float* scratch) {
  const int64_t vocabulary = logits.cols;
  Answer answer;
  if (ask.kind == AskKind::logits) {
    answer.logits = whole_row(logits, ask.row);
    return answer;
  }
  const float* row = logits.row<float>(ask.row);
  if (ask.other_row >= 0) {
    kernels.mix(row, logits.row<float>(ask.other_row), ask.trust, vocabulary, scratch);
    row = scratch;
  }
  const LogitSummary summary = kernels.summarize(row, vocabulary);
  if (!is_distribution(summary)) return no_answer(ask);
  const Reading reading = {kernels, row, vocabulary, ask, asks, scratch + vocabulary};
  choose(reading, summary, answer);
  const auto logprob = [&](int32_t token) { return token < 0 ? 0 : row[token] - summary.log_sum; };
  answer.logprob = logprob(answer.token);
  answer.runner_up.logprob = logprob(answer.runner_up.token);
  answer.entropy = summary.entropy;
  if (ask.top > 0) answer.top = most_probable(row, vocabulary, summary.log_sum, ask.top);
  return answer;
}

}  // namespace tidar::cpu
