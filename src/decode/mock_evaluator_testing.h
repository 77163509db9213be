#pragma once
// For tests of decoders: an evaluator without a network. Its "language model" is a hash of exactly
// what a row sees, in two layers like a network's, so that a wrong sight, slot, position or token
// anywhere changes what is chosen, and so does a key that was computed seeing the wrong things.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "plan/evaluator.h"

namespace tidar {

/// What the mock keeps of a row: its key in the first layer and in the second.
struct MockKey {
  uint64_t first = 0;
  uint64_t second = 0;
  friend bool operator==(const MockKey&, const MockKey&) = default;
};

/// The arithmetic of the mock. Sums of keys are sums of integers: their order does not matter.
struct MockModel {
  uint64_t seed = 0;
  int vocabulary = 11;
  int32_t mask_token = 10;
  /// Share of the logits that depends on the predicted position alone. There, both readings agree:
  /// 0 makes a mask's guess worthless, 1 makes it perfect.
  double agreement = 0.5;

  // The finalizer of SplitMix64 (Steele, Lea and Flood, 2014), twice.
  static uint64_t hash(uint64_t a, uint64_t b) { return mixed(mixed(a) + b); }
  static uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  static double in_unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

  uint64_t first(int32_t token, int32_t position) const {
    return hash(seed, static_cast<uint64_t>(token) << 32 | static_cast<uint64_t>(position));
  }

  /// The logits of a row with the last state `state`.
  std::vector<float> logits(uint64_t state, int32_t token, int32_t position) const {
    const auto predicted = static_cast<uint64_t>(token == mask_token ? position : position + 1);
    const uint64_t place = hash(~seed, predicted);
    std::vector<float> row;
    for (uint64_t v = 0; v < static_cast<uint64_t>(vocabulary); ++v) {
      const double own = in_unit(hash(state, v));
      const double common = in_unit(hash(place, v));
      row.push_back(static_cast<float>(5 * ((1 - agreement) * own + agreement * common)));
    }
    return row;
  }
};

/// From one whose masks guess worthlessly to one whose masks are nearly always right.
inline MockModel random_model(Rng& rng) {
  return {.seed = rng.bits(),
          .agreement = std::array{0.0, 0.5, 0.8, 0.95}[static_cast<size_t>(rng.below(4))]};
}

/// The logits of rows without a cache, by a boolean matrix: allowed[r][k] is '1' where r sees k.
inline std::vector<std::vector<float>> dense_logits(const MockModel& model,
                                                    const std::vector<int32_t>& tokens,
                                                    const std::vector<int32_t>& positions,
                                                    const std::vector<std::string>& allowed) {
  const size_t rows = tokens.size();
  std::vector<uint64_t> state(rows);
  for (size_t r = 0; r < rows; ++r) state[r] = model.first(tokens[r], positions[r]);
  for (int layer = 0; layer < 2; ++layer) {
    std::vector<uint64_t> next(rows);
    for (size_t r = 0; r < rows; ++r) {
      uint64_t sum = 0;
      for (size_t k = 0; k < rows; ++k)
        if (allowed[r][k] == '1') sum += state[k];
      next[r] = MockModel::hash(state[r], sum);
    }
    state = next;
  }
  std::vector<std::vector<float>> logits;
  for (size_t r = 0; r < rows; ++r)
    logits.push_back(model.logits(state[r], tokens[r], positions[r]));
  return logits;
}

/// The distribution that a token is drawn from (base/sampling.h); greedy: 1 for the one token.
/// Empty where every token is forbidden.
inline std::vector<double> mock_distribution(std::vector<double> logits, const Ask& ask,
                                             std::span<const LogitChange> pool,
                                             const TokenSet* allowed = nullptr) {
  const auto change = [&](const LogitChange& c) {
    double& logit = logits[static_cast<size_t>(c.token)];
    logit = (logit > 0 ? logit / c.scale : logit * c.scale) + c.add;
  };
  const auto all_own = ask.own_changes.of(pool);
  for (const LogitChange& c : ask.changes.of(pool)) {
    const auto replaces = [&](const LogitChange& own) { return own.token == c.token; };
    if (std::none_of(all_own.begin(), all_own.end(), replaces)) change(c);
  }
  for (const LogitChange& c : all_own) change(c);
  for (size_t v = 0; v < logits.size(); ++v)
    if (allowed != nullptr && !allowed->contains(static_cast<int32_t>(v)))
      logits[v] = -std::numeric_limits<double>::infinity();

  std::vector<size_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (!std::isfinite(logits[order[0]])) return {};
  const Sampling& how = ask.sampling;
  std::vector<double> p(logits.size(), 0);
  if (how.greedy()) {
    p[order[0]] = 1;
    return p;
  }
  const size_t kept =
      how.top_k > 0 ? std::min<size_t>(order.size(), static_cast<size_t>(how.top_k)) : order.size();
  const auto weight = [&](size_t i) {
    return std::exp((logits[order[i]] - logits[order[0]]) / how.temperature);
  };
  double all = 0;
  for (size_t i = 0; i < kept; ++i) all += weight(i);
  double sum = 0, final_sum = 0;
  for (size_t i = 0; i < kept; ++i) {
    if (sum >= how.top_p * all || weight(i) < how.min_p) break;
    sum += weight(i);
    p[order[i]] = weight(i);
    final_sum += weight(i);
  }
  for (double& share : p) share /= final_sum;
  return p;
}

/// The token that an exponential race over `p` chooses (plan/ask.h).
inline int32_t mock_draw(const std::vector<double>& p, uint64_t seed, uint64_t draw) {
  int32_t winner = -1;
  double best = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) continue;
    const uint32_t bits = philox(seed, draw, i / 4)[i % 4];
    const double time = -std::log1p(-(bits + 0.5) * 0x1p-32) / p[i];
    if (time < best) {
      best = time;
      winner = static_cast<int32_t>(i);
    }
  }
  return winner;
}

