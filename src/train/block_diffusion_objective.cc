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
           std::span<int64_t> counts) const override {
    const Blocks blocks = blocks_of(options_, noise);
    NoisedText text = add_noise(options_, document, noise, blocks);
    text.tokens.resize(static_cast<size_t>(size_with_last_block(options_, document, blocks)),
                       options_.mask_token);
    out.pass.begin_sequence();
    const int32_t first =
        add_block_diffusion_training(out.pass, document.tokens, text.tokens, blocks);
    const auto size = static_cast<int32_t>(document.tokens.size());
    add_denoising_labels(document, text, first + size, out, counts);
  }

 private:
  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_block_diffusion_objective(const ObjectiveOptions& options) {
  return std::make_unique<BlockDiffusionObjective>(options);
}

}  // namespace tidar
