#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "ops/candidates.h"
#include "ops/ref/verbs.h"

namespace tidar::ref {

namespace {

template <class T>
std::vector<T> mixed_row(Matrix logits, const Ask& ask) {
  const T* const row = logits.row<T>(ask.row);
  std::vector<T> mixed(row, row + logits.cols);
  if (ask.other_row < 0) return mixed;
  const T* const other = logits.row<T>(ask.other_row);
  const T trust = static_cast<T>(ask.trust);
  for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = trust * mixed[i] + (1 - trust) * other[i];
  return mixed;
}

// The sum is kept in double: 20,000 terms of one sign, added one by one in float, were off by 4e-5.
template <class T>
double log_sum_exp(const std::vector<T>& logits) {
  const T largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const T logit : logits) sum += std::exp(static_cast<double>(logit - largest));
  return static_cast<double>(largest) + std::log(sum);
}

template <class T>
double entropy_of(const std::vector<T>& logits, double log_sum) {
  double entropy = 0;
  for (const T logit : logits) {
    const double logprob = static_cast<double>(logit) - log_sum;
    const double probability = std::exp(logprob);
    if (probability > 0) entropy -= probability * logprob;
  }
  return entropy;
}

template <class T>
std::vector<Candidate> candidates_of(const std::vector<T>& logits, T temperature = 1) {
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (const T logit : logits) {
    candidates.push_back(
        {static_cast<int32_t>(candidates.size()), static_cast<double>(logit / temperature)});
  }
  return candidates;
}

// The answer's token, chosen or given, and its probability to the policy.
template <class T>
void choose(std::vector<T> logits, const Ask& ask, const Asks& asks, Answer& answer) {
  for_each_change(ask, asks.changes(), [&](const LogitChange& change) {
    T& logit = logits[static_cast<size_t>(change.token)];
    logit = changed(logit, change);
  });
  if (const TokenSet* const allowed = asks.allowed(ask)) forbid_others<T>(logits, *allowed);
  const bool scores = ask.kind == AskKind::score;
  if (!is_distribution(std::span<const T>(logits))) {
    answer.token = scores ? ask.token : -1;
    answer.policy_logprob = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  const bool greedy = ask.sampling.greedy();
  auto candidates = candidates_of(logits, greedy ? T{1} : static_cast<T>(ask.sampling.temperature));
  if (greedy) {
    const int32_t best =
        std::min_element(candidates.begin(), candidates.end(), stands_before)->token;
    answer.token = scores ? ask.token : best;
    answer.policy_logprob = greedy_logprob(best, answer.token);
  } else {
    cut(candidates, ask.sampling);
    answer.token = scores ? ask.token : race(candidates, ask.sampling, ask.draw);
    answer.policy_logprob = static_cast<float>(race_logprob(candidates, answer.token));
  }
  if (ask.kind == AskKind::choose && ask.runner_up)
    answer.runner_up.token = runner_up(std::move(candidates), answer.token, ask.sampling, ask.draw);
}

template <class T>
std::vector<ListedToken> most_probable(const std::vector<T>& logits, double log_sum,
                                       int32_t count) {
  auto candidates = candidates_of(logits);
  const auto listed = std::min<size_t>(static_cast<size_t>(count), candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(listed),
                    candidates.end(), stands_before);
  std::vector<ListedToken> top;
  for (size_t i = 0; i < listed; ++i) {
    const auto token = static_cast<size_t>(candidates[i].token);
    top.push_back({candidates[i].token, static_cast<float>(logits[token] - log_sum)});
  }
  return top;
}

}  // namespace

template <class T>
Answer read_logits(Matrix logits, const Ask& ask, const Asks& asks) {
  Answer answer;
  if (ask.kind == AskKind::logits) {
    answer.logits = whole_row(logits, ask.row);
    return answer;
  }
  const std::vector<T> mixed = mixed_row<T>(logits, ask);
  if (!is_distribution(std::span<const T>(mixed))) return no_answer(ask);
  const double log_sum = log_sum_exp(mixed);
  choose(mixed, ask, asks, answer);
  const auto logprob = [&](int32_t token) {
    return token < 0 ? 0 : static_cast<float>(mixed[static_cast<size_t>(token)] - log_sum);
  };
  answer.logprob = logprob(answer.token);
  answer.runner_up.logprob = logprob(answer.runner_up.token);
  answer.entropy = static_cast<float>(entropy_of(mixed, log_sum));
  answer.top = most_probable(mixed, log_sum, ask.top);
  return answer;
}

template Answer read_logits<float>(Matrix, const Ask&, const Asks&);
template Answer read_logits<double>(Matrix, const Ask&, const Asks&);

}  // namespace tidar::ref
