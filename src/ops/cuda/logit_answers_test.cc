// Answers from facts against the reference's, on rows that are worked on in several parts.

#include "ops/cuda/logit_answers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "ops/cuda/host/queue.h"
#include "ops/ref/ref_ops.h"

namespace tidar::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Rows {
  Rows(Rng& rng, int64_t rows_, int64_t vocabulary_) : rows(rows_), vocabulary(vocabulary_) {
    for (int64_t i = 0; i < rows * vocabulary; ++i) logits.push_back(5 * rng.normal());
  }
  float& at(int64_t row, int64_t token) {
    return logits[static_cast<size_t>(row * vocabulary + token)];
  }
  Matrix matrix() {
    return {reinterpret_cast<std::byte*>(logits.data()), DType::f32, rows, vocabulary};
  }
  std::vector<LogitFacts> facts_of(const Asks& asks) {
    const LogitQuestions asked = questions_of(asks);
    const auto count = static_cast<int64_t>(asks.size());
    std::vector<LogitFacts> parts(static_cast<size_t>(count * logit_parts(vocabulary)));
    std::vector<LogitFacts> facts(asks.size());
    host::Queue queue(7);
    find_facts({&queue}, {logits.data(), Element::f32, rows, vocabulary, vocabulary},
               asked.questions.data(), count, asked.changes.data(), parts.data(), facts.data());
    queue.catch_up();
    return facts;
  }
  std::vector<Answer> by_facts(const Asks& asks) {
    const std::vector<LogitFacts> facts = facts_of(asks);
    std::vector<Answer> answers;
    for (size_t i = 0; i < asks.size(); ++i) answers.push_back(answer_by(facts[i], asks[i]));
    return answers;
  }
  std::vector<Answer> by_reference(const Asks& asks) {
    std::vector<Answer> answers(asks.size());
    make_ref_ops(DType::f32)->read_logits(matrix(), asks, answers);
    return answers;
  }
  int64_t rows, vocabulary;
  std::vector<float> logits;
};

void expect_near(float found, float expected) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(found));
  } else if (std::isinf(expected)) {
    EXPECT_EQ(found, expected);
  } else {
    EXPECT_NEAR(found, expected, 2e-6 * (1 + std::abs(expected)));
  }
}

// What is most probable in row 0 is forbidden, and so on; with one token nothing is left.
std::vector<LogitChange> some_changes(Rng& rng, Rows& rows) {
  std::vector<LogitChange> changes;
  const auto best = static_cast<int32_t>(
      std::max_element(rows.logits.begin(), rows.logits.begin() + rows.vocabulary) -
      rows.logits.begin());
  changes.push_back({.token = best, .add = -kInfinity});
  for (int i = 0; i < 5; ++i) {
    const int32_t token = rng.below(static_cast<int>(rows.vocabulary));
    const bool is_new = std::none_of(changes.begin(), changes.end(),
                                     [&](const LogitChange& one) { return one.token == token; });
    if (is_new) changes.push_back({.token = token, .scale = 1.5f, .add = 2 * rng.normal()});
  }
  return changes;
}

