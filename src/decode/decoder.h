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
//     for each decoder: decoder.take(its answers); use decoder.report()
//     for each decoder that goes on and has more_asks(): gather them
//     evaluator.answer(those asks, answers); for each of them: decoder.take(its answers)
//
// A decoder's asks stand together in the pass, from where Pass::asks ended before its plan().

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/constraint.h"
#include "base/result.h"
#include "base/sampling.h"
#include "cache/pages.h"
#include "decode/experience.h"
#include "decode/method_facts.h"
#include "decode/offer.h"
#include "decode/step_report.h"
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
  /// What the output may be; nullptr: anything. Methods that do not choose it from left to right
  /// refuse.
  std::shared_ptr<const Constraint> constraint{};
  int32_t mask_token = -1;  ///< never chosen; -1: the model has none
  int32_t top = 0;          ///< of the most probable tokens, told with each token and score
  /// The prompt's tokens but the first are scored, too (StepReport::scores). Methods that do not
  /// read it causally refuse.
  bool score_prompt = false;
  /// What earlier texts taught about guesses, and this one goes on to; nullptr: it begins anew. No
  /// token depends on it.
  std::shared_ptr<Experience> experience{};
};

/// Says that a method, which does not choose an output from left to right, cannot keep to a
/// constraint, where the spec has one.
Result<void> check_no_constraint(const SequenceSpec& spec, std::string_view method);

/// Says what is wrong with a spec, for users: values out of range, tokens that the vocabulary
/// lacks, a prompt that is empty or leaves no position free.
Result<void> check_spec(const SequenceSpec& spec, const EvaluatorLimits& limits);

/// What the next pass of a sequence does, if there is one.
enum class Phase : uint8_t {
  reading,   ///< reads the prompt, of whose passes the last one may commit the first token; or text
             ///< whose keys were given back, to go on where it was
  decoding,  ///< brings tokens, or comes nearer to them
  full,      ///< ended: the context limit is reached, or an output of a fixed length is complete
  failed,  ///< ended: nothing could be chosen for the next token, since the model's logits are not
           ///< finite there or every token is forbidden, by a bias or by the constraint; what was
           ///< committed before stands
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

  /// After an end plan() must not be called any more.
  virtual Phase phase() const = 0;
  bool ended() const { return phase() == Phase::full || phase() == Phase::failed; }

  /// What rows of the next pass would bring. The plan() that follows carries as many of the offered
  /// bundles, from the first on, as its rows hold. False, and nothing is offered: the method has a
  /// use for whatever rows it is given, or for none.
  virtual bool make_offer(const PassOutlook& outlook, Offer& offer) {
    (void)outlook, (void)offer;
    return false;
  }

  /// Of the keys that a pass of the method can keep beyond those of the text, how many the next one
  /// may keep, as far as that is known.
  virtual int keys_beyond_text(const MethodFacts& facts) const { return facts.draft_keys; }

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

  /// Prompt and committed tokens.
  virtual std::span<const int32_t> text() const = 0;
  /// The first tokens of the text that the next passes read, as far as they have no keys, before
  /// the method goes on; none while it must read them all, since something is asked of each.
  virtual std::span<const int32_t> readable() const = 0;
  /// The keys of the text's first tokens. Between passes others may reserve in it, share its pages,
  /// truncate it to nothing, or have it adopt keys of readable() tokens, all as the method reads
  /// them. What is lost is read again; no token depends on that.
  virtual SequenceCache& cache() = 0;

  /// What the last pass brought: complete after the first take(), valid until the next plan().
  virtual const StepReport& report() const = 0;

  /// Further questions about the rows of the last pass, valid until the next take() or plan().
  /// Empty after their answers were taken. They prepare the next pass: a caller that wants no more
  /// tokens may leave them, and a pass planned without their answers is right but may be slower.
  virtual const Asks& more_asks() const = 0;
};

}  // namespace tidar
