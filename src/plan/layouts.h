#pragma once
// The layouts of passes, one function for each method of reading a text: which rows, at which
// positions, seeing what. Each adds to the last sequence of a pass. `K` is the block size, `L` the
// number of keys that the sequence had when the layout was called (cached and added); a key's
// position is its index, so scratch rows must not come before a layout that is called later. Row
// numbers are indices in the pass.

#include <cstdint>
#include <span>

#include "plan/pass.h"

namespace tidar {

/// AR, prefill, verify, likelihood: token i at position L + i sees [0, L + i + 1). Returns the
/// first row.
int32_t add_causal(Pass& pass, std::span<const int32_t> tokens, Keep keep);

/// A block of `masks` mask rows at positions L + …, seeing all L keys before them and each other;
/// scratch. The tail of a TiDAR prefill, or the whole of a draft. Returns the first row.
int32_t add_masks(Pass& pass, int32_t mask_token, int masks);

/// Block diffusion while decoding: tokens (some of them masks) at positions L + … see the L keys
/// before them and each other. Returns the first row.
int32_t add_block(Pass& pass, std::span<const int32_t> tokens, Keep keep);

/// Masked diffusion: every row sees every row of `tokens`. Scratch. The sequence must be empty.
/// Returns the first row.
int32_t add_bidirectional(Pass& pass, std::span<const int32_t> tokens);

/// Block-causal rows of one stream: row i of block b = i / K sees [0, (b + 1) K), cut at the end of
/// the text. Scratch. The sequence must be empty. Returns the first row.
int32_t add_block_causal(Pass& pass, std::span<const int32_t> tokens, int block_size);

/// TiDAR training, 2 S rows: the clean tokens read causally, then S masks at the same positions;
/// mask p of block b = p / K sees the clean [0, b K) and its own block's masks. The last block may
/// be short. `second_half` may replace the S masks (random masking); empty means masks. Scratch.
/// The sequence must be empty. Returns the row of clean token 0; mask p is S + p rows further.
int32_t add_tidar_training(Pass& pass, std::span<const int32_t> tokens, int block_size,
                           int32_t mask_token, std::span<const int32_t> second_half = {});

/// Block diffusion training, 2 S rows: clean tokens that see block-causally among themselves, then
/// the noised tokens; noised row i of block b sees the clean [0, b K) and its own noised block.
/// Scratch. The sequence must be empty. Returns the first row.
int32_t add_block_diffusion_training(Pass& pass, std::span<const int32_t> tokens,
                                     std::span<const int32_t> noised, int block_size);

/// One group of a TiDAR step: `masks` masks for the case that `accepted` tokens are committed.
struct MaskGroup {
  int accepted = 0;       ///< j, 1 … number of drafts
  int masks = 0;          ///< at least 1
  int32_t first_row = 0;  ///< filled by add_tidar_step
};

/// A TiDAR step (arXiv 2511.08923): the drafts at L + i, read causally and kept in pages; then, for
/// each of `groups` in turn, its masks m at L + accepted + m, seeing the keys [0, L + accepted) and
/// each other. Returns the first draft's row and fills `groups[…].first_row`.
int32_t add_tidar_step(Pass& pass, std::span<const int32_t> drafts, int32_t mask_token,
                       std::span<MaskGroup> groups);

/// Packed documents: calls layout(pass, document) for each, in a sequence of its own, so that
/// positions, blocks and sights restart with it and documents see nothing of each other. Such
/// sequences have no cache: the layout must not keep rows in pages.
template <class Layout>
void add_documents(Pass& pass, std::span<const std::span<const int32_t>> documents,
                   Layout&& layout) {
  for (const auto& document : documents) {
    pass.begin_sequence();
    layout(pass, document);
  }
}

}  // namespace tidar
