// The part of CheckedOps that compares answers. A token may differ from the truth's where the two
// are as good as tied: where moving the two logits by their rounding error makes the truth choose
// the tested token. So a wrong choice is caught at any temperature and under any cut. Logits that
// are only compared, not computed with, leave no room: there, order and ties must be exact.

#include <algorithm>
#include <cmath>

#include "ops/candidates.h"
#include "ops/wrap/checked_ops.h"
#include "ops/wrap/grid.h"
#include "ops/wrap/tolerance.h"

namespace tidar {

namespace {

// The largest finite magnitude among the logits that a task compares, changes included.
double largest_size(Matrix logits, const LogitTask& task) {
  double size = 0;
  const auto look_at = [&](int32_t row) {
    for (int64_t c = 0; c < logits.cols; ++c) {
      const double magnitude = std::abs(element(logits, row, c));
      if (std::isfinite(magnitude)) size = std::max(size, magnitude);
    }
  };
  look_at(task.row);
  if (task.other_row >= 0) look_at(task.other_row);
  return size;
}

double changed_size(double size, const LogitTask& task) {
  double largest = size;
  for_each_change(task, [&](const LogitChange& change) {
    const double factor =
        std::max({1.0, std::abs(1.0 / change.scale), std::abs(1.0 * change.scale)});
    const double add = std::isfinite(change.add) ? std::abs(change.add) : 0;
    largest = std::max(largest, size * factor + add);
  });
  return largest;
}

// The task with the logit of `up` raised and that of `down` lowered by `distance`.
struct NudgedTask {
  std::vector<LogitChange> changes;
  LogitTask task;

  NudgedTask(const LogitTask& original, int32_t up, int32_t down, double distance)
      : task(original) {
    for_each_change(original, [&](const LogitChange& change) { changes.push_back(change); });
    nudge(up, distance);
    nudge(down, -distance);
    task.changes = changes;
    task.own_changes = {};
  }

  void nudge(int32_t token, double distance) {
    auto found = std::find_if(changes.begin(), changes.end(),
                              [&](const LogitChange& change) { return change.token == token; });
    if (found == changes.end()) found = changes.insert(changes.end(), {token, 1, 0});
    found->add += static_cast<float>(distance);
  }
};

LogitAnswer answer_of(Ops& ops, Matrix logits, const LogitTask& task) {
  LogitAnswer answer;
  ops.read_logits(logits, {&task, 1}, {&answer, 1});
  return answer;
}

}  // namespace

void CheckedOps::check_answer(Matrix truth_logits, const LogitTask& task, const LogitAnswer& tested,
                              const LogitAnswer& truth) {
  const double size = largest_size(truth_logits, task);
  const double allowed = logprob_tolerance(eps_, size, truth_logits.cols);
  const auto true_logprob = [&](int32_t token) -> double {
    LogitTask score = task;
    score.token = token;
    score.top = 0;
    return answer_of(truth_, truth_logits, score).logprob;
  };
  Difference worst;
  worst.verb = Verb::read_logits;
  const auto differs = [&](double found, double expected, double distance, std::string what) {
    consider(worst, {Verb::read_logits, task.row, 0, found, expected, distance, std::move(what)});
  };

  const bool is_token = tested.token >= 0 && tested.token < truth_logits.cols;
  if (!is_token)
    return finish(
        {Verb::read_logits, task.row, 0, double(tested.token), double(truth.token), 0, "token"});
  const bool is_exact = task.other_row < 0;
  if (tested.token != truth.token) {
    const bool is_compared_only =
        is_exact && task.sampling.greedy() && task.changes.empty() && task.own_changes.empty();
    const double nudge =
        choice_tolerance(eps_, changed_size(size, task), task.sampling.temperature);
    const NudgedTask nudged(task, tested.token, truth.token, nudge);
    const bool is_tied = task.token < 0 && !is_compared_only &&
                         answer_of(truth_, truth_logits, nudged.task).token == tested.token;
    if (!is_tied) differs(tested.token, truth.token, 0, "token");
  }
  differs(tested.logprob, true_logprob(tested.token), allowed, "logprob");

  // Each logarithm is off by `allowed` at most, and each probability by that share of itself.
  differs(tested.entropy, truth.entropy, allowed * (1 + truth.entropy), "entropy");

  differs(static_cast<double>(tested.top.size()), static_cast<double>(truth.top.size()), 0,
          "length of top");
  for (size_t i = 0; i < std::min(tested.top.size(), truth.top.size()); ++i) {
    const std::string what = fmt::format("top {}", i);
    differs(tested.top[i].logprob, truth.top[i].logprob, allowed, what);
    if (tested.top[i].token == truth.top[i].token) continue;
    if (is_exact) differs(tested.top[i].token, truth.top[i].token, 0, what + " token");
    differs(true_logprob(tested.top[i].token), truth.top[i].logprob, allowed, what + " token");
  }
  finish(worst);
}

void CheckedOps::read_logits(Matrix logits, std::span<const LogitTask> tasks,
                             std::span<LogitAnswer> answers) {
  const Grid truth_logits = Grid::copy(logits, truth_.activation());
  std::vector<LogitAnswer> truth(tasks.size());
  truth_.read_logits(truth_logits, tasks, truth);
  tested_.read_logits(logits, tasks, answers);
  for (size_t i = 0; i < tasks.size(); ++i) {
    check_answer(truth_logits, tasks[i], answers[i], truth[i]);
  }
}

}  // namespace tidar
