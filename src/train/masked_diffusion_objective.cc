// Masked diffusion (MDLM, arXiv 2406.07524; LLaDA, arXiv 2502.09992): a document is one block with
// one noise level, and every row sees every row.

#include "train/objective_kinds.h"

namespace tidar {

namespace {

class MaskedDiffusionObjective final : public Objective {
 public:
  explicit MaskedDiffusionObjective(const ObjectiveOptions& options) : options_(options) {}

  std::span<const LossTerm> terms() const override {
    static constexpr LossTerm kTerms[] = {{"diffusion", 1}};
    return kTerms;
  }
  PassExtent largest_pass(int tokens) const override { return {tokens, tokens}; }

  void add(const Document& document, const DocumentNoise& noise, TrainingPass& out,
           std::span<int64_t> counts) const override {
    const Blocks whole(static_cast<int>(document.tokens.size()));
    const NoisedText text = add_noise(options_, document, noise, whole);
    out.pass.begin_sequence();
    const int32_t first = add_bidirectional(out.pass, text.tokens);
    add_denoising_labels(document, text, first, out, counts);
  }

 private:
  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_masked_diffusion_objective(const ObjectiveOptions& options) {
  return std::make_unique<MaskedDiffusionObjective>(options);
}

}  // namespace tidar
