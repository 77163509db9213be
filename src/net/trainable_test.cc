// Losses and gradients against other programs' numbers, against the serving network, and against
// float64 differences.

#include "net/trainable.h"

#include <cmath>
#include <cstring>
#include <filesystem>

#include "net/fixture_files_testing.h"
#include "net/trainable_passes_testing.h"
#include "net/trainable_testing.h"

namespace tidar {
namespace {

class TrainableTest : public testing::TestWithParam<TrainingBackend> {};
INSTANTIATE_TEST_SUITE_P(Backends, TrainableTest, testing::ValuesIn(all_training_backends()),
                         [](const auto& parameter) { return parameter.param.name; });

// ---- against autograd of another program ----

struct TidarLoss {
  Pass pass;
  std::vector<Label> labels;  // those of the clean half, then those of the masks
};

// Half of the loss is the mean over the clean half, half that over the masks.
TidarLoss fixture_loss(const nlohmann::json& masked) {
  const auto& loss = masked["tidar_train_loss"];
  Tokens text = loss["text"];
  text.pop_back();
  TidarLoss made;
  made.pass.begin_sequence();
  for (const auto& pass : masked["passes"]) {
    if (pass["name"] != "tidar_train") continue;
    add_tidar_training(made.pass, text, pass["K"].get<int>(), masked["mask_token_id"]);
  }
  int32_t row = 0;
  for (const char* half : {"ar_labels", "diffusion_labels"}) {
    for (const int32_t token : loss[half].get<Tokens>()) {
      made.labels.push_back({row++, token, 0.5f / static_cast<float>(text.size())});
    }
  }
  return made;
}

TEST_P(TrainableTest, FixturesLossesAndGradients) {
  for (const std::string name : {"qwen2", "qwen3"}) {
    SCOPED_TRACE(name);
    const auto folder = std::filesystem::path(TIDAR_FIXTURES) / name;
    const auto masked = read_fixture_json(folder / "masked" / "masked.json");
    const auto& expected = masked["tidar_train_loss"];
    const ModelConfig config = read_model_config(folder).value();
    TrainableOnBackend on(config, ModelWeights::open(folder, config).value(), GetParam());
    const TidarLoss loss = fixture_loss(masked);
    std::vector<double> losses(loss.labels.size());
    on->add_gradients(loss.pass, loss.labels, losses);

    const bool is_exact = GetParam().activation == DType::f64;
    std::vector<double> rows = expected["ar_loss_rows"];
    const std::vector<double> diffusion_rows = expected["diffusion_loss_rows"];
    rows.insert(rows.end(), diffusion_rows.begin(), diffusion_rows.end());
    double total = 0, worst_loss = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      total += double{loss.labels[i].weight} * losses[i];
      worst_loss = std::max(worst_loss, std::abs(losses[i] - rows[i]));
    }
    EXPECT_LE(worst_loss, 1e-5);
    EXPECT_NEAR(total, expected["total_loss"].get<double>(), 1e-5);

    double worst = 0, squares = 0;
    for (const Parameter& parameter : on->parameters().all()) {
      SCOPED_TRACE(parameter.spec.name);
      ASSERT_TRUE(expected["gradients"].contains(parameter.spec.name));
      const auto& one = expected["gradients"][parameter.spec.name];
      const int64_t count = parameter.gradient.rows * parameter.gradient.cols;
      const std::vector<float> truth = read_fixture_floats(
          folder / "masked" / one["file"].get<std::string>(), static_cast<size_t>(count));
      const auto largest = one["max_abs"].get<double>();
      for (int64_t i = 0; i < count; ++i) {
        const double found = gradient_at(parameter, i);
        const double error = std::abs(found - double{truth[static_cast<size_t>(i)]}) / largest;
        worst = error <= worst ? worst : error;  // so that no number is the worst
        squares += found * found;
      }
    }
    EXPECT_EQ(on->parameters().all().size(), expected["gradients"].size());
    // In float64 the rotary table and the fixture's files are what is left of float32.
    EXPECT_LE(worst, is_exact ? 2e-6 : 1e-4);
    EXPECT_NEAR(std::sqrt(squares) / expected["grad_global_l2"].get<double>(), 1, 1e-5);
    std::printf("    %-6s worst loss %.1e, worst gradient %.1e of its tensor's largest\n",
                name.c_str(), worst_loss, worst);
  }
}

// ---- passes of every kind ----

// The serving network reads the same pass, through its own attention and keys in scratch slots.
TEST_P(TrainableTest, LossesAreThoseOfTheServingNetwork) {
  for_each_model_and_layout(21, 60, [](Rng& rng, const ModelConfig& config, RandomPass one) {
    const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
    const BackendUnderTest exact = {"ref_f64", [](Threads&) { return make_ref_ops(DType::f64); },
                                    WeightFormat::f32, DType::f32, false};
    const Logits logits = NetworkOnBackend(config, weights, exact).logits(one.pass);
    one.pass.asks.clear();
    TrainableOnBackend on(config, weights, GetParam());
    std::vector<double> losses(one.labels.size());
    on->evaluate(one.pass, one.labels, losses);
    // Logits come as float32, and lie below 16.
    const double tolerance = GetParam().activation == DType::f64 ? 4 * 0x1p-20 : 2e-4;
    for (size_t i = 0; i < losses.size(); ++i) {
      const auto& row = logits[static_cast<size_t>(one.labels[i].row)];
      const double expected =
          log_sum_exp(row) - double{row[static_cast<size_t>(one.labels[i].token)]};
      EXPECT_NEAR(losses[i], expected, tolerance) << "label " << i;
    }
  });
}

// Property 1 of training: what a clean row says does not depend on the masks.
TEST_P(TrainableTest, TheCleanHalfIsACausalPass) {
  for_each_model_and_layout(22, 60, [](Rng& rng, const ModelConfig& config, const RandomPass&) {
    TrainableOnBackend on(config, ModelWeights::random(config, DType::f32, rng.bits()), GetParam());
    const Tokens text = random_tokens(rng, 2 + rng.below(60), config.vocabulary);
    std::vector<Label> labels;
    for (int32_t row = 0; row + 1 < static_cast<int32_t>(text.size()); ++row) {
      labels.push_back({row, text[static_cast<size_t>(row) + 1], 1});
    }
    std::vector<double> causal(labels.size()), clean(labels.size());
    Pass pass;
    pass.begin_sequence();
    add_causal(pass, text, Keep::scratch);
    on->evaluate(pass, labels, causal);
    pass.clear();
    pass.begin_sequence();
    add_tidar_training(pass, text, 1 + rng.below(8), kMaskToken);
    on->evaluate(pass, labels, clean);
    EXPECT_EQ(causal, clean);
  });
}

// ---- gradients ----

// Every vector kernel against the reference in float64, all families and layouts.
TEST_P(TrainableTest, GradientsAreThoseOfTheFloat64Reference) {
  if (GetParam().activation == DType::f64) return;
  double worst = 0;
  for_each_model_and_layout(
      23, 80, [&](Rng& rng, const ModelConfig& config, const RandomPass& one) {
        const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
        TrainableOnBackend on(config, weights, GetParam());
        TrainableOnBackend truth(config, weights, {"ref_f64", DType::f64, std::nullopt});
        add_gradients(*on, one);
        add_gradients(*truth, one);
        for (size_t p = 0; p < truth->parameters().all().size(); ++p) {
          const Parameter& expected = truth->parameters().all()[p];
          const Parameter& found = on->parameters().all()[p];
          const double largest = largest_gradient(expected);
          for (int64_t i = 0; i < expected.gradient.rows * expected.gradient.cols; ++i) {
            const double error = std::abs(gradient_at(found, i) - gradient_at(expected, i));
            ASSERT_LE(error, 1e-4 * largest + 1e-12) << expected.spec.name << "[" << i << "]";
            if (largest > 1e-6) worst = std::max(worst, error / largest);
          }
        }
      });
  std::printf("    worst gradient %.1e of its tensor's largest\n", worst);
}

// Whatever is frozen, the other gradients are what they were, to the bit.
TEST_P(TrainableTest, FrozenWeightsHaveNoGradient) {
  for (const int kind : {0, 1, 2}) {
    Rng rng(static_cast<uint64_t>(70 + kind));
    const ModelConfig config = random_model(rng, kind);
    const auto weights = ModelWeights::random(config, DType::f32, 3);
    const RandomPass made = random_pass(rng, 1, config.vocabulary, 40);
    std::vector<double> losses(made.labels.size()), frozen_losses = losses;
    TrainableOnBackend all(config, weights, GetParam());
    all->add_gradients(made.pass, made.labels, losses);
    for (int round = 0; round < 4; ++round) {
      TrainableOptions options = TrainableOnBackend::kOptions;
      for (const WeightSpec& spec : weight_table(config)) {
        if (rng.below(2) == 0) options.frozen.push_back(spec.name);
      }
      TrainableOnBackend some(config, weights, GetParam(), WeightFormat::f32, 2, options);
      some->add_gradients(made.pass, made.labels, frozen_losses);
      EXPECT_EQ(frozen_losses, losses);
      size_t frozen = 0;
      for (size_t p = 0; p < some->parameters().all().size(); ++p) {
        const Parameter& parameter = some->parameters().all()[p];
        frozen += parameter.frozen();
        if (parameter.frozen()) continue;
        const Matrix& wanted = all->parameters().all()[p].gradient;
        EXPECT_EQ(
            std::memcmp(parameter.gradient.data, wanted.data, static_cast<size_t>(wanted.bytes())),
            0)
            << parameter.spec.name;
      }
      EXPECT_EQ(frozen, options.frozen.size());
      EXPECT_LE(some->parameters().bytes(), all->parameters().bytes());
    }
  }
}

TEST_P(TrainableTest, GradientsAddUp) {
  Rng rng(31);
  const ModelConfig config = random_model(rng, 1);
  TrainableOnBackend on(config, ModelWeights::random(config, DType::f32, 4), GetParam());
  const RandomPass one = random_pass(rng, 1, config.vocabulary, 40);
  const auto all_gradients = [&] {
    std::vector<double> values;
    for (const Parameter& parameter : on->parameters().all()) {
      for (int64_t i = 0; i < parameter.gradient.rows * parameter.gradient.cols; ++i) {
        values.push_back(gradient_at(parameter, i));
      }
    }
    return values;
  };
  add_gradients(*on, one);
  const std::vector<double> once = all_gradients();
  RandomPass nothing = one;
  for (Label& label : nothing.labels) label.weight = 0;
  add_gradients(*on, nothing);
  EXPECT_EQ(all_gradients(), once);
  nothing.labels.clear();
  add_gradients(*on, nothing);
  EXPECT_EQ(all_gradients(), once);
  on->parameters().zero_gradients();
  add_gradients(*on, one);
  EXPECT_EQ(all_gradients(), once) << "the same again, bit by bit";
  add_gradients(*on, one);
  const std::vector<double> twice = all_gradients();
  const double largest = std::abs(*std::max_element(
      once.begin(), once.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
  for (size_t i = 0; i < once.size(); ++i) {
    ASSERT_NEAR(twice[i], 2 * once[i], 1e-5 * largest) << i;
  }
}

void expect_same_gradients(Trainable& one, Trainable& other) {
  for (size_t p = 0; p < one.parameters().all().size(); ++p) {
    const Parameter& a = one.parameters().all()[p];
    const Parameter& b = other.parameters().all()[p];
    for (int64_t i = 0; i < a.gradient.rows * a.gradient.cols; ++i) {
      ASSERT_EQ(gradient_at(a, i), gradient_at(b, i)) << a.spec.name << "[" << i << "]";
    }
  }
}

// More labels than the head reads at a time, on any number of threads.
TEST_P(TrainableTest, LongPassesAndThreads) {
  Rng rng(32);
  const ModelConfig config = random_model(rng, 0);
  const ModelWeights weights = ModelWeights::random(config, DType::f32, 4);
  RandomPass one;
  const Tokens text = random_tokens(rng, 300, config.vocabulary);
  one.pass.begin_sequence();
  add_tidar_training(one.pass, text, 8, kMaskToken);
  for (int32_t row = 0; row < one.pass.rows(); ++row) {
    one.labels.push_back({row, rng.below(config.vocabulary), 1.0f / 600});
  }
  ASSERT_LE(one.pass.rows(), TrainableOnBackend::kRows);
  TrainableOptions options = TrainableOnBackend::kOptions;
  options.logit_bytes = int64_t{250} * config.vocabulary * 4;
  TrainableOnBackend single(config, weights, GetParam(), WeightFormat::f32, 1, options);
  TrainableOnBackend several(config, weights, GetParam(), WeightFormat::f32, 3, options);
  add_gradients(*single, one);
  add_gradients(*several, one);
  RandomPass tail = one;
  tail.labels.erase(tail.labels.begin(), tail.labels.begin() + 300);
  std::vector<double> all(one.labels.size()), last(tail.labels.size());
  single->evaluate(one.pass, one.labels, all);
  single->evaluate(tail.pass, tail.labels, last);
  EXPECT_EQ(last, std::vector<double>(all.begin() + 300, all.end()));
  expect_same_gradients(*single, *several);
}

// Whatever part of the layers there is room for.
TEST_P(TrainableTest, ComputingLayersASecondTimeChangesNothing) {
  for (int kind = 0; kind < kModelKinds; ++kind) {
    Rng rng(36);
    ModelConfig config = random_model(rng, kind);
    config.layers = 4;
    const ModelWeights weights = ModelWeights::random(config, DType::f32, 4);
    const RandomPass one = random_pass(rng, 1, config.vocabulary, 60);
    TrainableOptions options = TrainableOnBackend::kOptions;
    TrainableOnBackend all(config, weights, GetParam(), WeightFormat::bf16, 2, options);
    EXPECT_EQ(all->recomputed_layers(), 0);
    add_gradients(*all, one);
    options.activation_bytes = 0;
    const auto inside_bytes = [](Trainable& model) { return model.memory()[3].bytes; };
    for (const int kept : {1, 3}) {
      TrainableOnBackend some(config, weights, GetParam(), WeightFormat::bf16, 2, options);
      EXPECT_EQ(some->recomputed_layers(), config.layers - kept);
      add_gradients(*some, one);
      expect_same_gradients(*all, *some);
      const int64_t missing = inside_bytes(*all) - inside_bytes(*some);
      options.activation_bytes = 4 * missing / (config.layers - kept) - 1;
    }
  }
}

// ---- finite differences ----

TEST(TrainableDifferences, GradientsAreSlopesOfTheLoss) {
  double worst = 0;
  for_each_model_and_layout(24, 9, [&](Rng& rng, const ModelConfig& config, const RandomPass& one) {
    TrainableOnBackend on(config, ModelWeights::random(config, DType::f32, rng.bits()),
                          {"ref_f64", DType::f64, std::nullopt});
    round_masters(*on);
    expect_slopes(*on, one, rng, worst);
  });
  std::printf("    worst difference %.1e of what the tensor's largest gradient would make\n",
              worst);
}

// ---- types, masters, memory ----

// Relative distance of all gradients together from those of the float64 reference.
double relative_error(Trainable& found, Trainable& truth) {
  double error = 0, squares = 0;
  for (size_t p = 0; p < truth.parameters().all().size(); ++p) {
    const Parameter& expected = truth.parameters().all()[p];
    for (int64_t i = 0; i < expected.gradient.rows * expected.gradient.cols; ++i) {
      const double difference =
          gradient_at(found.parameters().all()[p], i) - gradient_at(expected, i);
      error += difference * difference;
      squares += gradient_at(expected, i) * gradient_at(expected, i);
    }
  }
  return std::sqrt(error / squares);
}

// Weights that bf16 holds, operands rounded to it. A rounding errs by 2^-9 / sqrt(3) (rms), and a
// gradient goes through about 2 * 10 of them in each of two layers, forward and back, which add up
// like a random walk: 2^-9 / sqrt(3) * sqrt(40) = 0.7 %. Four times that is allowed.
TEST_P(TrainableTest, Bf16ComputeCostsItsRoundings) {
  double worst = 0;
  bool rounds = false;
  for_each_model_and_layout(
      25, 60, [&](Rng& rng, const ModelConfig& config, const RandomPass& one) {
        const ModelWeights weights = ModelWeights::random(config, DType::bf16, rng.bits());
        TrainableOnBackend on(config, weights, GetParam(), WeightFormat::bf16);
        TrainableOnBackend truth(config, weights, {"ref_f64", DType::f64, std::nullopt});
        add_gradients(*on, one);
        add_gradients(*truth, one);
        worst = std::max(worst, relative_error(*on, *truth));
        rounds = on.ops().operand(WeightFormat::bf16) == DType::bf16;
      });
  EXPECT_LE(worst, rounds ? 0.03 : 1e-5);
  std::printf("    worst relative error %.2e\n", worst);
}

// Rounding weights that bf16 holds changes nothing.
TEST(TrainableTypes, Bf16WeightsOfABf16Checkpoint) {
  Rng rng(33);
  const ModelConfig config = random_model(rng, 1);
  const ModelWeights weights = ModelWeights::random(config, DType::bf16, 4);
  const TrainingBackend reference = {"ref_f32", DType::f32, std::nullopt};
  TrainableOnBackend wide(config, weights, reference),
      narrow(config, weights, reference, WeightFormat::bf16);
  const RandomPass one = random_pass(rng, 1, config.vocabulary, 40);
  EXPECT_EQ(weighted_loss(*wide, one), weighted_loss(*narrow, one));
  const double before = weighted_loss(*narrow, one);
  for (Parameter& parameter : narrow->parameters().all()) {
    if (parameter.spec.role == WeightRole::down) parameter.value.row<float>(0)[0] *= 1 + 0x1p-12f;
  }
  narrow->refresh();
  EXPECT_EQ(weighted_loss(*narrow, one), before) << "below the precision of bf16";
  for (Parameter& parameter : narrow->parameters().all()) {
    if (parameter.spec.role == WeightRole::down) parameter.value.row<float>(0)[0] *= 1.5f;
  }
  EXPECT_EQ(weighted_loss(*narrow, one), before) << "not refreshed";
  narrow->refresh();
  EXPECT_NE(weighted_loss(*narrow, one), before);
}

TEST_P(TrainableTest, RefreshTakesOverEveryMaster) {
  Rng rng(34);
  for (int kind = 0; kind < kModelKinds; ++kind) {
    const ModelConfig config = random_model(rng, kind);
    TrainableOnBackend on(config, ModelWeights::random(config, DType::f32, 4), GetParam());
    TrainableOnBackend other(config, ModelWeights::random(config, DType::f32, 5), GetParam());
    const RandomPass one = random_pass(rng, 1, config.vocabulary, 20);
    for (size_t p = 0; p < on->parameters().all().size(); ++p) {
      const Matrix to = on->parameters().all()[p].value;
      const Matrix from = other->parameters().all()[p].value;
      std::copy_n(from.row<float>(0), to.rows * to.cols, to.row<float>(0));
    }
    on->refresh();
    EXPECT_EQ(weighted_loss(*on, one), weighted_loss(*other, one));
  }
}

TEST_P(TrainableTest, MemoryIsTold) {
  Rng rng(35);
  const ModelConfig config = random_model(rng, 0);
  TrainableOnBackend on(config, ModelWeights::random(config, DType::f32, 4), GetParam());
  const auto uses = on->memory();
  const int64_t gradient_bytes = GetParam().activation == DType::f64 ? 8 : 4;
  EXPECT_EQ(uses[0].bytes, config.parameters() * (4 + gradient_bytes));
  // Matrices at least once, in the type of activations or smaller.
  EXPECT_GE(uses[1].bytes, config.parameters() * 4 * 9 / 10);
  EXPECT_EQ(uses[2].bytes, int64_t{TrainableOnBackend::kRows} * config.hidden *
                               (config.layers + 2) * gradient_bytes);
}

TEST(TrainableOptionsTest, WhatCannotBeHadIsAnError) {
  Rng rng(37);
  const ModelConfig config = random_model(rng, 0);
  const ModelWeights weights = ModelWeights::random(config, DType::f32, 4);
  const auto ops = make_ref_ops(DType::f32);
  const auto backward = make_ref_backward(*ops);
  const auto message = [&](const TrainableOptions& options) {
    const auto trainable = Trainable::build(config, weights, *backward, options);
    return trainable.ok() ? "" : trainable.error().message;
  };
  const int all = config.max_positions;
  EXPECT_EQ(message({.max_rows = 1, .activation_bytes = 0, .logit_bytes = 0}), "");
  EXPECT_EQ(message({.max_rows = 8, .max_position = all + 8}), "");
  for (const int rows : {0, -1, 1 << 30}) {
    EXPECT_EQ(message({.max_rows = rows}),
              fmt::format("training with passes of at most {} rows was asked for; 1 to 16777215 "
                          "can be had",
                          rows));
  }
  for (const int positions : {-1, all + 9}) {
    EXPECT_EQ(message({.max_rows = 8, .max_position = positions}),
              fmt::format("training with {} positions was asked for; this model has {}, and passes "
                          "of 8 rows may reach {} (0: the model's)",
                          positions, all, all + 8));
  }
  EXPECT_EQ(message({.max_rows = 8, .activation_bytes = -1, .logit_bytes = 5}),
            "training with -1 bytes for the inside of layers and 5 for logits was asked for; 0 is "
            "the least");
  EXPECT_EQ(message({.max_rows = 8, .activation_bytes = 5, .logit_bytes = -2}),
            "training with 5 bytes for the inside of layers and -2 for logits was asked for; 0 is "
            "the least");
  for (const WeightFormatFacts& facts : kWeightFormats) {
    EXPECT_EQ(message({.max_rows = 8, .compute = facts.format}),
              facts.plain ? ""
                          : fmt::format("training in {} was asked for; it computes with plain "
                                        "weights only, f32 or bf16",
                                        facts.name));
  }
}

}  // namespace
}  // namespace tidar
