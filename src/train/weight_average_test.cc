#include "train/weight_average.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/rng.h"
#include "net/network_testing.h"

namespace tidar {
namespace {

std::vector<float> values_of(const Parameters& parameters) {
  std::vector<float> values;
  for (const Parameter& parameter : parameters.all()) {
    const float* const first = parameter.value.row<float>(0);
    values.insert(values.end(), first, first + parameter.value.rows * parameter.value.cols);
  }
  return values;
}

void move_all(Parameters& parameters, Rng& rng) {
  for (Parameter& parameter : parameters.all()) {
    for (int64_t i = 0; i < parameter.value.rows * parameter.value.cols; ++i) {
      if (!parameter.frozen()) parameter.value.row<float>(0)[i] += 0.1f * rng.normal();
    }
  }
}

TEST(WeightAverage, IsTheRunningMean) {
  Rng rng(3);
  const ModelConfig config = random_model(rng, 1);
  const auto weights = ModelWeights::random(config, DType::f32, 2);
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 3}) {
    Threads pool(threads);
    Parameters parameters(config, weights, DType::f32);
    WeightAverage average(parameters, 0.8, pool);
    const std::vector<float> begin = values_of(parameters);
    std::vector<double> mean(begin.begin(), begin.end());
    Rng own(5);
    constexpr int kUpdates = 60;
    for (int update = 1; update <= kUpdates; ++update) {
      move_all(parameters, own);
      average.take(parameters, update);
      const double decay = std::min(0.8, update / (update + 9.0));
      const std::vector<float> now = values_of(parameters);
      for (size_t i = 0; i < mean.size(); ++i) mean[i] += (1 - decay) * (double{now[i]} - mean[i]);
    }
    const std::vector<float> before = values_of(parameters);
    average.exchange(parameters);
    results.push_back(values_of(parameters));
    for (size_t i = 0; i < mean.size(); ++i) {
      // An update errs by half a unit in the last place of three results, none above 4.
      ASSERT_NEAR(results.back()[i], mean[i], kUpdates * 3 * 4 * 0x1p-24);
    }
    EXPECT_NE(results.back(), before);
    average.exchange(parameters);
    EXPECT_EQ(values_of(parameters), before);
    EXPECT_EQ(average.bytes(), static_cast<int64_t>(before.size() * sizeof(float)));
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(WeightAverage, FrozenWeightsHaveNone) {
  Rng rng(4);
  const ModelConfig config = random_model(rng, 1);
  const std::vector<std::string> frozen = {weight_table(config)[0].name};
  Parameters parameters(config, ModelWeights::random(config, DType::f32, 2), DType::f32, frozen);
  Threads threads(2);
  WeightAverage average(parameters, 0.5, threads);
  EXPECT_EQ(average.means()[0].data, nullptr);
  EXPECT_NE(average.means()[1].data, nullptr);
  const std::vector<float> before = values_of(parameters);
  average.take(parameters, 1);
  average.exchange(parameters);
  EXPECT_EQ(values_of(parameters), before);
}

}  // namespace
}  // namespace tidar
