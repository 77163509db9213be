#pragma once
// What every method keeps of its sequence: the text so far, its keys, and how to ask for more.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "decode/decoder.h"
#include "decode/history.h"

namespace tidar {

/// The text of one sequence and how much of it the cache holds. The keys of the first
/// `cache.length()` tokens are committed; the rest is *unread*: the end of the prompt, or, from
/// then on, the newest token.
class Sequence {
 public:
  /// `spec` has passed check_spec(); `held` must leave a token of its prompt unread.
  Sequence(SequenceSpec spec, SequenceCache held, const EvaluatorLimits& limits);

  std::span<const int32_t> tokens() const { return tokens_; }
  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  std::span<const int32_t> unread() const {
    return tokens().subspan(static_cast<size_t>(cache.length()));
  }
  /// True until the first token has been committed.
  bool in_prompt() const { return size() == prompt_size_; }
  /// Whether tokens of the prompt are still to be scored.
  bool scores_prompt() const { return score_prompt_ && in_prompt(); }
  /// Tokens that the context has room for.
  int positions_left() const { return max_position_ - size(); }
  bool full() const { return positions_left() == 0; }
  /// True when nothing could be chosen for the next token (Phase::failed).
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }

  int32_t mask_token() const { return mask_token_; }
  const Sampling& sampling() const { return sampling_; }
  Experience& experience() { return *experience_; }

  /// Asks `row` for the token at `position`, after `changes`, those of the text so far, and `own`;
  /// any token, as long as the ask is not told what is allowed.
  Ask choose(int32_t row, int32_t position, ChangeRange changes, ChangeRange own = {}) const;

  /// Adds a chosen token to the text and to what the pass committed; token -1 fails the sequence.
  void append(const Answer& chosen);

  /// Begins the sequence's part of the pass with its first `rows` unread tokens, read causally, and
  /// asks for the scores of those behind them that belong to the prompt, where the spec wants them
  /// and they are not known yet.
  /// False, and nothing is added, when the page pool cannot hold their keys and `more` behind them.
  bool read(Pass& pass, int rows, int more = 0);
  /// Takes the answers to those asks, the first of the sequence's in the pass; returns the others.
  std::span<const Answer> take_scores(std::span<const Answer> answers);

  SequenceCache cache;
  History history;
  StepReport report;  ///< of the pass under way, or the last one

 private:
  Sampling sampling_;
  std::shared_ptr<Experience> experience_;
  int32_t mask_token_;
  int32_t top_;
  bool score_prompt_;
  int32_t max_position_;
  int32_t prompt_size_;
  std::vector<int32_t> tokens_;
  bool failed_ = false;
  int32_t scored_ = 1;  // tokens of the prompt that have their scores; the first gets none
  size_t scores_ = 0;   // that the pass under way asks for
};

/// The mask token that such a method needs.
Result<void> check_mask_token(const SequenceSpec& spec, std::string_view method);

/// A decoder of one such sequence: the frame of every pass. A method says which rows it adds, and
/// what it makes of the answers.
class SequenceDecoder : public Decoder {
 public:
  Phase phase() const final;
  int plan(Pass& pass, int row_budget) final;
  void take(std::span<const Answer> answers) final;
  std::span<const int32_t> text() const final { return sequence_.tokens(); }
  std::span<const int32_t> readable() const final {
    return text().first(sequence_.scores_prompt() ? 0 : static_cast<size_t>(readable_tokens()));
  }
  SequenceCache& cache() final { return sequence_.cache; }
  const StepReport& report() const final { return sequence_.report; }
  const Asks& more_asks() const final { return more_asks_; }

 protected:
  explicit SequenceDecoder(Sequence sequence) : sequence_(std::move(sequence)) {}

  /// Whether the next pass reads the prompt, or text again.
  virtual bool reads() const { return sequence_.in_prompt() || sequence_.unread().size() > 1; }
  /// Tokens that are read before the method goes on: all but the newest.
  virtual int32_t readable_tokens() const { return sequence_.size() - 1; }
  /// Phase::full.
  virtual bool full() const { return sequence_.full(); }

  /// plan(): false when pages lack.
  virtual bool add_rows(Pass& pass, int row_budget) = 0;
  /// take(), of the answers to the asks that add_rows() added.
  virtual void use(std::span<const Answer> answers) = 0;
  /// take(), of the answers to more_asks().
  virtual void use_more(std::span<const Answer> answers);

  Sequence sequence_;
  Asks more_asks_;

 private:
  // Of the pass under way.
  size_t asks_ = 0;
  bool used_ = false;
};

/// The decoder of a sequence whose spec and options have been checked.
template <class Method, class... Options>
std::unique_ptr<Decoder> decoder_of(SequenceSpec spec, SequenceCache cache,
                                    const EvaluatorLimits& limits, Options&&... options) {
  return std::make_unique<Method>(Sequence(std::move(spec), std::move(cache), limits),
                                  std::forward<Options>(options)...);
}

}  // namespace tidar