/// What is chosen where `chosen` cannot be, which was drawn from the distribution `p`; -1: nothing.
inline int32_t mock_runner_up(std::vector<double> logits, std::vector<double> p, int32_t chosen,
                              const Ask& ask, std::span<const LogitChange> pool,
                              const TokenSet* allowed) {
  if (ask.sampling.greedy()) {
    logits[static_cast<size_t>(chosen)] = -std::numeric_limits<double>::infinity();
    p = mock_distribution(logits, ask, pool, allowed);
  } else {
    p[static_cast<size_t>(chosen)] = 0;
  }
  return mock_draw(p, ask.sampling.seed, ask.draw);
}

/// Answers an Ask, whose changes stand in `pool` and whose set is `allowed`, from the logits of its
/// row, and of its other row if it has one.
inline Answer mock_answer(const Ask& ask, const std::vector<float>& row,
                          const std::vector<float>* other_row,
                          std::span<const LogitChange> pool = {},
                          const TokenSet* allowed = nullptr) {
  std::vector<double> logits(row.begin(), row.end());
  if (other_row != nullptr)
    for (size_t v = 0; v < logits.size(); ++v)
      logits[v] = double{ask.trust} * logits[v] + (1 - double{ask.trust}) * (*other_row)[v];
  Answer answer;
  if (ask.kind == AskKind::logits) {
    answer.logits.assign(logits.begin(), logits.end());
    return answer;
  }
  answer.token = ask.token;
  const auto p = mock_distribution(logits, ask, pool, allowed);
  if (ask.kind == AskKind::choose) {
    if (p.empty()) return answer;
    answer.token = mock_draw(p, ask.sampling.seed, ask.draw);
  }
  answer.policy_logprob = p.empty()
                              ? std::numeric_limits<float>::quiet_NaN()
                              : static_cast<float>(std::log(p[static_cast<size_t>(answer.token)]));
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit);
  const double log_sum = std::log(sum);
  answer.logprob = static_cast<float>(logits[static_cast<size_t>(answer.token)] - log_sum);
  if (ask.kind == AskKind::choose && ask.runner_up) {
    answer.runner_up.token = mock_runner_up(logits, p, answer.token, ask, pool, allowed);
    if (answer.runner_up.token >= 0)
      answer.runner_up.logprob =
          static_cast<float>(logits[static_cast<size_t>(answer.runner_up.token)] - log_sum);
  }
  double entropy = 0;
  for (const double logit : logits) entropy -= std::exp(logit - log_sum) * (logit - log_sum);
  answer.entropy = static_cast<float>(entropy);
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  for (size_t i = 0; i < std::min(order.size(), static_cast<size_t>(ask.top)); ++i)
    answer.top.push_back(
        {static_cast<int32_t>(order[i]), static_cast<float>(logits[order[i]] - log_sum)});
  return answer;
}

/// Carries out passes with a MockModel. Stops the program when a pass breaks a limit, reads or
/// moves a key that no pass has written, or writes a slot twice.
class MockEvaluator final : public Evaluator {
 public:
  MockEvaluator(const MockModel& model, const EvaluatorLimits& limits)
      : model_(model), limits_(limits), slots_(static_cast<size_t>(limits.pages * kPageSlots)) {
    TIDAR_CHECK_EQ(limits.vocabulary, model.vocabulary);
  }

