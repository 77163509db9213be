#pragma once
// The objectives, one file each, and what they share. Options have been checked by
// make_objective().

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "plan/layouts.h"
#include "train/objective.h"

namespace tidar {

std::unique_ptr<Objective> make_ar_objective(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_tidar_objective(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_block_diffusion_objective(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_masked_diffusion_objective(const ObjectiveOptions& options);

/// Place tokens.size() is that of `next`; behind it there is nothing, -1.
int32_t token_at(const Document& document, int32_t place);

/// Whether a token of a document, or the one behind it, may be a label: there is one, it is not the
/// mask token, and it is not given where prompts are.
bool is_learnt(const ObjectiveOptions& options, const Document& document, int32_t place);

/// The blocks of a document.
Blocks blocks_of(const ObjectiveOptions& options, const DocumentNoise& noise);

/// Whether the document ends with the end token.
bool has_ended(const ObjectiveOptions& options, const Document& document);

/// Whether end tokens fill its last block.
bool has_end_tokens(const ObjectiveOptions& options, const Document& document);

/// What a mask of tidar is held against at a place of the document or behind it; -1: nothing.
int32_t mask_label(const ObjectiveOptions& options, const Document& document, int32_t place);

/// Tokens of a document, and masks behind its end that its last block takes.
int32_t size_with_last_block(const ObjectiveOptions& options, const Document& document,
                             const Blocks& blocks);

/// Of a pass of two halves, the second one with whole last blocks or without.
PassExtent extent_of_two_halves(const ObjectiveOptions& options, int tokens);

/// Row first_row + i is held against token i + 1, as part of term 0.
void add_next_token_labels(const ObjectiveOptions& options, const Document& document,
                           int32_t first_row, TrainingPass& out, std::span<double> counts);

/// A document some of whose tokens are masks.
struct NoisedText {
  std::vector<int32_t> clean;   ///< its tokens, and end tokens behind them
  std::vector<int32_t> tokens;  ///< the same with masks
  std::vector<float> levels;    ///< one a token: the probability that it is masked; 0: never is
  std::vector<int32_t> masked;  ///< places of the masks that are to be predicted, ascending
};

/// Masks each token that may be a label, and each of `added` end tokens behind the document, with
/// the probability t of its block, drawn for each block from options.noise.
NoisedText add_noise(const ObjectiveOptions& options, const Document& document,
                     const DocumentNoise& noise, const Blocks& blocks, int32_t added = 0);

/// The masks of `text` are held against its clean tokens, each with the weight 1 / t, as part of
/// term 0; row_of(place) predicts the token of a place. The mean is over all tokens that could have
/// been masked: then its expectation bounds the negative log-likelihood of a token, where the noise
/// has every level (MDLM, arXiv 2406.07524).
void add_denoising_labels(const NoisedText& text, const std::function<int32_t(int32_t)>& row_of,
                          TrainingPass& out, std::span<double> counts);

}  // namespace tidar
