// Masked diffusion (MDLM, arXiv 2406.07524; LLaDA, arXiv 2502.09992): a document is one block with
// one noise level, and every row sees every row.

#include <algorithm>

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
  PassExtent largest_pass(int tokens) const override {
    return {options_.padding > 0 ? 2 * tokens : tokens,
            tokens + std::min(tokens, options_.padding)};
  }

  void add(const Document& document, const DocumentNoise& noise, TrainingPass& out,
           std::span<double> counts) const override {
    const auto size = static_cast<int32_t>(document.tokens.size());
    const int32_t added = padding_of(document, noise);
    const NoisedText text = add_noise(options_, document, noise, Blocks(size + added), added);
    out.pass.begin_sequence();
    const int32_t first = add_bidirectional(out.pass, text.tokens);
    const int32_t shift = options_.label_shift == LabelShift::one ? 1 : 0;
    add_denoising_labels(
        text, [&](int32_t place) { return first + place - shift; }, out, counts);
  }

 private:
  int32_t padding_of(const Document& document, const DocumentNoise& noise) const {
    if (options_.padding == 0 || !has_ended(options_, document)) return 0;
    const auto most = std::min(options_.padding, static_cast<int>(document.tokens.size()));
    const float drawn = noise.uniform(DocumentNoise::Purpose::length, 0);
    return std::min(most, static_cast<int>(drawn * static_cast<float>(most + 1)));
  }

  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_masked_diffusion_objective(const ObjectiveOptions& options) {
  return std::make_unique<MaskedDiffusionObjective>(options);
}

}  // namespace tidar
