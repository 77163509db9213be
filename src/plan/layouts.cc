#include "plan/layouts.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace tidar {
namespace {

int32_t size_of_text(std::span<const int32_t> tokens) {
  return static_cast<int32_t>(tokens.size());
}

void check_empty(const Pass& pass) { TIDAR_CHECK_EQ(pass.next_key(), 0); }

// The second half of the two-stream layouts, behind S clean rows: row S + i sees the clean keys
// before its block and its own block of this half.
void add_second_half(Pass& pass, std::span<const int32_t> tokens, const Blocks& blocks) {
  const int32_t size = size_of_text(tokens), clean = pass.next_key();
  TIDAR_CHECK_GE(size, clean);
  TIDAR_CHECK_LT(blocks.around(size - 1, size).from, clean);
  for (int32_t i = 0; i < size; ++i) {
    const KeyRange block = blocks.around(i, size);
    const Sight sight{{0, block.from}, {clean + block.from, clean + block.to}};
    pass.add_row(tokens[static_cast<size_t>(i)], i, sight, Keep::scratch);
  }
}

}  // namespace

KeyRange Blocks::around(int32_t i, int32_t length) const {
  TIDAR_CHECK(1 <= first && first <= size);
  if (i < first) return {0, std::min(first, length)};
  const int32_t from = first + (i - first) / size * size;
  return {from, std::min(from + size, length)};
}

int32_t add_causal(Pass& pass, std::span<const int32_t> tokens, Keep keep) {
  const int32_t first_row = pass.rows();
  int32_t key = pass.next_key();
  for (const int32_t token : tokens) {
    pass.add_row(token, key, {.prefix = {0, key + 1}, .block = {}}, keep);
    ++key;
  }
  return first_row;
}

int32_t add_block(Pass& pass, std::span<const int32_t> tokens, Keep keep) {
  const int32_t first_row = pass.rows();
  const int32_t length = pass.next_key();
  const Sight sight{{0, length}, {length, length + size_of_text(tokens)}};
  int32_t position = length;
  for (const int32_t token : tokens) pass.add_row(token, position++, sight, keep);
  return first_row;
}

int32_t add_bidirectional(Pass& pass, std::span<const int32_t> tokens) {
  check_empty(pass);
  return add_block(pass, tokens, Keep::scratch);
}

int32_t add_block_causal(Pass& pass, std::span<const int32_t> tokens, const Blocks& blocks) {
  check_empty(pass);
  const int32_t first_row = pass.rows();
  const int32_t size = size_of_text(tokens);
  for (int32_t i = 0; i < size; ++i) {
    const KeyRange block = blocks.around(i, size);
    pass.add_row(tokens[static_cast<size_t>(i)], i, {{0, block.from}, block}, Keep::scratch);
  }
  return first_row;
}

int32_t add_tidar_training(Pass& pass, std::span<const int32_t> tokens, const Blocks& blocks,
                           int32_t mask_token, std::span<const int32_t> second_half) {
  check_empty(pass);
  const int32_t first_row = add_causal(pass, tokens, Keep::scratch);
  if (!second_half.empty()) {
    add_second_half(pass, second_half, blocks);
  } else {
    const std::vector<int32_t> masks(tokens.size(), mask_token);
    add_second_half(pass, masks, blocks);
  }
  return first_row;
}

int32_t add_block_diffusion_training(Pass& pass, std::span<const int32_t> tokens,
                                     std::span<const int32_t> noised, const Blocks& blocks) {
  const int32_t first_row = add_block_causal(pass, tokens, blocks);
  add_second_half(pass, noised, blocks);
  return first_row;
}

int32_t add_masks(Pass& pass, int32_t begin, int32_t masks, int32_t mask_token) {
  const int32_t first_row = pass.rows();
  const int32_t key = pass.next_key();
  TIDAR_CHECK_LE(begin, key);
  const Sight sight{{0, begin}, {key, key + masks}};
  for (int32_t m = 0; m < masks; ++m) pass.add_row(mask_token, begin + m, sight, Keep::scratch);
  return first_row;
}

MaskPlace mask_place(const Pass& pass, int32_t row) {
  const auto at = static_cast<size_t>(row);
  const Sight& sight = pass.sights[at];
  const int32_t guessed = pass.keeps[at] == Keep::page ? 1 : 0;  // the first of such a block
  const int32_t begin = sight.prefix.to + guessed;
  const int32_t masks = sight.block.size() - guessed;
  if (masks < 1) return {};
  return {begin, masks, pass.positions[at] - begin};
}

namespace {

void add_guessed_group(Pass& pass, int32_t begin, int32_t mask_token, GuessedGroup& group) {
  const int32_t key = pass.next_key();
  const KeyRange prefix{0, begin};
  group.token_row = pass.add_row(group.token, begin, {prefix, {key, key + 1}}, Keep::page);
  const Sight sight{prefix, {key, key + group.rows()}};
  for (int32_t m = 1; m <= group.masks; ++m) pass.add_row(mask_token, begin + m, sight, Keep::page);
}

}  // namespace

int32_t add_tidar_step(Pass& pass, std::span<const int32_t> drafts, int32_t mask_token,
                       std::span<MaskGroup> groups, std::span<GuessedGroup> guessed) {
  const int32_t length = pass.next_key();
  const int32_t first_row = add_causal(pass, drafts, Keep::page);
  for (GuessedGroup& group : guessed) {
    TIDAR_CHECK_GE(group.accepted, 1);
    TIDAR_CHECK_LT(group.accepted, size_of_text(drafts));
    add_guessed_group(pass, length + group.accepted, mask_token, group);
  }
  for (MaskGroup& group : groups) {
    TIDAR_CHECK_GE(group.accepted, 1);
    TIDAR_CHECK_LE(group.accepted, size_of_text(drafts));
    group.first_row = add_masks(pass, length + group.accepted, group.masks, mask_token);
  }
  return first_row;
}

}  // namespace tidar
