// TiDAR's loss (arXiv 2511.08923): (alpha * mean CE of the clean half + mean CE of the mask half) /
// (1 + alpha). The clean half predicts the next token, the mask half the token in its own place.

#include <array>

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
    return extent_of_two_halves(options_, tokens);
  }

  void add(const Document& document, const DocumentNoise& noise, TrainingPass& out,
           std::span<int64_t> counts) const override {
    const Blocks blocks = blocks_of(options_, noise);
    NoisedText text = second_half(document, noise, blocks);
    text.tokens.resize(static_cast<size_t>(size_with_last_block(options_, document, blocks)),
                       options_.mask_token);
    out.pass.begin_sequence();
    const int32_t first =
        add_tidar_training(out.pass, document.tokens, blocks, options_.mask_token, text.tokens);
    add_next_token_labels(options_, document, first, out, counts);
    const auto size = static_cast<int32_t>(document.tokens.size());
    for (const int32_t place : text.masked) {
      out.add_label(first + size + place, document.tokens[static_cast<size_t>(place)],
                    {kDiffusion, 1, place - blocks.around(place, size).from});
      ++counts[kDiffusion];
    }
  }

 private:
  // Under full masking, tokens that are not learnt are masks as well: a block is all masks.
  NoisedText second_half(const Document& document, const DocumentNoise& noise,
                         const Blocks& blocks) const {
    if (options_.masking == Masking::random) return add_noise(options_, document, noise, blocks);
    NoisedText text;
    text.tokens.assign(document.tokens.size(), options_.mask_token);
    for (int32_t i = 0; i < static_cast<int32_t>(document.tokens.size()); ++i) {
      if (is_learnt(options_, document, i)) text.masked.push_back(i);
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
