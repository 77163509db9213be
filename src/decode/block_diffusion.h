#pragma once
// Block diffusion decoding (BD3-LM, arXiv 2503.09573): blocks from left to right, each denoised in
// several passes that see the keys of all text before it and the whole block. A block that is
// finished is read once more, as text, for the keys that stay; those rows ride in the first pass
// of the next block, which sees them there, so they cost no pass.

#include <memory>

#include "decode/decoder.h"
#include "decode/method_facts.h"
#include "decode/reveal.h"

namespace tidar {

/// How text that is finished is read for the keys that stay; as the weights were trained.
enum class BlockKeys : uint8_t {
  causal,  ///< token by token, as TiDAR's clean half
  block,   ///< each block seeing all of itself, as the clean half of BD3-LM
};

/// Where blocks begin.
enum class BlockBorders : uint8_t {
  at_output,  ///< the first one behind the prompt, whose own last block may be short for it
  multiples,  ///< at multiples of the block size: the first block also holds the prompt's last
              ///< tokens
};

struct BlockDiffusionOptions {
  static constexpr MethodTitle kTitle = {"block-diffusion", "denoises block after block"};

  int block_size = 16;  ///< at least 1
  /// Confidence above a threshold: {.threshold = 0.9}. The n most confident: {.count = n}. From
  /// left to right: {.order = left_to_right, .count = n}. By entropy: {.order = entropy,
  /// .entropy_bound = 0.1}.
  RevealRule reveal{};
  BlockKeys keys = BlockKeys::causal;
  BlockBorders borders = BlockBorders::at_output;
};

MethodFacts facts_of(const BlockDiffusionOptions& options);

/// Tokens are committed from left to right as soon as no mask stands before them, so a pass may
/// commit none. Every pass but those of the prompt counts. The tokens do not depend on row budgets.
///
/// `cache` may hold the keys of the first tokens of the prompt, read as this method reads them, in
/// pages that are not shared; with BlockKeys::block only whole blocks of them are used. Needs
/// spec.mask_token. Fails as check_spec() does, when an option is out of range, and when penalties
/// count what was said: in a block that is denoised in any order there is no "said before".
Result<std::unique_ptr<Decoder>> make_decoder(const BlockDiffusionOptions& options,
                                              SequenceSpec spec, SequenceCache cache,
                                              const EvaluatorLimits& limits);

}  // namespace tidar
