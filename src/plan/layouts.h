#pragma once
// The layouts of passes, one function for each method of reading a text: which rows, at which
// positions, seeing what. Each adds to the last sequence of a pass. `L` is the number of keys that
// the sequence had when the layout was called (cached and added); a key's position is its index, so
// scratch rows must not come before a layout that is called later. Row numbers are indices in the
// pass.

#include <cstdint>
#include <span>

#include "plan/pass.h"

namespace tidar {

/// How a text is cut into blocks: the first one of `first` tokens, the others of `size`; the last
/// one is as short as the end of the text leaves it.
struct Blocks {
  int size = 1;
  int first = 1;  ///< 1 … size

  Blocks(int size_) : Blocks(size_, size_) {}
  Blocks(int size_, int first_) : size(size_), first(first_) {}

  /// The block of token i in a text of `length` tokens.
  KeyRange around(int32_t i, int32_t length) const;
};

/// AR, prefill, verify, likelihood: token i at position L + i sees [0, L + i + 1). Returns the
/// first row.
int32_t add_causal(Pass& pass, std::span<const int32_t> tokens, Keep keep);

/// A block while decoding: tokens, some or all of them masks, at positions L + … see the L keys
/// before them and each other. Returns the first row.
int32_t add_block(Pass& pass, std::span<const int32_t> tokens, Keep keep);

/// Masked diffusion: every row sees every row of `tokens`. Scratch. The sequence must be empty.
/// Returns the first row.
int32_t add_bidirectional(Pass& pass, std::span<const int32_t> tokens);

/// Block-causal rows of one stream: a row sees all blocks up to its own, that one included.
/// Scratch. The sequence must be empty. Returns the first row.
int32_t add_block_causal(Pass& pass, std::span<const int32_t> tokens, const Blocks& blocks);

/// TiDAR training, 2 S rows: the clean tokens read causally, then S masks at the same positions; a
/// mask sees the clean tokens before its block and its own block's masks. `second_half` may replace
/// the S masks (random masking), and may be longer than the text within its last block; empty means
/// S masks. Scratch. The sequence must be empty. Returns the row of clean token 0; mask p is S + p
/// rows further.
int32_t add_tidar_training(Pass& pass, std::span<const int32_t> tokens, const Blocks& blocks,
                           int32_t mask_token, std::span<const int32_t> second_half = {});

/// Block diffusion training, 2 S rows: clean tokens that see block-causally among themselves, then
/// the noised tokens; a noised row sees the clean tokens before its block and its own noised block,
/// the last of which may reach beyond the text.
/// Scratch. The sequence must be empty. Returns the first row.
int32_t add_block_diffusion_training(Pass& pass, std::span<const int32_t> tokens,
                                     std::span<const int32_t> noised, const Blocks& blocks);

/// Masks that draft: mask m at position `begin` + m sees the keys [0, begin) and the other masks of
/// this call. Scratch; the sequence has at least `begin` keys. Returns the first row.
int32_t add_masks(Pass& pass, int32_t begin, int32_t masks, int32_t mask_token);

/// Which of such masks a row is. Those behind a guessed token are like masks behind a text that
/// ends with it.
struct MaskPlace {
  int32_t begin = 0;
  int32_t masks = 0;  ///< that stand together; 0: the row is none, it is read causally
  int32_t mask = 0;   ///< m
};
/// Of a row of add_causal(), add_masks() or add_tidar_step(), as what it sees tells.
MaskPlace mask_place(const Pass& pass, int32_t row);

/// One group of a TiDAR step: `masks` masks for the case that `accepted` tokens are committed.
struct MaskGroup {
  int accepted = 0;       ///< j, 1 … number of drafts
  int masks = 0;          ///< at least 1
  int32_t first_row = 0;  ///< filled by add_tidar_step
};

/// A group for the case that exactly so many tokens are committed and the one behind them is not
/// the draft of that place, but `token`.
struct GuessedGroup {
  int accepted = 0;  ///< j, 1 … number of drafts less one: draft j is wrong
  int32_t token = 0;
  int masks = 0;          ///< behind the token; may be none
  int32_t token_row = 0;  ///< filled by add_tidar_step; the masks follow it
  int rows() const { return 1 + masks; }
};

/// A TiDAR step (arXiv 2511.08923): the drafts at L + i, read causally and kept in pages. Then, for
/// each of `guessed` in turn, its token at position L + accepted, which sees [0, L + accepted) and
/// itself, and masks behind it, which see what it sees and each other; all kept in pages, so that
/// they stand together. Then, for each of `groups` in turn, its masks from position L + accepted on
/// (add_masks). Returns the first draft's row and fills the rows of the groups.
int32_t add_tidar_step(Pass& pass, std::span<const int32_t> drafts, int32_t mask_token,
                       std::span<MaskGroup> groups, std::span<GuessedGroup> guessed = {});

}  // namespace tidar
