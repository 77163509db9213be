// Block diffusion (BD3-LM, arXiv 2503.09573): each block is denoised from its own unmasked tokens
// and the clean blocks before it; all blocks at once, from a doubled layout.

#include "train/objective_kinds.h"

namespace tidar {

namespace {

class BlockDiffusionObjective final : public Objective {
 public:
  explicit BlockDiffusionObjective(const ObjectiveOptions& options) : options_(options) {}

  std::span<const LossTerm> terms() const override {
    static constexpr LossTerm kTerms[] = {{"diffusion", 1}};
    return kTerms;
  }
  PassExtent largest_pass(int tokens) const override {
    return extent_of_two_halves(options_, tokens);
  }

  void add(const Document& document, const DocumentNoise& noise, TrainingPass& out,
           std::span<double> counts) const override {
    const Blocks blocks = blocks_of(options_, noise);
    const auto size = static_cast<int32_t>(document.tokens.size());
    const int32_t whole = size_with_last_block(options_, document, blocks);
    const int32_t added = has_end_tokens(options_, document) ? whole - size : 0;
    NoisedText text = add_noise(options_, document, noise, blocks, added);
    text.tokens.resize(static_cast<size_t>(whole), options_.mask_token);
    out.pass.begin_sequence();
    const int32_t first =
        add_block_diffusion_training(out.pass, document.tokens, text.tokens, blocks);
    const auto row_of = [&](int32_t place) {
      if (options_.label_shift == LabelShift::none) return first + size + place;
      const bool is_first = blocks.around(place, whole).from == place;
      return first + (is_first ? 0 : size) + place - 1;
    };
    add_denoising_labels(text, row_of, out, counts);
  }

 private:
  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_block_diffusion_objective(const ObjectiveOptions& options) {
  return std::make_unique<BlockDiffusionObjective>(options);
}

}  // namespace tidar
