// Objective, network and optimizer together: a fixed batch is learnt, and every backend learns it
// along the same curve.

#include <gtest/gtest.h>

#include <cmath>

#include "net/trainable_testing.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace tidar {
namespace {

constexpr int kFittingSteps = 40;

struct Batch {
  std::vector<Tokens> texts;
  std::vector<std::vector<Document>> packs;
};

Batch random_batch(Rng& rng, int vocabulary) {
  Batch batch;
  for (int i = 0; i < 6; ++i) {
    batch.texts.push_back(random_tokens(rng, 1 + rng.below(30), vocabulary - 1));
  }
  batch.packs.resize(2);
  for (size_t i = 0; i < batch.texts.size(); ++i) batch.packs[i % 2].push_back({batch.texts[i]});
  return batch;
}

// The losses of kFittingSteps steps.
std::vector<double> fit(const TrainingBackend& backend, ObjectiveOptions options) {
  Rng rng(6);
  ModelConfig config = random_model(rng, 1);
  TrainableOnBackend on(config, ModelWeights::random(config, DType::f32, 2), backend);
  const Batch batch = random_batch(rng, config.vocabulary);
  options.mask_token = config.vocabulary - 1;
  const auto objective = std::move(make_objective(options, {30, config.vocabulary}).value());
  const Schedule schedule = {Decay::cosine, 3e-3, 3e-4, kFittingSteps, 4, 0};
  Threads threads(2);
  AdamW optimizer(on->parameters(), {}, threads);
  std::vector<double> curve;
  for (uint64_t step = 0; step < kFittingSteps; ++step) {
    std::vector<double> means(objective->terms().size(), 0.0);
    on->parameters().zero_gradients();
    for (const TrainingPass& pass : lay_out_step(*objective, batch.packs, {1, step})) {
      std::vector<double> losses(pass.labels.size());
      on->add_gradients(pass.pass, pass.labels, losses);
      add_term_means(pass, losses, means);
    }
    curve.push_back(total_loss(objective->terms(), means));
    const double norm = gradient_norm(on->parameters(), threads);
    optimizer.update(on->parameters(), schedule.rate(static_cast<int64_t>(step)),
                     clip_scale(norm, 1));
    on->refresh();
  }
  return curve;
}

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// "l1" and "kl": masks at anchors, held against what the causal reading says.
ObjectiveOptions objective_of(const std::string& name) {
  if (name != "l1" && name != "kl") return parse_objective(name).value();
  ObjectiveOptions options = parse_objective("tidar:4").value();
  options.block_start = BlockStart::anchors;
  options.place_decay = 3;
  options.target = {name == "l1" ? Distance::l1 : Distance::kl, 0.7};
  return options;
}

TEST(Fitting, EveryBackendFollowsTheSameCurve) {
  for (const std::string name : {"ar", "tidar:4", "block:4", "masked", "l1", "kl"}) {
    SCOPED_TRACE(name);
    const ObjectiveOptions options = objective_of(name);
    const std::vector<double> truth = fit({"ref_f64", DType::f64, std::nullopt}, options);
    const std::span<const double> all(truth);
    // Ten steps at a time, for the noise of block and masked.
    EXPECT_LT(mean_of(all.last(10)), 0.9 * mean_of(all.first(10)));
    double worst = 0;
    for (const TrainingBackend& backend : all_training_backends()) {
      const std::vector<double> curve = fit(backend, options);
      for (size_t step = 0; step < curve.size(); ++step) {
        worst = std::max(worst, std::abs(curve[step] - truth[step]));
        ASSERT_NEAR(curve[step], truth[step], 1e-3) << backend.name << ", step " << step;
      }
    }
    std::printf("    %-8s %.3f to %.3f, curves at most %.1e apart\n", name.c_str(),
                mean_of(all.first(10)), mean_of(all.last(10)), worst);
  }
}

}  // namespace
}  // namespace tidar
