#pragma once
// Masked diffusion decoding (LLaDA, arXiv 2502.09992; Dream, arXiv 2508.15487; MDLM, arXiv
// 2406.07524): the output has a fixed length, begins as masks, and every pass reads the whole text,
// each row seeing each. There is no cache: what a row sees changes with every pass.

#include <memory>

#include "decode/canvas.h"
#include "decode/decoder.h"
#include "decode/method_facts.h"

namespace tidar {

struct MaskedDiffusionOptions {
  static constexpr MethodTitle kTitle = {"masked-diffusion", "denoises the whole output"};

  int length = 128;  ///< tokens of the output, at least 1
  /// Passes in all, spread evenly over the tokens; at least one a block, and at most one a token.
  /// 0: one a token.
  int steps = 0;
  /// Semi-autoregressive: a block is finished before the next one begins; the last one may be
  /// short. 0: one block.
  int block_size = 0;
  /// The order, and what is revealed beyond the tokens that are due; its `count` is not used.
  RevealRule reveal{};
  LogitShift shift = LogitShift::none;
};

MethodFacts facts_of(const MaskedDiffusionOptions& options);

/// Tokens are committed from left to right as soon as no mask stands before them, so a pass may
/// commit none; every pass counts. The decoder is full when the output is. A pass needs a row for
/// each token of prompt and output.
///
/// `cache` is not used. Needs spec.mask_token. Fails as check_spec() does, when an option is out of
/// range or the text does not fit a pass, and when penalties count what was said.
Result<std::unique_ptr<Decoder>> make_decoder(const MaskedDiffusionOptions& options,
                                              SequenceSpec spec, SequenceCache cache,
                                              const EvaluatorLimits& limits);

}  // namespace tidar
