#pragma once
// Speculative decoding (arXiv 2211.17192): somebody cheaper drafts, one causal pass verifies.
//
// The tokens are those of AR with the same spec: greedy, and at every temperature from the same
// seed, whatever is drafted. The accept/reject rule of the paper keeps AR's distribution but not
// its tokens; here draft and verification share the noise of their position instead, so that
// equality can be tested token for token. What it costs: where the distributions of a drafter and
// of the model are a total variation of d apart, a guess is right with probability at least
// (1 - d) / (1 + d) (arXiv 2408.07978), where the rule accepts 1 - d.
//
// The trade-off of the seam: the engine drives one evaluator, so the drafter's own passes happen
// inside plan() of its sequence, one sequence after the other. That is as fast as can be for one
// request. For n requests the drafter makes n times as many passes as it would if it, too, drafted
// for all of them at once; that would need an engine that drives two evaluators in turn.

#include <memory>

#include "decode/decoder.h"
#include "decode/drafter.h"
#include "decode/lookup.h"
#include "decode/method_facts.h"

namespace tidar {

struct SpeculativeOptions {
  static constexpr MethodTitle kTitle = {"speculative", "another model drafts"};

  int draft_length = 8;       ///< guesses of a pass at most, at least 1; a pass has one row more
  DrafterFactory drafters{};  ///< who guesses; needed
};

/// Speculative decoding with what stands in the text already.
struct LookupMethodOptions {
  static constexpr MethodTitle kTitle = {"lookup", "drafts what followed the same tokens before"};

  int draft_length = 8;  ///< as of SpeculativeOptions
  LookupOptions lookup{};
};

MethodFacts facts_of(const SpeculativeOptions& options);
MethodFacts facts_of(const LookupMethodOptions& options);

/// `cache` may hold the keys of the first tokens of the prompt, not of all; further pages are taken
/// from its pool as the text grows, for up to `draft_length` keys beyond it. Fails as check_spec()
/// and the drafters do, and when an option is out of range.
Result<std::unique_ptr<Decoder>> make_decoder(const SpeculativeOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits);
Result<std::unique_ptr<Decoder>> make_decoder(const LookupMethodOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits);

}  // namespace tidar
