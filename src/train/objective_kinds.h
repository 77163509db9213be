#pragma once
// The objectives, one file each, and what they share. Options have been checked by
// make_objective().

#include <cstdint>
#include <memory>
#include <vector>

#include "plan/layouts.h"
#include "train/objective.h"

namespace tidar {

std::unique_ptr<Objective> make_ar_objective(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_tidar_objective(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_block_diffusion_objective(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_masked_diffusion_objective(const ObjectiveOptions& options);

/// Whether a token of a document may be a label: not the mask token, and not of a prompt that is
/// given. Place tokens.size() is that of `next`.
bool is_learnt(const ObjectiveOptions& options, const Document& document, int32_t place);

/// The blocks of a document.
Blocks blocks_of(const ObjectiveOptions& options, const DocumentNoise& noise);

/// Tokens of a document, and masks behind its end that its last block takes.
int32_t size_with_last_block(const ObjectiveOptions& options, const Document& document,
                             const Blocks& blocks);

/// Of a pass of two halves, the second one with whole last blocks or without.
PassExtent extent_of_two_halves(const ObjectiveOptions& options, int tokens);

/// Row first_row + i is held against token i + 1, as part of term 0.
void add_next_token_labels(const ObjectiveOptions& options, const Document& document,
                           int32_t first_row, TrainingPass& out, std::span<int64_t> counts);

/// A document some of whose tokens are masks.
struct NoisedText {
  std::vector<int32_t> tokens;
  std::vector<float> levels;    ///< one a token: the probability that it is masked; 0: never is
  std::vector<int32_t> masked;  ///< places of the masks that are to be predicted, ascending
};

/// Masks each token that may be a label with the probability t of its block, drawn for each block
/// from (0.001, 1), as LLaDA does (arXiv 2502.09992): 1 / t stays bounded.
NoisedText add_noise(const ObjectiveOptions& options, const Document& document,
                     const DocumentNoise& noise, const Blocks& blocks);

/// The masks of `text`, of which token 0 is row first_row, are held against the document, each with
/// the weight 1 / t, as part of term 0. The mean is over all tokens that could have been masked:
/// then its expectation bounds the negative log-likelihood of a token (MDLM, arXiv 2406.07524).
void add_denoising_labels(const Document& document, const NoisedText& text, int32_t first_row,
                          TrainingPass& out, std::span<int64_t> counts);

}  // namespace tidar