TEST(LogitAnswers, AreTheReferences) {
  Rng rng(1);
  for (const int vocabulary : {1, 2, 300, 4096, 4097, 9001}) {
    Rows rows(rng, 5, vocabulary);
    rows.at(1, rng.below(vocabulary)) = kInfinity;
    for (int i = 0; i < vocabulary; ++i) rows.at(2, i) = rng.below(3) == 0 ? -kInfinity : 1.0f;
    for (int i = 0; i < vocabulary; ++i) rows.at(3, i) = -kInfinity;
    rows.at(4, vocabulary - 1) = rng.below(2) == 0 ? std::nanf("") : 30.0f;
    Asks asks;
    const ChangeRange all = asks.add_changes(some_changes(rng, rows));
    const ChangeRange own =
        asks.add_changes(std::array{LogitChange{.token = 0, .scale = 2, .add = 1}});
    const ChangeRange odd =
        asks.add_changes(std::array{LogitChange{.token = vocabulary - 1, .add = kInfinity}});
    for (int32_t row = 0; row < 5; ++row) {
      asks.add({.row = row, .runner_up = true});
      asks.add({.row = row, .changes = odd, .runner_up = true});
      asks.add({.kind = AskKind::score, .row = row, .token = 0, .changes = odd});
      asks.add({.row = row, .changes = all, .runner_up = true});
      asks.add({.row = row, .changes = all, .own_changes = own, .runner_up = true});
      asks.add({.row = row, .other_row = 0, .trust = 0.25f, .changes = all, .runner_up = true});
      asks.add({.kind = AskKind::score, .row = row, .token = rng.below(vocabulary)});
      asks.add({.kind = AskKind::score, .row = row, .token = 0, .changes = all});
    }
    for (const Ask& ask : asks) ASSERT_TRUE(is_answered_by_facts(ask));
    const std::vector<Answer> found = rows.by_facts(asks), expected = rows.by_reference(asks);
    for (size_t i = 0; i < asks.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "ask " << i << " of " << vocabulary << " tokens");
      EXPECT_EQ(found[i].token, expected[i].token);
      EXPECT_EQ(found[i].runner_up.token, expected[i].runner_up.token);
      expect_near(found[i].logprob, expected[i].logprob);
      expect_near(found[i].policy_logprob, expected[i].policy_logprob);
      expect_near(found[i].runner_up.logprob, expected[i].runner_up.logprob);
      expect_near(found[i].entropy, expected[i].entropy);
    }
  }
}

// Whoever chose: what is said of the same token is the same, to the bit.
TEST(LogitAnswers, SayTheSameOfTokensThatOthersChose) {
  Rng rng(2);
  constexpr int kVocabulary = 5000;
  Rows rows(rng, 2, kVocabulary);
  rows.at(1, 17) = kInfinity;
  Asks asks;
  for (const int32_t row : {0, 1}) {
    asks.add({.row = row, .runner_up = true});
    asks.add({.row = row, .other_row = 0, .trust = 0.25f, .runner_up = true});
    asks.add({.kind = AskKind::score, .row = row, .token = rng.below(kVocabulary)});
  }
  const std::vector<Answer> expected = rows.by_facts(asks);
  Asks listing = asks;
  for (Ask& ask : listing) ask.top = 3;
  std::vector<Answer> found = rows.by_reference(listing);
  const std::vector<LogitFacts> facts = rows.facts_of(listing);
  for (size_t i = 0; i < asks.size(); ++i) {
    // As if the other had been far off.
    found[i].logprob = found[i].entropy = 7;
    if (found[i].runner_up.token >= 0) found[i].runner_up.logprob = 7;
    for (ListedToken& listed : found[i].top) listed.logprob = 7;
    retell_by(facts[i], listing[i], rows.matrix(), found[i]);
    EXPECT_EQ(found[i].token, expected[i].token);
    if (std::isnan(expected[i].logprob)) continue;
    EXPECT_EQ(found[i].logprob, expected[i].logprob);
    EXPECT_EQ(found[i].runner_up.logprob, expected[i].runner_up.logprob);
    EXPECT_EQ(found[i].entropy, expected[i].entropy);
    ASSERT_EQ(found[i].top.size(), 3u);
    if (asks[i].kind == AskKind::choose) {
      EXPECT_EQ(found[i].top[0].logprob, expected[i].logprob);
      EXPECT_EQ(found[i].top[1].logprob, expected[i].runner_up.logprob);
    }
  }
}

TEST(LogitAnswers, NeedTheLogitsThemselvesWhereFactsSayTooLittle) {
  EXPECT_TRUE(is_answered_by_facts({}));
  EXPECT_FALSE(is_answered_by_facts({.kind = AskKind::logits}));
  EXPECT_FALSE(is_answered_by_facts({.sampling = {.temperature = 1}}));
  EXPECT_TRUE(is_answered_by_facts({.changes = {0, kMostChanges}}));
  EXPECT_FALSE(is_answered_by_facts({.changes = {0, kMostChanges}, .own_changes = {20, 21}}));
  EXPECT_FALSE(is_answered_by_facts({.allowed = 0}));
  EXPECT_FALSE(is_answered_by_facts({.top = 1}));
}

}  // namespace
}  // namespace tidar::cuda