  const EvaluatorLimits& limits() const override { return limits_; }
  const MockModel& model() const { return model_; }
  /// Rows of all passes so far.
  int64_t carried_rows() const { return carried_rows_; }

  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    pass.check();
    TIDAR_CHECK_LE(pass.rows(), limits_.max_rows);
    ++passes_;
    carried_rows_ += pass.rows();
    rows_.assign(static_cast<size_t>(pass.rows()), {});
    scratch_.assign(static_cast<size_t>(pass.rows()), {});
    for (const SlotMove& move : pass.moves) carry_out(move);
    for (const PassSequence& sequence : pass.sequences) write_first(pass, sequence);
    for (const PassSequence& sequence : pass.sequences) run(pass, sequence);
    TIDAR_CHECK_EQ(answers.size(), pass.asks.size());
    answer(pass.asks, answers);
  }

  void answer(const Asks& asks, std::span<Answer> answers) override {
    TIDAR_CHECK_EQ(answers.size(), asks.size());
    for (size_t i = 0; i < asks.size(); ++i) {
      const Ask& ask = asks[i];
      const std::vector<float> logits = logits_of(ask.row);
      if (ask.other_row < 0) {
        answers[i] = mock_answer(ask, logits, nullptr, asks.changes(), asks.allowed(ask));
      } else {
        const std::vector<float> other = logits_of(ask.other_row);
        answers[i] = mock_answer(ask, logits, &other, asks.changes(), asks.allowed(ask));
      }
    }
  }

  /// What the keys [0, keys) of a sequence that holds `pages` are now.
  std::vector<MockKey> keys(std::span<const PageId> pages, int keys) const {
    std::vector<MockKey> found;
    for (int key = 0; key < keys; ++key)
      found.push_back(slots_[static_cast<size_t>(slot_of_key(pages, key))].key);
    return found;
  }

 private:
  struct Held {
    MockKey key;
    int64_t pass = 0;  // that wrote it; 0: none
  };
  struct Row {
    uint64_t state = 0;
    int32_t token = 0;
    int32_t position = 0;
  };

  Held& held(const PassSequence& sequence, int32_t key) {
    if (key < sequence.cached + sequence.stored)
      return slots_.at(static_cast<size_t>(slot_of_key(sequence.pages, key)));
    return scratch_[static_cast<size_t>(sequence.first_row + key - sequence.cached)];
  }

  void carry_out(const SlotMove& move) {
    const Held& source = slots_.at(static_cast<size_t>(move.from));
    TIDAR_CHECK_LT(0, source.pass);
    slots_.at(static_cast<size_t>(move.to)) = source;
  }

  void write_first(const Pass& pass, const PassSequence& sequence) {
    for (int32_t key = sequence.cached; key < sequence.keys(); ++key) {
      const auto row = static_cast<size_t>(sequence.first_row + key - sequence.cached);
      TIDAR_CHECK_LT(pass.positions[row], limits_.max_position);
      TIDAR_CHECK_LT(pass.tokens[row], limits_.vocabulary);
      Held& place = held(sequence, key);
      TIDAR_CHECK_LT(place.pass, passes_);
      place.pass = passes_;
      place.key.first = model_.first(pass.tokens[row], pass.positions[row]);
    }
  }

  uint64_t attend(const PassSequence& sequence, const Sight& sight, uint64_t MockKey::*layer) {
    uint64_t sum = 0;
    for (int32_t key = 0; key < sequence.keys(); ++key) {
      if (!sight.sees(key)) continue;
      const Held& place = held(sequence, key);
      TIDAR_CHECK_LT(0, place.pass);
      sum += place.key.*layer;
    }
    return sum;
  }

  void run(const Pass& pass, const PassSequence& sequence) {
    const auto row_of = [&](int32_t key) {
      return static_cast<size_t>(sequence.first_row + key - sequence.cached);
    };
    for (int32_t key = sequence.cached; key < sequence.keys(); ++key) {
      MockKey& own = held(sequence, key).key;
      const Sight& sight = pass.sights[row_of(key)];
      own.second = MockModel::hash(own.first, attend(sequence, sight, &MockKey::first));
    }
    for (int32_t key = sequence.cached; key < sequence.keys(); ++key) {
      const size_t row = row_of(key);
      const uint64_t state = MockModel::hash(held(sequence, key).key.second,
                                             attend(sequence, pass.sights[row], &MockKey::second));
      rows_[row] = {state, pass.tokens[row], pass.positions[row]};
    }
  }

  std::vector<float> logits_of(int32_t row) const {
    const Row& asked = rows_.at(static_cast<size_t>(row));
    return model_.logits(asked.state, asked.token, asked.position);
  }

  MockModel model_;
  EvaluatorLimits limits_;
  std::vector<Held> slots_, scratch_;
  std::vector<Row> rows_;  // of the last pass
  int64_t passes_ = 0;
  int64_t carried_rows_ = 0;
};

}  // namespace tidar
