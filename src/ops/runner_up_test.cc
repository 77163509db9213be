// The runner-up of a choice, on every backend, held against a plain reading of plan/ask.h.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "ops/backends_testing.h"
#include "ops/candidates.h"
#include "ops/wrap/grid.h"

namespace tidar {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

/// How well each token does in the choice, kNothing where it has no part in it.
std::vector<double> standings(const std::vector<double>& changed, const Ask& ask) {
  const Sampling& how = ask.sampling;
  if (how.greedy()) return changed;
  std::vector<size_t> order;
  for (size_t i = 0; i < changed.size(); ++i)
    if (changed[i] != kNothing) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return changed[a] > changed[b]; });
  if (how.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(how.top_k)));
  const auto weight = [&](size_t i) {
    return std::exp((changed[i] - changed[order[0]]) / double{how.temperature});
  };
  double all = 0, before = 0;
  for (const size_t i : order) all += weight(i);
  std::vector<double> standing(changed.size(), kNothing);
  for (const size_t i : order) {
    if (before >= double{how.top_p} * all || weight(i) < double{how.min_p}) break;
    before += weight(i);
    standing[i] = changed[i] / double{how.temperature} -
                  std::log(race_time(how.seed, ask.draw, static_cast<int32_t>(i)));
  }
  return standing;
}

/// The best of them, the lowest id on ties; -1 where there is none.
int32_t best_of(const std::vector<double>& standing) {
  const auto best = std::max_element(standing.begin(), standing.end());
  return *best == kNothing ? -1 : static_cast<int32_t>(best - standing.begin());
}

class RunnerUp : public testing::TestWithParam<TestedBackend> {
 protected:
  Threads threads_{1};
  std::unique_ptr<Ops> ops_ = GetParam().make(threads_);

  Answer answer(const std::vector<float>& row, const Ask& ask,
                const std::vector<LogitChange>& changes) {
    const DType type = ops_->activation();
    const auto size = static_cast<int64_t>(row.size());
    Grid host(type, 1, size);
    for (int64_t c = 0; c < size; ++c) set_element(host, 0, c, row[static_cast<size_t>(c)]);
    const auto memory = ops_->allocate(host->bytes());
    const Matrix logits(memory->data, type, 1, size);
    ops_->write(host, logits);
    Asks asks;
    const ChangeRange range = asks.add_changes(changes);
    asks[asks.add(ask)].changes = range;
    Answer answer;
    ops_->read_logits(logits, asks, {&answer, 1});
    return answer;
  }
};

TEST_P(RunnerUp, IsTheNextOfTheChoiceAsItWasMade) {
  Rng rng(20261124);
  int with_ties = 0, alone = 0;
  for (int round = 0; round < 3000; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    const bool ties = rng.below(2) == 0;
    std::vector<float> row(static_cast<size_t>(1 + rng.below(rng.below(4) == 0 ? 300 : 20)));
    for (float& logit : row) logit = ties ? static_cast<float>(rng.below(4)) : 3 * rng.normal();
    std::vector<LogitChange> changes;
    std::vector<double> changed(row.begin(), row.end());
    for (size_t token = 0; token < row.size(); ++token) {
      if (rng.below(3) != 0) continue;
      const float add = rng.below(2) == 0 ? -std::numeric_limits<float>::infinity()
                                          : static_cast<float>(rng.below(5) - 2);
      changes.push_back({.token = static_cast<int32_t>(token), .add = add});
      changed[token] += double{add};
    }
    Ask ask{.draw = rng.bits(), .runner_up = true};
    if (rng.below(2) == 0) {
      ask.sampling = {.temperature = 0.5f + rng.uniform(), .seed = rng.bits()};
      if (rng.below(3) == 0) ask.sampling.top_k = 1 + rng.below(5);
      if (rng.below(3) == 0) ask.sampling.top_p = 0.1f + 0.9f * rng.uniform();
      if (rng.below(3) == 0) ask.sampling.min_p = 0.5f * rng.uniform();
    }
    std::vector<double> standing = standings(changed, ask);
    const int32_t first = best_of(standing);
    if (first >= 0) standing[static_cast<size_t>(first)] = kNothing;
    const int32_t second = first < 0 ? -1 : best_of(standing);

    const Answer found = answer(row, ask, changes);
    ASSERT_EQ(found.token, first);
    ASSERT_EQ(found.runner_up.token, second);
    alone += first >= 0 && second < 0;
    if (second < 0) continue;
    with_ties += changed[static_cast<size_t>(first)] == changed[static_cast<size_t>(second)];
    const Ask score{.kind = AskKind::score, .token = second};
    EXPECT_EQ(found.runner_up.logprob, answer(row, score, {}).logprob);

    Ask plain = ask;
    plain.runner_up = false;
    const Answer without = answer(row, plain, changes);
    EXPECT_EQ(without.token, found.token);
    EXPECT_EQ(without.policy_logprob, found.policy_logprob);
    EXPECT_EQ(without.runner_up.token, -1);
  }
  EXPECT_GT(with_ties, 100);
  EXPECT_GT(alone, 100);
}

INSTANTIATE_TEST_SUITE_P(Backends, RunnerUp, testing::ValuesIn(tested_backends()), name_of_backend);

}  // namespace
}  // namespace tidar
