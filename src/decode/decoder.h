#pragma once
// A method: which rows a sequence puts into each pass, and which of them become tokens. One Decoder
// is one sequence; many of them, of different methods, share each pass. Decoders know plan/ and
// cache/, nothing of tensors.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/pages.h"
#include "plan/ask.h"
#include "plan/evaluator.h"
#include "plan/layouts.h"
#include "plan/pass.h"

namespace tidar {

/// Penalties and biases, in the field's usual meaning (Hugging Face, OpenAI): repetition over
/// prompt and output, presence and frequency over the output alone.
struct Penalties {
  float repetition = 1;
  float presence = 0;
  float frequency = 0;
  std::vector<LogitChange> bias;  ///< `add` only; -infinity forbids a token
  bool any() const { return repetition != 1 || presence != 0 || frequency != 0 || !bias.empty(); }
};

/// What a decoder tells about its work.
struct DecodeStats {
  int64_t passes = 0;             ///< decoding passes; prefill is not counted
  int64_t committed = 0;          ///< tokens that decoding passes committed
  std::vector<int64_t> accepted;  ///< accepted[a]: passes that committed a tokens
};

/// The turn of a decoder: plan() adds its rows and asks to the pass, the evaluator answers, take()
/// reads the answers. take() may ask again about the same pass: then `more_asks()` is not empty,
/// and take() is called once more with their answers.
class Decoder {
 public:
  virtual ~Decoder() = default;

  /// Adds the rows of the next pass, at most `row_budget`, and their asks. Returns the number of
  /// rows added. `row_budget` must be at least min_rows(). The cache must have room for
  /// keys_needed() more keys than it holds.
  virtual int plan(Pass& pass, int row_budget) = 0;

  /// The answers to the asks of the last plan() or of the last more_asks(), in their order.
  /// Committed tokens appear in `committed()` when more_asks() is empty afterwards.
  virtual void take(std::span<const Answer> answers) = 0;

  /// Questions about the rows of the last pass; valid until the next take().
  virtual std::span<const Ask> more_asks() const = 0;

  /// Tokens that the last pass committed, oldest first, and their log-probabilities. Empty while
  /// the prompt is being read.
  virtual std::span<const TokenLogprob> committed() const = 0;

  virtual const DecodeStats& stats() const = 0;
};

}  // namespace tidar
