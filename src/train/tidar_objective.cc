// TiDAR's loss (arXiv 2511.08923): (alpha * mean CE of the clean half + mean CE of the mask half) /
// (1 + alpha). The clean half predicts the next token, the mask half the token in its own place.

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "train/objective_kinds.h"

namespace tidar {

namespace {

constexpr int32_t kDiffusion = 1;  // index of that term; the other is that of next tokens

class TidarObjective final : public Objective {
 public:
  explicit TidarObjective(const ObjectiveOptions& options)
      : options_(options),
        terms_{LossTerm{"ar", options.alpha / (1 + options.alpha)},
               LossTerm{"diffusion", 1 / (1 + options.alpha)}} {}

  std::span<const LossTerm> terms() const override { return terms_; }
  PassExtent largest_pass(int tokens) const override {
    if (options_.block_start != BlockStart::anchors) return extent_of_two_halves(options_, tokens);
    const bool is_cut = options_.block_end == BlockEnd::cut;
    return {2 * tokens, is_cut ? tokens : tokens + std::min(options_.block_size, tokens) - 1};
  }

  void add(const Document& document, const DocumentNoise& noise, TrainingPass& out,
           std::span<double> counts) const override {
    const Blocks blocks = blocks_of(options_, noise);
    out.pass.begin_sequence();
    if (options_.block_start == BlockStart::anchors) {
      add_anchored(document, noise, blocks.size, out, counts);
      return;
    }
    const int32_t whole = size_with_last_block(options_, document, blocks);
    NoisedText text = second_half(document, noise, blocks, whole);
    text.tokens.resize(static_cast<size_t>(whole), options_.mask_token);
    const int32_t first =
        add_tidar_training(out.pass, document.tokens, blocks, options_.mask_token, text.tokens);
    add_next_token_labels(options_, document, first, out, counts);
    const auto size = static_cast<int32_t>(document.tokens.size());
    for (const int32_t place : text.masked) {
      add_mask_label(document,
                     {first + size + place, place, place - blocks.around(place, size).from}, out,
                     counts);
    }
  }

 private:
  struct Mask {
    int32_t row;
    int32_t position;  // in the document
    int32_t place;     // in its block
  };

  void add_mask_label(const Document& document, const Mask& mask, TrainingPass& out,
                      std::span<double> counts) const {
    const double decay = options_.place_decay;
    const float part = decay > 0 ? static_cast<float>(std::exp(-mask.place / decay)) : 1.0f;
    const int32_t clean = out.pass.sequences.back().first_row;
    SoftTarget target;
    if (options_.target.share > 0 && mask.position > 0 &&
        is_learnt(options_, document, mask.position)) {
      target = {clean + mask.position - 1, options_.target.distance,
                static_cast<float>(options_.target.share)};
    }
    out.add_label(mask.row, mask_label(options_, document, mask.position),
                  {kDiffusion, part, mask.place}, target);
    counts[kDiffusion] += double{part};
  }

  // Masks of blocks of block_size tokens behind the clean tokens. No block has more masks than the
  // document has tokens, nor have all together.
  void add_anchored(const Document& document, const DocumentNoise& noise, int32_t block_size,
                    TrainingPass& out, std::span<double> counts) const {
    const int32_t first = add_causal(out.pass, document.tokens, Keep::scratch);
    add_next_token_labels(options_, document, first, out, counts);
    const auto size = static_cast<int32_t>(document.tokens.size());
    const int32_t whole = std::min(block_size, size);
    for (const int32_t anchor : anchors_of(document, noise, size / whole)) {
      const bool is_cut = options_.block_end == BlockEnd::cut;
      const int32_t masks = is_cut ? std::min(whole, size - anchor) : whole;
      const int32_t row = add_masks(out.pass, anchor, masks, options_.mask_token);
      for (int32_t m = 0; m < masks; ++m) {
        if (mask_label(options_, document, anchor + m) < 0) continue;
        add_mask_label(document, {row + m, anchor + m, m}, out, counts);
      }
    }
  }

  // Ascending.
  std::vector<int32_t> anchors_of(const Document& document, const DocumentNoise& noise,
                                  int32_t count) const {
    std::vector<std::pair<float, int32_t>> drawn;  // those with the least numbers are taken
    for (int32_t i = 0; i < static_cast<int32_t>(document.tokens.size()); ++i) {
      if (!is_learnt(options_, document, i)) continue;
      const bool is_first = drawn.empty();
      drawn.emplace_back(is_first ? 0 : noise.uniform(DocumentNoise::Purpose::start, i), i);
    }
    std::sort(drawn.begin(), drawn.end());
    drawn.resize(std::min(drawn.size(), static_cast<size_t>(count)));
    std::vector<int32_t> anchors;
    for (const auto& [number, place] : drawn) anchors.push_back(place);
    std::sort(anchors.begin(), anchors.end());
    return anchors;
  }

  // Under full masking, tokens that are not learnt are masks as well: a block is all masks.
  // `whole`: tokens with the last block.
  NoisedText second_half(const Document& document, const DocumentNoise& noise, const Blocks& blocks,
                         int32_t whole) const {
    const auto size = static_cast<int32_t>(document.tokens.size());
    if (options_.masking == Masking::random) {
      const int32_t added = has_end_tokens(options_, document) ? whole - size : 0;
      return add_noise(options_, document, noise, blocks, added);
    }
    const int32_t labelled = options_.block_end == BlockEnd::end_tokens ? whole : size;
    NoisedText text;
    text.tokens.assign(document.tokens.size(), options_.mask_token);
    for (int32_t i = 0; i < labelled; ++i) {
      if (mask_label(options_, document, i) >= 0) text.masked.push_back(i);
    }
    return text;
  }

  ObjectiveOptions options_;
  std::array<LossTerm, 2> terms_;
};

}  // namespace

std::unique_ptr<Objective> make_tidar_objective(const ObjectiveOptions& options) {
  return std::make_unique<TidarObjective>(options);
}

}  // namespace tidar
