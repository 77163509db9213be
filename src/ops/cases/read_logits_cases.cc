// Cases of read_logits: one ask a row, of every kind.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "ops/cases/inputs.h"

namespace tidar {
namespace {

struct Question {
  Ask ask;  // rows and changes are filled when it is loaded
  bool mixed = false;
  std::vector<LogitChange> changes, own_changes;
  std::shared_ptr<const TokenSet> allowed{};
};

class ReadLogits final : public PreparedCase {
 public:
  ReadLogits(Ops& ops, const ReadLogitsShape& shape, uint64_t seed)
      : ops_(ops),
        vocabulary_(shape.vocabulary),
        rng_(seed),
        logits_(ops, rng_, ops.activation(), 2 * shape.asks, shape.vocabulary) {
    for (int i = 0; i < shape.asks; ++i) {
      questions_.push_back(random_question());
      for (const int row : {2 * i, 2 * i + 1}) {
        logits_.scale_row(row, 3);
        if (i % 3 == 0) make_ties(row);
      }
    }
  }

  // Task i reads rows 2 i and 2 i + 1 of what is loaded.
  void load(std::span<const int32_t> rows) override {
    std::vector<int32_t> pairs;
    asks_.clear();
    for (const int32_t row : rows) {
      const Question& question = questions_[static_cast<size_t>(row)];
      Ask ask = question.ask;
      ask.row = static_cast<int32_t>(pairs.size());
      ask.other_row = question.mixed ? ask.row + 1 : -1;
      ask.changes = asks_.add_changes(question.changes);
      ask.own_changes = asks_.add_changes(question.own_changes);
      ask.allowed = asks_.add_allowed(question.allowed);
      asks_.add(ask);
      pairs.push_back(2 * row);
      pairs.push_back(2 * row + 1);
    }
    logits_.load(pairs);
    answers_.assign(asks_.size(), {});
  }

  void run() override { ops_.read_logits(logits_.view(), asks_, answers_); }

  Rows results() const override {
    Rows rows;
    for (const Answer& answer : answers_) {
      std::vector<double> row = {static_cast<double>(answer.token),
                                 answer.logprob,
                                 answer.policy_logprob,
                                 answer.entropy,
                                 static_cast<double>(answer.runner_up.token),
                                 answer.runner_up.logprob};
      for (const ListedToken& entry : answer.top) {
        row.push_back(entry.token);
        row.push_back(entry.logprob);
      }
      row.insert(row.end(), answer.logits.begin(), answer.logits.end());
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  Question random_question() {
    Question question;
    question.mixed = rng_.below(3) == 0;
    question.ask.trust = static_cast<float>(rng_.below(5)) / 4;
    question.ask.top = rng_.below(2) * rng_.below(8);
    question.ask.runner_up = rng_.below(2) == 0;
    if (rng_.below(8) == 0) {
      question.ask.kind = AskKind::logits;
      question.mixed = false;
      return question;
    }
    if (rng_.below(4) == 0) {
      question.ask.kind = AskKind::score;
      question.ask.token = rng_.below(vocabulary_);
    }
    Sampling& sampling = question.ask.sampling;
    if (rng_.below(6) == 0) {
      sampling.temperature = 1e-40f;  // 1 over it is infinite
    } else if (rng_.below(3) != 0) {
      sampling.temperature = 0.3f + rng_.uniform() * 1.5f;
      if (rng_.below(2) == 0) sampling.top_k = 1 + rng_.below(vocabulary_ + 1);
      if (rng_.below(2) == 0) sampling.top_p = rng_.uniform();
      if (rng_.below(2) == 0) sampling.min_p = rng_.uniform() * 0.3f;
    }
    sampling.seed = (uint64_t{rng_.bits()} << 32) | rng_.bits();
    question.ask.draw = rng_.bits();
    if (rng_.below(2) == 0) question.changes = random_changes();
    if (rng_.below(3) == 0) question.own_changes = random_changes();
    if (rng_.below(3) == 0) question.allowed = random_allowed(question);
    return question;
  }

  // Distinct tokens, some of them forbidden; never all tokens.
  std::vector<LogitChange> random_changes() {
    std::vector<LogitChange> changes;
    const int step = 2 + rng_.below(3);
    for (int token = rng_.below(step); token < vocabulary_; token += step) {
      if (rng_.below(2) == 0) continue;
      const bool forbidden = rng_.below(3) == 0;
      changes.push_back({token, 0.8f + rng_.uniform() * 0.5f,
                         forbidden ? -std::numeric_limits<float>::infinity() : rng_.normal()});
    }
    return changes;
  }

  // Few or many tokens, and not all of them forbidden. Sets may be shorter than the vocabulary.
  std::shared_ptr<const TokenSet> random_allowed(const Question& question) {
    auto allowed = std::make_shared<TokenSet>(1 + rng_.below(vocabulary_));
    const int rarity = 1 + rng_.below(1 + rng_.below(16));
    std::vector<bool> possible(static_cast<size_t>(vocabulary_), true);
    for (const auto* const changes : {&question.changes, &question.own_changes})
      for (const LogitChange& change : *changes)
        if (std::isinf(change.add)) possible[static_cast<size_t>(change.token)] = false;
    bool any = false;
    for (int32_t token = 0; token < allowed->limit(); ++token) {
      if (rng_.below(rarity) != 0) continue;
      allowed->insert(token);
      any = any || possible[static_cast<size_t>(token)];
    }
    return any ? allowed : nullptr;
  }

  // Multiples of 1/2, none above 4: many equal logits, the largest among them, so that the order of
  // ties shows.
  void make_ties(int row) {
    const Matrix all = logits_.all();
    for (int64_t c = 0; c < all.cols; ++c) {
      set_element(all, row, c, std::min(4.0, std::round(2 * element(all, row, c)) / 2));
    }
  }

  Ops& ops_;
  int vocabulary_;
  Rng rng_;
  Input logits_;
  std::vector<Question> questions_;
  Asks asks_;
  std::vector<Answer> answers_;
};

}  // namespace

Case make_case(const ReadLogitsShape& shape, uint64_t seed) {
  return case_of<ReadLogits>(Verb::read_logits,
                             fmt::format("read_logits {} asks V {}", shape.asks, shape.vocabulary),
                             shape.asks, shape, seed);
}

}  // namespace tidar
