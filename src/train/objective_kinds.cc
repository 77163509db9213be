#include "train/objective_kinds.h"

#include <algorithm>

namespace tidar {

int32_t token_at(const Document& document, int32_t place) {
  const auto i = static_cast<size_t>(place);
  if (i < document.tokens.size()) return document.tokens[i];
  return i == document.tokens.size() ? document.next : -1;
}

bool is_learnt(const ObjectiveOptions& options, const Document& document, int32_t place) {
  const int32_t token = token_at(document, place);
  if (token < 0 || token == options.mask_token) return false;
  if (options.prompts == Prompts::learnt) return true;
  const auto after =
      std::upper_bound(document.given.begin(), document.given.end(), int64_t{place},
                       [](int64_t at, const Range& stretch) { return at < stretch.end; });
  const bool given = after != document.given.end() && after->begin <= place;
  return place >= document.prompt && !given;
}

bool has_ended(const ObjectiveOptions& options, const Document& document) {
  return document.next < 0 && document.tokens.back() == options.end_token;
}

bool has_end_tokens(const ObjectiveOptions& options, const Document& document) {
  return options.block_end == BlockEnd::end_tokens && has_ended(options, document);
}

int32_t mask_label(const ObjectiveOptions& options, const Document& document, int32_t place) {
  if (is_learnt(options, document, place)) return token_at(document, place);
  const bool is_behind = place >= std::ssize(document.tokens);
  return is_behind && has_end_tokens(options, document) ? options.end_token : -1;
}

namespace {

const std::vector<int>& block_sizes_at(const ObjectiveOptions& options, int64_t step) {
  const std::vector<int>* sizes = &options.block_sizes;
  for (const BlockStage& stage : options.block_stages) {
    if (step >= stage.step) sizes = &stage.sizes;
  }
  return *sizes;
}

}  // namespace

Blocks blocks_of(const ObjectiveOptions& options, const DocumentNoise& noise) {
  using enum DocumentNoise::Purpose;
  const auto below = [&](DocumentNoise::Purpose purpose, int count) {
    return static_cast<int>(noise.uniform(purpose, 0) * static_cast<float>(count));
  };
  const auto& sizes = block_sizes_at(options, static_cast<int64_t>(noise.step()));
  const int size = sizes.empty() ? options.block_size
                                 : sizes[static_cast<size_t>(below(length, int(sizes.size())))];
  if (options.block_start != BlockStart::random) return size;
  return {size, 1 + below(start, size)};
}

int32_t size_with_last_block(const ObjectiveOptions& options, const Document& document,
                             const Blocks& blocks) {
  const auto size = static_cast<int32_t>(document.tokens.size());
  if (options.block_end == BlockEnd::cut) return size;
  return std::min(blocks.around(size - 1, INT32_MAX).to, size + size / 2);
}

PassExtent extent_of_two_halves(const ObjectiveOptions& options, int tokens) {
  if (options.block_end == BlockEnd::cut) return {2 * tokens, tokens};
  return {2 * tokens + tokens / 2, tokens + std::min(options.block_size - 1, tokens / 2)};
}

void add_next_token_labels(const ObjectiveOptions& options, const Document& document,
                           int32_t first_row, TrainingPass& out, std::span<double> counts) {
  const auto size = static_cast<int32_t>(document.tokens.size());
  for (int32_t i = 0; i < size; ++i) {
    if (!is_learnt(options, document, i + 1)) continue;
    out.add_label(first_row + i, token_at(document, i + 1), {0, 1});
    ++counts[0];
  }
}

NoisedText add_noise(const ObjectiveOptions& options, const Document& document,
                     const DocumentNoise& noise, const Blocks& blocks, int32_t added) {
  using enum DocumentNoise::Purpose;
  NoisedText text;
  const auto size = static_cast<int32_t>(document.tokens.size());
  text.clean.assign(document.tokens.begin(), document.tokens.end());
  text.clean.resize(static_cast<size_t>(size + added), options.end_token);
  text.tokens = text.clean;
  text.levels.assign(text.tokens.size(), 0.0f);
  const auto low = static_cast<float>(options.noise.low);
  const float width = static_cast<float>(options.noise.high) - low;
  for (int32_t i = options.label_shift == LabelShift::one ? 1 : 0; i < size + added; ++i) {
    if (i < size && !is_learnt(options, document, i)) continue;
    const int32_t block = blocks.around(i, size + added).from;
    const float t = low + width * noise.uniform(level, block);
    text.levels[static_cast<size_t>(i)] = t;
    if (noise.uniform(mask, i) >= t) continue;
    text.tokens[static_cast<size_t>(i)] = options.mask_token;
    text.masked.push_back(i);
  }
  return text;
}

void add_denoising_labels(const NoisedText& text, const std::function<int32_t(int32_t)>& row_of,
                          TrainingPass& out, std::span<double> counts) {
  for (const int32_t place : text.masked) {
    const auto i = static_cast<size_t>(place);
    out.add_label(row_of(place), text.clean[i], {0, 1 / text.levels[i]});
  }
  for (const float level : text.levels) counts[0] += level > 0;
}

}  // namespace tidar
