// Rows that are held against the distribution of other rows: losses and gradients are those of
// cross-entropies with every token of the vocabulary, weighed by what the rows say.

#include <algorithm>
#include <cmath>

#include "net/trainable_testing.h"

namespace tidar {
namespace {

class TrainableTargetsTest : public testing::TestWithParam<TrainingBackend> {};
INSTANTIATE_TEST_SUITE_P(Backends, TrainableTargetsTest, testing::ValuesIn(all_training_backends()),
                         [](const auto& parameter) { return parameter.param.name; });

struct Targeted {
  Pass pass;
  std::vector<Label> labels;
};

// TiDAR's layout: masks are held against what the row before them says, most of which have a label.
Targeted targeted_pass(Rng& rng, int vocabulary, Distance distance) {
  Targeted made;
  Tokens text = random_tokens(rng, 2 + rng.below(12), vocabulary);
  // A text that begins with the mask token reads as masks do: there l1 has no slope but corners.
  for (int32_t& token : text) token = std::max(token, kMaskToken + 1);
  const auto size = static_cast<int32_t>(text.size());
  made.pass.begin_sequence();
  add_tidar_training(made.pass, text, 1 + rng.below(6), kMaskToken);
  for (int32_t row = 0; row < size; ++row) {
    if (rng.below(4) == 0) continue;
    made.labels.push_back({row, rng.below(vocabulary), rng.uniform()});
  }
  for (int32_t i = 0; i < size; ++i) {
    const SoftTarget target = {i - 1, distance, rng.below(3) == 0 ? 1.0f : rng.uniform()};
    made.labels.push_back({size + i, rng.below(vocabulary), rng.uniform(), target});
  }
  return made;
}

// [row][token], of all rows.
std::vector<std::vector<double>> probabilities(Trainable& trainable, const Pass& pass) {
  const auto rows = static_cast<size_t>(pass.rows());
  std::vector<std::vector<double>> found(rows);
  std::vector<double> losses(rows);
  for (int32_t token = 0; token < trainable.config().vocabulary; ++token) {
    std::vector<Label> labels;
    for (int32_t row = 0; row < pass.rows(); ++row) labels.push_back({row, token, 1});
    trainable.evaluate(pass, labels, losses);
    for (size_t row = 0; row < rows; ++row) found[row].push_back(std::exp(-losses[row]));
  }
  return found;
}

double distance_of(Distance distance, const std::vector<double>& q, const std::vector<double>& p) {
  double sum = 0;
  for (size_t i = 0; i < q.size(); ++i) {
    sum += distance == Distance::l1 ? std::abs(q[i] - p[i]) : p[i] * std::log(p[i] / q[i]);
  }
  return sum;
}

// What the cross-entropy of a token counts in the gradient of label's loss: the gradient of kl is
// that of the sum of p CE, and that of l1 is that of -sum of q sign(q - p) CE, q and p as they are.
double part_of(const Label& label, int32_t token, const std::vector<double>& q,
               const std::vector<double>& p) {
  const double hard = token == label.token ? 1 : 0;
  if (label.target.row < 0) return hard;
  const double share = label.target.share, own = q[static_cast<size_t>(token)];
  const double wanted = p[static_cast<size_t>(token)];
  const double soft = label.target.distance == Distance::kl ? wanted : own < wanted ? own : -own;
  return (1 - share) * hard + share * soft;
}

std::vector<double> gradients_of(Trainable& trainable) {
  std::vector<double> values;
  for (const Parameter& parameter : trainable.parameters().all()) {
    for (int64_t i = 0; i < parameter.gradient.rows * parameter.gradient.cols; ++i) {
      values.push_back(gradient_at(parameter, i));
    }
  }
  return values;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected,
                 double relative) {
  double largest = 0, worst = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(found[i] - expected[i]));
  }
  EXPECT_LE(worst, relative * largest);
}

TEST_P(TrainableTargetsTest, GradientsAreThoseOfWeighedCrossEntropies) {
  const bool is_exact = GetParam().activation == DType::f64;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Rng rng(seed);
    const auto distance = seed % 2 == 0 ? Distance::l1 : Distance::kl;
    const ModelConfig config = random_model(rng, static_cast<int>(seed) % kModelKinds);
    const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
    const Targeted one = targeted_pass(rng, config.vocabulary, distance);
    TrainableOnBackend truth(config, weights, {"ref_f64", DType::f64, std::nullopt});
    const auto said = probabilities(*truth, one.pass);
    const auto of = [&](int32_t row) { return said[static_cast<size_t>(std::max(row, 0))]; };
    std::vector<double> losses(one.labels.size());
    for (int32_t token = 0; token < config.vocabulary; ++token) {
      std::vector<Label> parts;
      for (const Label& label : one.labels) {
        const double part = part_of(label, token, of(label.row), of(label.target.row));
        parts.push_back({label.row, token, static_cast<float>(label.weight * part)});
      }
      truth->add_gradients(one.pass, parts, losses);
    }

    TrainableOptions options = TrainableOnBackend::kOptions;
    options.logit_bytes = int64_t{1 + rng.below(12)} * config.vocabulary * 4;
    TrainableOnBackend on(config, weights, GetParam(), WeightFormat::f32, 2, options);
    on->add_gradients(one.pass, one.labels, losses);
    expect_near(gradients_of(*on), gradients_of(*truth), is_exact ? 1e-6 : 1e-4);
    for (size_t i = 0; i < losses.size(); ++i) {
      const Label& label = one.labels[i];
      const double share = label.target.row < 0 ? 0 : double{label.target.share};
      const double hard = -std::log(of(label.row)[static_cast<size_t>(label.token)]);
      const double expected =
          (1 - share) * hard + share * distance_of(distance, of(label.row), of(label.target.row));
      EXPECT_NEAR(losses[i], expected, is_exact ? 1e-9 : 2e-5) << "label " << i;
    }
    std::vector<double> again(losses.size());
    on->evaluate(one.pass, one.labels, again);
    EXPECT_EQ(again, losses);
  }
}

// How many rows of logits there is room for changes sums in no more than their rounding.
TEST_P(TrainableTargetsTest, RoomForLogitsDoesNotMatter) {
  Rng rng(7);
  const ModelConfig config = random_model(rng, 1);
  const ModelWeights weights = ModelWeights::random(config, DType::f32, 4);
  const Targeted one = targeted_pass(rng, config.vocabulary, Distance::l1);
  TrainableOnBackend all(config, weights, GetParam());
  std::vector<double> expected(one.labels.size()), losses(one.labels.size());
  all->add_gradients(one.pass, one.labels, expected);
  for (const int rows : {0, 2, 3, 9}) {
    TrainableOptions options = TrainableOnBackend::kOptions;
    options.logit_bytes =
        int64_t{rows} * config.vocabulary * (GetParam().activation == DType::f64 ? 8 : 4);
    TrainableOnBackend some(config, weights, GetParam(), WeightFormat::f32, 2, options);
    some->add_gradients(one.pass, one.labels, losses);
    EXPECT_EQ(losses, expected) << rows;
    expect_near(gradients_of(*some), gradients_of(*all), 1e-5);
  }
}

}  // namespace
}  // namespace tidar
