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

// The largest finite magnitude among the logits that a ask compares, changes included.
double largest_size(Matrix logits, const Ask& ask) {
  double size = 0;
  const auto look_at = [&](int32_t row) {
    for (int64_t c = 0; c < logits.cols; ++c) {
      const double magnitude = std::abs(element(logits, row, c));
      if (std::isfinite(magnitude)) size = std::max(size, magnitude);
    }
  };
  look_at(ask.row);
  if (ask.other_row >= 0) look_at(ask.other_row);
  return size;
}

double changed_size(double size, const Ask& ask, const Asks& asks) {
  double largest = size;
  for_each_change(ask, asks.changes(), [&](const LogitChange& change) {
    const double factor =
        std::max({1.0, std::abs(1.0 / change.scale), std::abs(1.0 * change.scale)});
    const double add = std::isfinite(change.add) ? std::abs(change.add) : 0;
    largest = std::max(largest, size * factor + add);
  });
  return largest;
}

// The answer to an ask that refers to what those of `asks` do.
Answer answer_of(Ops& ops, Matrix logits, const Ask& ask, const Asks& asks) {
  Asks one;
  one.begin_part_of(asks);
  one.add(ask);
  Answer answer;
  ops.read_logits(logits, one, {&answer, 1});
  return answer;
}

// The answer with the logit of `up` raised and that of `down` lowered by `distance`.
Answer nudged_answer(Ops& ops, Matrix logits, Ask ask, Asks asks, int32_t up, int32_t down,
                     double distance) {
  std::vector<LogitChange> changes;
  for_each_change(ask, asks.changes(),
                  [&](const LogitChange& change) { changes.push_back(change); });
  const auto nudge = [&](int32_t token, double by) {
    auto found = std::find_if(changes.begin(), changes.end(),
                              [&](const LogitChange& change) { return change.token == token; });
    if (found == changes.end()) found = changes.insert(changes.end(), {token, 1, 0});
    found->add += static_cast<float>(by);
  };
  nudge(up, distance);
  nudge(down, -distance);
  ask.changes = asks.add_changes(changes);
  ask.own_changes = {};
  return answer_of(ops, logits, ask, asks);
}

// The probabilities that the policy may give `token`. Rounding can move a token over the border of
// a cut: so also those under cuts that are moved by `share`, the relative error of a probability.
std::vector<double> policy_logprobs(Ops& ops, Matrix logits, Ask ask, const Asks& asks,
                                    int32_t token, double share) {
  ask.kind = AskKind::score;
  ask.token = token;
  ask.top = 0;
  const Sampling sampling = ask.sampling;
  std::vector<double> logprobs;
  for (const double looser : {0.0, -share, share}) {
    if (sampling.top_p < 1)
      ask.sampling.top_p = static_cast<float>(double{sampling.top_p} * (1 + looser));
    ask.sampling.min_p = static_cast<float>(double{sampling.min_p} * (1 - looser));
    logprobs.push_back(answer_of(ops, logits, ask, asks).policy_logprob);
  }
  return logprobs;
}

double nearest(std::span<const double> values, double value) {
  double best = values[0];
  for (const double other : values)
    if (other == value || std::abs(other - value) < std::abs(best - value)) best = other;
  return best;
}

}  // namespace

void CheckedOps::check_answer(Matrix truth_logits, const Ask& ask, const Asks& asks,
                              const Answer& tested, const Answer& truth) {
  const double size = largest_size(truth_logits, ask);
  const double allowed = logprob_tolerance(eps_, size, truth_logits.cols);
  const auto true_logprob = [&](int32_t token) -> double {
    Ask score = ask;
    score.kind = AskKind::score;
    score.token = token;
    score.top = 0;
    return answer_of(truth_, truth_logits, score, asks).logprob;
  };
  Difference worst;
  worst.verb = Verb::read_logits;
  const auto differs = [&](double found, double expected, double distance, std::string what) {
    consider(worst, {Verb::read_logits, ask.row, 0, found, expected, distance, std::move(what)});
  };

  if (ask.kind == AskKind::logits) {
    differs(static_cast<double>(tested.logits.size()), static_cast<double>(truth.logits.size()), 0,
            "length of logits");
    for (size_t i = 0; i < std::min(tested.logits.size(), truth.logits.size()); ++i)
      differs(tested.logits[i], truth.logits[i], 0, fmt::format("logit {}", i));
    return finish(worst);
  }

  const bool is_token = tested.token >= 0 && tested.token < truth_logits.cols;
  if (!is_token)
    return finish(
        {Verb::read_logits, ask.row, 0, double(tested.token), double(truth.token), 0, "token"});
  const bool is_exact = ask.other_row < 0;
  const double temperature = ask.sampling.temperature;
  const double size_changed = changed_size(size, ask, asks);
  const double nudge = choice_tolerance(eps_, size_changed, temperature);
  const bool is_compared_only =
      is_exact && ask.sampling.greedy() && ask.changes.empty() && ask.own_changes.empty();
  const bool may_tie = ask.kind == AskKind::choose && !is_compared_only;
  const auto nudged = [&](int32_t up, int32_t down) {
    return nudged_answer(truth_, truth_logits, ask, asks, up, down, nudge);
  };
  if (tested.token != truth.token) {
    const bool is_tied = may_tie && nudged(tested.token, truth.token).token == tested.token;
    if (!is_tied) differs(tested.token, truth.token, 0, "token");
  }
  differs(tested.logprob, true_logprob(tested.token), allowed, "logprob");

  if (ask.sampling.greedy()) {
    const bool chosen = ask.kind == AskKind::choose;
    differs(tested.policy_logprob, chosen ? 0 : truth.policy_logprob, 0, "policy logprob");
  } else {
    const auto possible =
        policy_logprobs(truth_, truth_logits, ask, asks, tested.token, 2 * nudge / temperature);
    differs(tested.policy_logprob, nearest(possible, tested.policy_logprob),
            logprob_tolerance(eps_, size_changed / temperature, truth_logits.cols) +
                nudge / temperature,
            "policy logprob");
  }

  if (tested.runner_up.token != truth.runner_up.token) {
    // Either the tokens that were chosen are as good as tied, or those beside them.
    const auto last = [](const Answer& answer) {
      return answer.runner_up.token >= 0 ? answer.runner_up.token : answer.token;
    };
    const auto explained_by = [&](int32_t up, int32_t down) {
      return nudged(up, down).runner_up.token == tested.runner_up.token;
    };
    const bool is_tied = may_tie && (explained_by(tested.token, truth.token) ||
                                     explained_by(last(tested), last(truth)));
    if (!is_tied) differs(tested.runner_up.token, truth.runner_up.token, 0, "runner-up");
  }
  if (tested.runner_up.token >= 0)
    differs(tested.runner_up.logprob, true_logprob(tested.runner_up.token), allowed,
            "logprob of the runner-up");

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

void CheckedOps::read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) {
  const Grid truth_logits = exact(logits);
  std::vector<Answer> truth(asks.size());
  truth_.read_logits(truth_logits, asks, truth);
  tested_.read_logits(logits, asks, answers);
  for (size_t i = 0; i < asks.size(); ++i) {
    check_answer(truth_logits, asks[i], asks, answers[i], truth[i]);
  }
}

}  // namespace tidar
