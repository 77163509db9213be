#pragma once
// What every method keeps of its sequence: the text so far, its keys, and how to ask for more.

#include <cstdint>
#include <span>
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
  /// Tokens that the context has room for.
  int positions_left() const { return max_position_ - size(); }
  bool full() const { return positions_left() == 0; }
  /// True when nothing could be chosen for the next token (Decoder::failed()).
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }

  int32_t mask_token() const { return mask_token_; }
  const Sampling& sampling() const { return sampling_; }

  /// Asks `row` for the token at `position`, after the changes of the text so far and `own`, which
  /// must stay valid like the spans of every Ask.
  Ask choose(int32_t row, int32_t position, std::span<const LogitChange> own = {}) const;

  /// Adds a chosen token to the text and to committed(); token -1 fails the sequence.
  void append(const TokenLogprob& token);

  /// To be called when a pass is planned: nothing is committed by it yet.
  void begin_pass() { committed_.clear(); }
  std::span<const TokenLogprob> committed() const { return committed_; }

  /// Counts a decoding pass that committed what committed() says.
  void count_pass();

  SequenceCache cache;
  History history;
  DecodeStats stats;

 private:
  Sampling sampling_;
  int32_t mask_token_;
  int32_t max_position_;
  int32_t prompt_size_;
  std::vector<int32_t> tokens_;
  std::vector<TokenLogprob> committed_;
  bool failed_ = false;
};

/// A decoder of one such sequence: what all methods tell of it alike.
class SequenceDecoder : public Decoder {
 public:
  bool full() const override { return sequence_.full(); }
  bool failed() const final { return sequence_.failed(); }
  std::span<const TokenLogprob> committed() const final { return sequence_.committed(); }
  std::span<const Ask> more_asks() const override { return {}; }
  const DecodeStats& stats() const final { return sequence_.stats; }

 protected:
  explicit SequenceDecoder(Sequence sequence) : sequence_(std::move(sequence)) {}

  Sequence sequence_;
};

}  // namespace tidar
