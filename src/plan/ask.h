#pragma once
// Questions to the logits of a pass, answered where the logits are, so that a vocabulary's worth of
// numbers never travels unless somebody asks for just that.
//
// Drawing. With p the distribution that is left after changes, temperature and cuts, the token
// drawn is the winner of an exponential race, argmin_i E_i / p_i, which is exactly distributed as
// p. E_i = -log(1 - v), v = (b + 1/2) / 2^32, where b is word (i mod 4) of
// philox(key = seed, counter_high = draw, counter_low = i / 4). The noise thus depends on the seed,
// the draw and the token id alone: every evaluator draws the same token, up to rounding.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "base/sampling.h"
#include "base/token_set.h"

namespace tidar {

enum class AskKind : uint8_t {
  choose,  ///< choose a token
  score,   ///< the log-probabilities of a given token
  logits,  ///< the whole row of logits
};

/// Changes [from, to) of a pool (Asks::changes()).
struct ChangeRange {
  int32_t from = 0;
  int32_t to = 0;
  bool empty() const { return from == to; }
  std::span<const LogitChange> of(std::span<const LogitChange> pool) const {
    return pool.subspan(static_cast<size_t>(from), static_cast<size_t>(to - from));
  }
  friend bool operator==(const ChangeRange&, const ChangeRange&) = default;
};

/// One question.
struct Ask {
  AskKind kind = AskKind::choose;
  int32_t row = 0;

  /// choose, score: if >= 0, the logits are `trust * logits[row] + (1 - trust) *
  /// logits[other_row]`. Kind `logits` does not mix: ask both rows.
  int32_t other_row = -1;
  float trust = 1;

  /// score: the token.
  int32_t token = -1;

  /// choose: how, after which changes; score: how one would, for the policy. An entry of
  /// `own_changes` replaces the entry of `changes` with the same token; within one list no token
  /// comes twice.
  Sampling sampling{};
  ChangeRange changes{};
  ChangeRange own_changes{};

  /// choose: the only tokens that may be chosen, after the changes; score: the same, for the
  /// policy. The index that Asks::add_allowed() gave; -1: all of them.
  int32_t allowed = -1;

  /// choose: what makes the draw unique under the seed: the position in its sequence of the token
  /// that is chosen. Two rows that choose for the same position with the same seed share their
  /// noise: a draft drawn from nearly the right distribution is nearly always the right token, and
  /// a draw depends neither on the method, nor on other rows, nor on the step. Diffusion, which
  /// draws anew in every pass, adds the number of the pass in the upper 32 bits (decode/canvas.h).
  uint64_t draw = 0;

  /// choose, score: also list this many most probable tokens.
  int32_t top = 0;

  /// choose: also name the runner-up, for one more reading of the row.
  bool runner_up = false;

  /// Stops the program unless this can be asked of a pass of `rows` rows, with so many changes and
  /// sets of tokens to refer to.
  void check(int32_t rows, size_t changes_there, size_t sets_there) const;
};

/// Questions and all that they refer to: plain data, which can be copied, kept and sent. What many
/// of them share stands once: changes in a pool, and sets of tokens, which nobody changes any more.
class Asks {
 public:
  Asks() = default;
  Asks(std::initializer_list<Ask> asks) : asks_(asks) {}

  /// Adds changes to the pool; any ask that is added to this list may name the range. Changes that
  /// are added one after another stand together.
  ChangeRange add_changes(std::span<const LogitChange> changes);
  /// Adds a set of tokens that any ask may name as allowed; returns its index. nullptr: all tokens
  /// are, for which there is no set.
  int32_t add_allowed(std::shared_ptr<const TokenSet> tokens);
  /// Adds a question and returns its index. Answers come in this order.
  size_t add(const Ask& ask);
  /// Adds all questions of `other`, with what they refer to.
  void append(const Asks& other);
  /// Empties list, pool and sets; keeps the memory.
  void clear();
  /// Empties the list, and takes all that asks of `other` refer to: they can be added as they are.
  void begin_part_of(const Asks& other);

  size_t size() const { return asks_.size(); }
  bool empty() const { return asks_.empty(); }
  Ask& operator[](size_t index) { return asks_[index]; }
  const Ask& operator[](size_t index) const { return asks_[index]; }
  auto begin() { return asks_.begin(); }
  auto end() { return asks_.end(); }
  auto begin() const { return asks_.begin(); }
  auto end() const { return asks_.end(); }
  std::span<const Ask> list() const { return asks_; }
  std::span<const LogitChange> changes() const { return changes_; }
  /// What the ask, which is one of these, allows; nullptr: all tokens.
  const TokenSet* allowed(const Ask& ask) const {
    return ask.allowed < 0 ? nullptr : allowed_[static_cast<size_t>(ask.allowed)].get();
  }

  /// Stops the program unless all this can be asked of a pass of `rows` rows.
  void check(int32_t rows) const;

 private:
  std::vector<Ask> asks_;
  std::vector<LogitChange> changes_;
  // Shared with whoever made them, and with copies: a set is as large as the vocabulary.
  std::vector<std::shared_ptr<const TokenSet>> allowed_;
};

/// The answer to one Ask. Log-probabilities are natural, and of the (mixed) logits before any
/// change, temperature or cut unless they are the policy's. Where those logits are not all numbers,
/// one of them is +infinity or all are -infinity, they are no distribution: log-probabilities and
/// entropy are NaN, and nothing is chosen or listed.
struct Answer {
  int32_t token = -1;  ///< chosen, or the one that was scored; -1: nothing can be chosen, since
                       ///< logits are no distribution, before the changes or after them,
                       ///< or since none of the allowed tokens is possible
  float logprob = 0;   ///< of that token

  /// Of that token under the *policy*, the distribution that a choice is drawn from: after changes,
  /// temperature and cuts. Greedy: 0 for the token that is chosen. -infinity for tokens that are
  /// never chosen, which can only be scored; NaN where nothing can be chosen.
  float policy_logprob = 0;
  float entropy = 0;               ///< of the distribution whose logarithms these are, in nats
  std::vector<ListedToken> top{};  ///< most probable first, lower id first on ties

  /// Where the ask wants it: what would be chosen of all that changes and cuts have left, were the
  /// chosen token not there. Greedy: the next best, the lowest id on ties; drawn: the second of the
  /// race. Token -1: nothing else is left.
  ListedToken runner_up{};

  std::vector<float> logits{};  ///< kind `logits` only: [V]

  TokenLogprob chosen() const { return {token, logprob, policy_logprob}; }
};

}  // namespace tidar
