#pragma once
// Scores of diffusion weights, estimated: the likelihood that they were trained to raise, averaged
// over random maskings.
//
// A sample masks, in every block of n tokens to be scored, l of them, l uniform in 1 … n and the
// places uniform, and weighs the log-probabilities of the masked tokens by n / l (LLaDA, arXiv
// 2502.09992, eq. 6). Its expectation is the log-likelihood averaged over all orders in which the
// tokens of a block could be revealed one by one, a lower bound of that of the model. The error
// falls as 1 / sqrt(samples).

#include <cstdint>
#include <memory>

#include "decode/block_diffusion.h"
#include "decode/canvas.h"
#include "eval/text_scorer.h"
#include "plan/evaluator.h"

namespace tidar {

struct MonteCarloOptions {
  int samples = 128;        ///< at least 2, for a standard error
  uint64_t seed = 0;        ///< the same seed gives the same samples, whatever shares their passes
  int32_t mask_token = -1;  ///< must be given
  /// Tokens of a block, each denoised behind finished ones. 0: the whole text is one.
  int block_size = 0;
  BlockKeys keys = BlockKeys::causal;              ///< how finished blocks are read
  BlockBorders borders = BlockBorders::at_output;  ///< the output: what is scored
  LogitShift shift = LogitShift::none;             ///< one block only
};

/// Texts are scored one at a time; as many samples share a pass as fit in it. A text does not fit
/// when one sample does not. The evaluator must outlive it.
std::unique_ptr<TextScorer> make_monte_carlo_scorer(Evaluator& evaluator,
                                                    const MonteCarloOptions& options);

}  // namespace tidar
