#pragma once
// A method: which rows a sequence puts into each pass, and which of them become tokens. One Decoder
// is one sequence; many of them, of different methods, share each pass. Decoders know plan/ and
// cache/, nothing of tensors.
//
// The turn of a decoder:
//
//     pass.clear();
//     for each decoder: decoder.plan(pass, rows left)
//     evaluator.evaluate(pass, answers)
//     for each decoder: decoder.take(its answers); use decoder.committed()
//     for each decoder that goes on and has more_asks(): gather them
//     evaluator.answer(those asks, answers); for each of them: decoder.take(its answers)
//
// A decoder's asks stand together in the pass, from where Pass::asks ended before its plan().

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/sampling.h"
#include "cache/pages.h"
#include "plan/ask.h"
#include "plan/evaluator.h"
#include "plan/pass.h"

namespace tidar {

/// Penalties and biases, in the field's usual meaning (Hugging Face, OpenAI): repetition over
/// prompt and output, presence and frequency over the output alone.
struct Penalties {
  float repetition = 1;             ///< > 0; above 1 makes what was said less likely
  float presence = 0;               ///< subtracted once from the logit of a token that was emitted
  float frequency = 0;              ///< subtracted each time it was emitted
  std::vector<LogitChange> bias{};  ///< `add` only; -infinity forbids a token

  /// Whether what is chosen depends on what was said before, other than through the network.
  bool count() const { return repetition != 1 || presence != 0 || frequency != 0; }
};

/// What every method is told of the sequence that it goes on with.
struct SequenceSpec {
  std::vector<int32_t> prompt{};  ///< at least one token
  Sampling sampling{};
  Penalties penalties{};
  int32_t mask_token = -1;  ///< never chosen; -1: the model has none
};

/// Says what is wrong with a spec, for users: values out of range, tokens that the vocabulary
/// lacks, a prompt that is empty or leaves no position free.
Result<void> check_spec(const SequenceSpec& spec, const EvaluatorLimits& limits);

/// How the guesses at one place of a draft fared.
struct DraftPlace {
  int64_t drafted = 0;   ///< decoding passes that verified a guess at this place
  int64_t accepted = 0;  ///< of these, those in which it and all guesses before it were right
  friend bool operator==(const DraftPlace&, const DraftPlace&) = default;
};

/// What a decoder tells about its work.
struct DecodeStats {
  int64_t passes = 0;     ///< decoding passes; those that read the prompt are not counted
  int64_t committed = 0;  ///< tokens that decoding passes committed: tokens per pass are its share
  std::vector<int64_t> accepted;   ///< accepted[a]: decoding passes that committed a tokens
  std::vector<DraftPlace> places;  ///< places[i]: the guess i + 1 places behind a certain token
  int64_t drafter_passes = 0;      ///< passes of another model, the drafter
};

/// A token is *committed* as soon as it is certain: the pass that reads the end of the prompt
/// commits the first token, and each decoding pass one or more. The newest committed token has no
/// key yet; the next pass begins with it. A step may commit more than its caller wants: to cut at
/// an end-of-text token, a stop string or a length is the caller's.
///
/// The context limit counts tokens: prompt and output are at most limits.max_position tokens, so
/// the last one stands at position max_position - 1. It is committed like the others, and no pass
/// ever holds a position beyond it; methods draft less as they come near.
class Decoder {
 public:
  virtual ~Decoder() = default;

  /// True when the context limit is reached, or the output of a method that fixes its length is
  /// complete; plan() must not be called any more.
  virtual bool full() const = 0;

  /// True when nothing could be chosen for the next token: the model's logits are not finite there,
  /// or every token is forbidden. What was committed before stands; plan() must not be called any
  /// more.
  virtual bool failed() const = 0;

  /// Rows that the next pass must at least grant; never more than the evaluator's passes have.
  virtual int min_rows() const = 0;

  /// Adds the rows of the next pass, at most `row_budget` >= min_rows(), and their asks. Returns
  /// the number of rows added, at least 1. When the page pool cannot hold their keys it returns 0
  /// and has added nothing: try again when pages have been given back. Tokens never depend on the
  /// budgets, only the number of passes does.
  virtual int plan(Pass& pass, int row_budget) = 0;

  /// The answers to the asks of the last plan(), then those of more_asks(), in their order. Must be
  /// called after each pass, with no answers where nothing was asked.
  virtual void take(std::span<const Answer> answers) = 0;

  /// Tokens that the last pass committed, oldest first, with their log-probabilities: complete
  /// after the first take(), valid until the next plan(). Empty while the prompt is being read.
  virtual std::span<const TokenLogprob> committed() const = 0;

  /// Further questions about the rows of the last pass, valid until the next take() or plan().
  /// Empty after their answers were taken. They prepare the next pass: a caller that wants no more
  /// tokens may leave them, and a pass planned without their answers is right but may be slower.
  virtual std::span<const Ask> more_asks() const = 0;

  virtual const DecodeStats& stats() const = 0;
};

}  // namespace tidar
