#include "train/objective_kinds.h"

namespace tidar {

namespace {

class ArObjective final : public Objective {
 public:
  explicit ArObjective(const ObjectiveOptions& options) : options_(options) {}

  std::span<const LossTerm> terms() const override {
    static constexpr LossTerm kTerms[] = {{"ar", 1}};
    return kTerms;
  }
  PassExtent largest_pass(int tokens) const override { return {tokens, tokens}; }

  void add(const Document& document, const DocumentNoise&, TrainingPass& out,
           std::span<double> counts) const override {
    out.pass.begin_sequence();
    const int32_t first = add_causal(out.pass, document.tokens, Keep::scratch);
    add_next_token_labels(options_, document, first, out, counts);
  }

 private:
  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_ar_objective(const ObjectiveOptions& options) {
  return std::make_unique<ArObjective>(options);
}

}  // namespace tidar
