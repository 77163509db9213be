#include "ops/cuda/logit_answers.h"

#include <cmath>
#include <limits>

#include "ops/candidates.h"

namespace tidar::cuda {

bool is_answered_by_facts(const Ask& ask) {
  const auto size = [](const ChangeRange& range) { return range.to - range.from; };
  return ask.kind != AskKind::logits && ask.sampling.greedy() && ask.allowed < 0 && ask.top == 0 &&
         size(ask.changes) + size(ask.own_changes) <= kMostChanges;
}

LogitQuestions questions_of(const Asks& asks) {
  LogitQuestions all;
  for (const Ask& ask : asks) {
    LogitQuestion question = {.row = ask.row,
                              .other_row = ask.other_row,
                              .trust = ask.trust,
                              .token = ask.kind == AskKind::score ? ask.token : -1};
    if (is_answered_by_facts(ask)) {
      question.first_change = static_cast<int32_t>(all.changes.size());
      for_each_change(ask, asks.changes(),
                      [&](const LogitChange& change) { all.changes.push_back(change); });
      question.changes = static_cast<int32_t>(all.changes.size()) - question.first_change;
    }
    all.questions.push_back(question);
  }
  return all;
}

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool is_distribution(const LogitFacts& facts) {
  return facts.is_odd == 0 && facts.largest > -kInfinity;
}

float logprob_of(const LogitFacts& facts, float logit) {
  return static_cast<float>(static_cast<double>(logit) - static_cast<double>(facts.largest) -
                            std::log(facts.sum));
}

float entropy_of(const LogitFacts& facts) {
  return static_cast<float>(std::log(facts.sum) - facts.weighted / facts.sum);
}

// In the arithmetic of the kernel.
float mixed(Matrix logits, const Ask& ask, int32_t token) {
  const float own = logits.row<float>(ask.row)[token];
  if (ask.other_row < 0) return own;
  return ask.trust * own + (1 - ask.trust) * logits.row<float>(ask.other_row)[token];
}

}  // namespace

Answer answer_by(const LogitFacts& facts, const Ask& ask) {
  if (!is_distribution(facts)) return no_answer(ask);
  const bool scores = ask.kind == AskKind::score;
  const auto is_possible = [](const BestLogit& best) {
    return best.token >= 0 && best.changed > -kInfinity;
  };
  const bool chooses = facts.choice_is_odd == 0 && is_possible(facts.first);
  Answer answer;
  answer.entropy = entropy_of(facts);
  answer.token = scores ? ask.token : chooses ? facts.first.token : -1;
  if (answer.token >= 0)
    answer.logprob = logprob_of(facts, scores ? facts.scored : facts.first.logit);
  answer.policy_logprob = greedy_logprob(chooses ? facts.first.token : -1, answer.token);
  if (!scores && chooses && ask.runner_up && is_possible(facts.second)) {
    answer.runner_up = {.token = facts.second.token,
                        .logprob = logprob_of(facts, facts.second.logit)};
  }
  return answer;
}

void retell_by(const LogitFacts& facts, const Ask& ask, Matrix logits, Answer& answer) {
  if (ask.kind == AskKind::logits || !is_distribution(facts)) return;
  const auto logprob = [&](int32_t token) { return logprob_of(facts, mixed(logits, ask, token)); };
  if (answer.token >= 0) answer.logprob = logprob(answer.token);
  if (answer.runner_up.token >= 0) answer.runner_up.logprob = logprob(answer.runner_up.token);
  for (ListedToken& listed : answer.top) listed.logprob = logprob(listed.token);
  answer.entropy = entropy_of(facts);
}

}  // namespace tidar::cuda
