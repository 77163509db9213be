// An adapter under training: its losses against the serving network's, its gradients against the
// float64 reference and against differences of the loss.

#include "net/trained_adapter.h"

#include <cstring>

#include "model/adapter_testing.h"
#include "net/trainable_passes_testing.h"

namespace tidar {
namespace {

class TrainedAdapterTest : public testing::TestWithParam<TrainingBackend> {};
INSTANTIATE_TEST_SUITE_P(Backends, TrainedAdapterTest, testing::ValuesIn(all_training_backends()),
                         [](const auto& parameter) { return parameter.param.name; });

TrainableOptions with_adapter(const AdapterConfig& adapter) {
  TrainableOptions options = TrainableOnBackend::kOptions;
  options.adapter = adapter;
  return options;
}

// The numbers of an adapter of the same config.
void take_over(const RandomAdapter& from, Trainable& to) {
  size_t next = 0;
  for (const WeightSpec& spec : from.table) {
    const Matrix value = to.parameters().get(spec.role, spec.layer, spec.part).value;
    ASSERT_EQ(value.rows * value.cols, std::ssize(from.numbers[next]));
    std::memcpy(value.data, from.numbers[next].data(), static_cast<size_t>(value.bytes()));
    ++next;
  }
  to.refresh();
}

// Calls body(rng, config, pass, adapter) for a random model of each family, each kind of pass, and
// both kinds of rows by turns.
template <class Body>
void for_each_adapter(uint64_t seed, int longest, Body&& body) {
  int round = 0;
  for_each_model_and_layout(
      seed, longest, [&](Rng& rng, const ModelConfig& config, const RandomPass& one) {
        const AdapterRows rows = round++ % 3 == 0 ? AdapterRows::all : AdapterRows::masks;
        const AdapterConfig adapter = random_adapter_config(rng, rows, kMaskToken);
        const RandomAdapter random(config, adapter, rng);
        SCOPED_TRACE(text_of(adapter));
        body(rng, config, one, random);
      });
}

TEST_P(TrainedAdapterTest, LossesAreThoseOfTheServingNetwork) {
  for_each_adapter(
      51, 40, [](Rng& rng, const ModelConfig& config, RandomPass one, const RandomAdapter& random) {
        const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
        const BackendUnderTest exact = {"ref_f64",
                                        [](Threads&) { return make_ref_ops(DType::f64); },
                                        WeightFormat::f32, DType::f32, false};
        const Logits logits =
            NetworkOnBackend(config, weights, exact, 2, &random.adapter).logits(one.pass);
        one.pass.asks.clear();
        TrainableOnBackend on(config, weights, GetParam(), WeightFormat::f32, 2,
                              with_adapter(random.adapter.config()));
        take_over(random, *on);
        std::vector<double> losses(one.labels.size());
        on->evaluate(one.pass, one.labels, losses);
        const double tolerance = GetParam().activation == DType::f64 ? 4 * 0x1p-20 : 2e-4;
        for (size_t i = 0; i < losses.size(); ++i) {
          const auto& row = logits[static_cast<size_t>(one.labels[i].row)];
          double sum = 0;
          for (const float logit : row) sum += std::exp(double{logit} - double{row[0]});
          const double label = row[static_cast<size_t>(one.labels[i].token)];
          EXPECT_NEAR(losses[i], double{row[0]} + std::log(sum) - label, tolerance)
              << "label " << i;
        }
      });
}

// Where B is 0, as a run begins.
TEST_P(TrainedAdapterTest, ANewOneChangesNothing) {
  for_each_adapter(
      52, 40,
      [](Rng& rng, const ModelConfig& config, const RandomPass& one, const RandomAdapter& random) {
        const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
        TrainableOnBackend plain(config, weights, GetParam());
        TrainableOnBackend on(config, weights, GetParam(), WeightFormat::f32, 2,
                              with_adapter(random.adapter.config()));
        take_over(random, *on);
        for (Parameter& parameter : on->parameters().all()) {
          if (parameter.spec.part == WeightPart::lora_b) {
            std::memset(parameter.value.data, 0, static_cast<size_t>(parameter.value.bytes()));
          }
        }
        on->refresh();
        std::vector<double> found(one.labels.size()), expected(one.labels.size());
        on->evaluate(one.pass, one.labels, found);
        plain->evaluate(one.pass, one.labels, expected);
        EXPECT_EQ(found, expected);
      });
}

TEST_P(TrainedAdapterTest, GradientsAreThoseOfTheFloat64Reference) {
  if (GetParam().activation == DType::f64) return;
  for_each_adapter(
      53, 60,
      [](Rng& rng, const ModelConfig& config, const RandomPass& one, const RandomAdapter& random) {
        const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
        const TrainableOptions options = with_adapter(random.adapter.config());
        TrainableOnBackend on(config, weights, GetParam(), WeightFormat::f32, 2, options);
        TrainableOnBackend truth(config, weights, {"ref_f64", DType::f64, std::nullopt},
                                 WeightFormat::f32, 2, options);
        for (TrainableOnBackend* each : {&on, &truth}) {
          take_over(random, **each);
          add_gradients(**each, one);
        }
        for (size_t p = 0; p < truth->parameters().all().size(); ++p) {
          const Parameter& expected = truth->parameters().all()[p];
          const Parameter& found = on->parameters().all()[p];
          const double largest = largest_gradient(expected);
          for (int64_t i = 0; i < expected.gradient.rows * expected.gradient.cols; ++i) {
            ASSERT_NEAR(gradient_at(found, i), gradient_at(expected, i), 2e-4 * largest + 1e-12)
                << expected.spec.name << "[" << i << "]";
          }
        }
      });
}

// The base frozen, as a run has it, and layers computed a second time: the same gradients of A and
// B, to the bit.
TEST_P(TrainedAdapterTest, AFrozenBaseAndLayersComputedTwiceChangeNoGradient) {
  for_each_adapter(
      54, 40,
      [](Rng& rng, const ModelConfig& config, const RandomPass& one, const RandomAdapter& random) {
        const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
        TrainableOptions options = with_adapter(random.adapter.config());
        TrainableOnBackend all(config, weights, GetParam(), WeightFormat::f32, 2, options);
        for (const WeightSpec& spec : weight_table(config)) options.frozen.push_back(spec.name);
        options.activation_bytes = 0;
        TrainableOnBackend alone(config, weights, GetParam(), WeightFormat::f32, 2, options);
        for (TrainableOnBackend* each : {&all, &alone}) {
          take_over(random, **each);
          add_gradients(**each, one);
        }
        for (const WeightSpec& spec : random.table) {
          const Parameter& a = all->parameters().get(spec.role, spec.layer, spec.part);
          const Parameter& b = alone->parameters().get(spec.role, spec.layer, spec.part);
          for (int64_t i = 0; i < a.gradient.rows * a.gradient.cols; ++i) {
            ASSERT_EQ(gradient_at(a, i), gradient_at(b, i)) << spec.name << "[" << i << "]";
          }
        }
      });
}

TEST(TrainedAdapterDifferences, GradientsAreSlopesOfTheLoss) {
  double worst = 0;
  int round = 0;
  for_each_adapter(
      55, 7,
      [&](Rng& rng, const ModelConfig& config, const RandomPass& one, const RandomAdapter& random) {
        if (round++ % 4 > 1) return;  // half of them take half the time
        TrainableOnBackend on(config, ModelWeights::random(config, DType::f32, rng.bits()),
                              {"ref_f64", DType::f64, std::nullopt}, WeightFormat::f32, 2,
                              with_adapter(random.adapter.config()));
        take_over(random, *on);
        round_masters(*on);
        expect_slopes(*on, one, rng, worst);
      });
  std::printf("    worst difference %.1e of what the tensor's largest gradient would make\n",
              worst);
}

}  // namespace
}  // namespace tidar
