#pragma once
// TiDAR decoding (arXiv 2511.08923): one pass verifies a draft and, for every number of tokens that
// could be accepted, already drafts what would come next.
//
// At trust 1 the tokens are those of AR with the same spec: greedy, and at every temperature from
// the same seed, whatever the draft length, the groups and the row budgets. Below that they depend
// on the draft length and the groups, for these say which masks stand together; not on row budgets:
// a step waits for a pass that can hold all of it.

#include <memory>

#include "decode/decoder.h"
#include "decode/mask_groups.h"
#include "decode/method_facts.h"

namespace tidar {

struct TidarOptions {
  static constexpr MethodTitle kTitle = {"tidar",
                                         "drafts by masks and verifies them in the same pass"};

  int draft_length = 8;  ///< K >= 1: tokens of a full draft, and masks of a group

  /// Weight of the causal reading when a token is chosen; 1 - trust is that of the mask's reading
  /// of the same position. 1: Trust AR, 0: Trust Diff. The first token after the prompt is always
  /// the causal reading's.
  float trust = 1;

  GroupPolicy groups{};  ///< which groups a step keeps

  /// Guessed groups that a step holds at most (guessed_groups.h): the likeliest, as the draft's own
  /// probabilities say, in the rows that drafts and groups leave. At trust 1 only. Not looked at
  /// where groups are GroupPolicy::paying and rows have a price: then those are held that pay.
  int guessed = 0;
};

/// TiDAR's weights in two passes a step, one that drafts and one that verifies (no_groups()): the
/// tokens of AR for 2 K + 1 rows a step where TiDAR needs K (K + 1), and half the speed where rows
/// are free.
struct SelfSpeculativeOptions {
  static constexpr MethodTitle kTitle = {"self-speculative",
                                         "a pass of masks drafts, a causal pass verifies"};

  int draft_length = 8;  ///< K, at least 1
};

MethodFacts facts_of(const TidarOptions& options);
MethodFacts facts_of(const SelfSpeculativeOptions& options);

/// `cache` may hold the keys of the first tokens of the prompt, not of all; further pages are taken
/// from its pool as the text grows, for facts_of().draft_keys keys beyond it. Needs
/// spec.mask_token. Fails as check_spec() does, when an option is out of range, and at trust < 1
/// when a whole step of K (K + 1) rows does not fit a pass.
Result<std::unique_ptr<Decoder>> make_decoder(const TidarOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits);
Result<std::unique_ptr<Decoder>> make_decoder(const SelfSpeculativeOptions& options,
                                              SequenceSpec spec, SequenceCache cache,
                                              const EvaluatorLimits& limits);

}  // namespace tidar
