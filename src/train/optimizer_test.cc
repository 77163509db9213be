#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "base/rng.h"
#include "model/config.h"

namespace tidar {
namespace {

// A model whose matrices are larger than a chunk and no multiple of one, nor of what registers
// hold.
Parameters some_parameters(DType gradients, const std::vector<std::string>& frozen = {}) {
  ModelConfig config;
  config.family = Family::qwen2;
  config.architecture = "Qwen2ForCausalLM";
  config.qkv_bias = QkvBias::present;
  config.head = HeadWeight::tied;
  config.layers = 1;
  config.heads = config.kv_heads = 2;
  config.head_size = 22;
  config.hidden = 43;
  config.ffn = 51;
  config.vocabulary = 2501;
  config.max_positions = 10;
  return Parameters(config, ModelWeights::random(config, DType::f32, 1), gradients, frozen);
}

int64_t count_of(const Parameter& parameter) { return parameter.value.rows * parameter.value.cols; }

// Calls f(element) for every gradient, as a reference to its own type.
template <class F>
void for_each_gradient(Parameters& parameters, F&& f) {
  for (Parameter& parameter : parameters.all()) {
    if (parameter.frozen()) continue;
    for (int64_t i = 0; i < count_of(parameter); ++i) {
      if (parameter.gradient.dtype == DType::f64) {
        f(parameter.gradient.row<double>(0)[i]);
      } else {
        f(parameter.gradient.row<float>(0)[i]);
      }
    }
  }
}

// Gradients of very different sizes, some of them 0.
void fill_gradients(Parameters& parameters, Rng& rng) {
  for_each_gradient(parameters, [&](auto& gradient) {
    const float size = std::pow(10.0f, -6.0f * rng.uniform());
    gradient = rng.below(10) == 0 ? 0.0f : rng.normal() * size;
  });
}

class OptimizerTest : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, OptimizerTest, testing::Values(DType::f32, DType::f64),
                         [](const auto& type) { return std::string(name_of(type.param)); });

// AdamW as its paper writes it, in float64.
class PlainAdamW {
 public:
  explicit PlainAdamW(const Parameters& parameters) {
    for (const Parameter& parameter : parameters.all()) {
      const float* values = parameter.value.row<float>(0);
      weights.emplace_back(values, values + count_of(parameter));
      first_.emplace_back(weights.back().size(), 0.0);
      second_.emplace_back(weights.back().size(), 0.0);
    }
  }

  void update(const Parameters& parameters, const AdamWOptions& options, double rate,
              double scale) {
    ++updates_;
    for (size_t p = 0; p < weights.size(); ++p) {
      const Parameter& parameter = parameters.all()[p];
      const double decay = parameter.spec.shape.size() == 2 ? options.weight_decay : 0;
      for (size_t i = 0; i < weights[p].size(); ++i) {
        const double g = scale * (parameter.gradient.dtype == DType::f64
                                      ? parameter.gradient.row<double>(0)[i]
                                      : double{parameter.gradient.row<float>(0)[i]});
        double& m = first_[p][i] = options.beta1 * first_[p][i] + (1 - options.beta1) * g;
        double& v = second_[p][i] = options.beta2 * second_[p][i] + (1 - options.beta2) * g * g;
        const double corrected_m = m / (1 - std::pow(options.beta1, updates_));
        const double corrected_v = v / (1 - std::pow(options.beta2, updates_));
        double& w = weights[p][i];
        w = w - rate * (corrected_m / (std::sqrt(corrected_v) + options.epsilon) + decay * w);
      }
    }
  }

  std::vector<std::vector<double>> weights;

 private:
  std::vector<std::vector<double>> first_, second_;
  int updates_ = 0;
};

// A step is at most a few rates long; its float32 arithmetic errs by some 2^-24 of it each, and
// writing the weight by 2^-24 of that.
TEST_P(OptimizerTest, FollowsFloat64) {
  Parameters parameters = some_parameters(GetParam());
  Threads threads(2);
  const AdamWOptions options = {.beta1 = 0.8, .beta2 = 0.97, .epsilon = 1e-5, .weight_decay = 0.3};
  AdamW optimizer(parameters, options, threads);
  PlainAdamW plain(parameters);
  constexpr int kUpdates = 30;
  constexpr double kRate = 1e-2;
  Rng rng(1);
  for (int update = 0; update < kUpdates; ++update) {
    fill_gradients(parameters, rng);
    const double rate = kRate * (1 + update % 3), scale = 1.0 / (1 + update % 4);
    optimizer.update(parameters, rate, scale);
    plain.update(parameters, options, rate, scale);
  }
  EXPECT_EQ(optimizer.updates(), kUpdates);
  double moved = 0;
  const Parameters before = some_parameters(GetParam());
  for (size_t p = 0; p < plain.weights.size(); ++p) {
    const Parameter& parameter = parameters.all()[p];
    for (size_t i = 0; i < plain.weights[p].size(); ++i) {
      const double found = parameter.value.row<float>(0)[i], expected = plain.weights[p][i];
      const double tolerance = kUpdates * 0x1p-24 * (1 + std::abs(expected) + 10 * 3 * kRate);
      ASSERT_NEAR(found, expected, tolerance) << parameter.spec.name << "[" << i << "]";
      moved += std::abs(found - double{before.all()[p].value.row<float>(0)[i]});
    }
  }
  EXPECT_GT(moved / static_cast<double>(parameters.count()), kRate);
}

// Closed form: without decay, the first update moves every weight by the rate, against its
// gradient.
TEST_P(OptimizerTest, FirstUpdateIsTheSign) {
  Parameters parameters = some_parameters(GetParam());
  const Parameters before = some_parameters(GetParam());
  Threads threads(1);
  AdamW optimizer(parameters, {.epsilon = 0, .weight_decay = 0}, threads);
  Rng rng(2);
  for_each_gradient(parameters, [&](auto& gradient) { gradient = rng.normal(); });
  optimizer.update(parameters, 0.5);
  for (size_t p = 0; p < parameters.all().size(); ++p) {
    const Parameter& parameter = parameters.all()[p];
    for (int64_t i = 0; i < count_of(parameter); ++i) {
      const double g = parameter.gradient.dtype == DType::f64
                           ? parameter.gradient.row<double>(0)[i]
                           : double{parameter.gradient.row<float>(0)[i]};
      const float* old = before.all()[p].value.row<float>(0);
      ASSERT_NEAR(parameter.value.row<float>(0)[i], old[i] - std::copysign(0.5, g), 4e-6);
    }
  }
}

// Closed form: without gradients, matrices shrink by a factor and vectors stay.
TEST_P(OptimizerTest, OnlyMatricesDecay) {
  Parameters parameters = some_parameters(GetParam());
  const Parameters before = some_parameters(GetParam());
  Threads threads(2);
  AdamW optimizer(parameters, {.weight_decay = 0.5}, threads);
  for (int update = 0; update < 3; ++update) optimizer.update(parameters, 0.25);
  for (size_t p = 0; p < parameters.all().size(); ++p) {
    const Parameter& parameter = parameters.all()[p];
    const bool is_matrix = parameter.spec.shape.size() == 2;
    const double factor = is_matrix ? std::pow(1 - 0.125, 3) : 1;
    const float* old = before.all()[p].value.row<float>(0);
    for (int64_t i = 0; i < count_of(parameter); ++i) {
      const double expected = factor * double{old[i]};
      ASSERT_NEAR(parameter.value.row<float>(0)[i], expected,
                  is_matrix ? 4 * 0x1p-24 * std::abs(double{old[i]}) : 0)
          << parameter.spec.name;
    }
  }
}

std::vector<float> values_of(const Parameter& parameter) {
  const float* const first = parameter.value.row<float>(0);
  return {first, first + count_of(parameter)};
}

// One with its own rate is as it would be if all had that rate; so is one without decay.
TEST_P(OptimizerTest, ParametersMayHaveTheirOwnRatesAndNoDecay) {
  const auto updated = [](double rate, double decay, std::vector<ParameterUpdate> own) {
    Parameters parameters = some_parameters(GetParam());
    Threads threads(2);
    AdamW optimizer(parameters, {.weight_decay = decay}, threads, std::move(own));
    Rng rng(6);
    for (int update = 0; update < 3; ++update) {
      fill_gradients(parameters, rng);
      optimizer.update(parameters, rate);
    }
    return parameters;
  };
  const size_t count = some_parameters(GetParam()).all().size();
  std::vector<ParameterUpdate> own(count);
  for (size_t p = 0; p < count; ++p) own[p] = {p % 3 == 0 ? 0.25 : 1, p % 2 == 0};
  const Parameters mixed = updated(0.5, 0.5, own);
  for (size_t p = 0; p < count; ++p) {
    const Parameters alike = updated(0.5 * own[p].rate, own[p].decays ? 0.5 : 0, {});
    EXPECT_EQ(values_of(mixed.all()[p]), values_of(alike.all()[p])) << p;
  }
}

TEST_P(OptimizerTest, FrozenParametersStayAndHaveNoMoments) {
  const Parameters all = some_parameters(GetParam());
  std::vector<std::string> frozen;
  for (size_t p = 0; p < all.all().size(); p += 2) frozen.push_back(all.all()[p].spec.name);
  Parameters parameters = some_parameters(GetParam(), frozen), free = some_parameters(GetParam());
  Threads threads(2);
  AdamW optimizer(parameters, {}, threads), other(free, {}, threads);
  EXPECT_LT(optimizer.moments().bytes(), other.moments().bytes());
  Rng rng(7);
  fill_gradients(parameters, rng);
  double squares = 0;
  for (size_t p = 0; p < free.all().size(); ++p) {
    const Parameter& from = parameters.all()[p];
    if (from.frozen()) continue;
    std::copy_n(from.gradient.data, from.gradient.bytes(), free.all()[p].gradient.data);
  }
  for_each_gradient(parameters, [&](auto& gradient) {
    squares += static_cast<double>(gradient) * static_cast<double>(gradient);
  });
  EXPECT_NEAR(gradient_norm(parameters, threads) / std::sqrt(squares), 1, 1e-12);
  optimizer.update(parameters, 0.1);
  other.update(free, 0.1);
  for (size_t p = 0; p < all.all().size(); ++p) {
    const bool stays = p % 2 == 0;
    EXPECT_EQ(parameters.all()[p].frozen(), stays);
    EXPECT_EQ(optimizer.moments().arrays(p).empty(), stays);
    EXPECT_EQ(values_of(parameters.all()[p]), values_of((stays ? all : free).all()[p])) << p;
  }
}

TEST_P(OptimizerTest, ThreadsDoNotMatter) {
  std::vector<std::vector<float>> results;
  std::vector<double> norms;
  for (const int count : {1, 2, 5}) {
    Parameters parameters = some_parameters(GetParam());
    Threads threads(count);
    AdamW optimizer(parameters, {}, threads);
    Rng rng(3);
    for (int update = 0; update < 3; ++update) {
      fill_gradients(parameters, rng);
      norms.push_back(gradient_norm(parameters, threads));
      optimizer.update(parameters, 1e-3, clip_scale(norms.back(), 1.0));
    }
    std::vector<float>& all = results.emplace_back();
    for (const Parameter& parameter : parameters.all()) {
      const float* values = parameter.value.row<float>(0);
      all.insert(all.end(), values, values + count_of(parameter));
    }
    for (int update = 0; update < 3; ++update) {
      EXPECT_EQ(norms[norms.size() - 3 + static_cast<size_t>(update)],
                norms[static_cast<size_t>(update)]);
    }
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST_P(OptimizerTest, NormAndClipping) {
  Parameters parameters = some_parameters(GetParam());
  Threads threads(2);
  Rng rng(4);
  fill_gradients(parameters, rng);
  long double squares = 0;
  for_each_gradient(parameters, [&](auto& gradient) {
    squares += static_cast<long double>(gradient) * static_cast<long double>(gradient);
  });
  const double norm = gradient_norm(parameters, threads);
  EXPECT_NEAR(norm / static_cast<double>(std::sqrt(squares)), 1, 1e-13);
  EXPECT_EQ(clip_scale(norm, 2 * norm), 1);
  EXPECT_EQ(clip_scale(norm, 0), 1);
  EXPECT_DOUBLE_EQ(clip_scale(norm, norm / 4), 0.25);
  EXPECT_EQ(clip_scale(0, 1), 1);

  // One that is not a number, wherever it stands, is seen.
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (size_t p = 0; p < parameters.all().size(); ++p) {
      parameters.zero_gradients();
      const Parameter& parameter = parameters.all()[p];
      const int64_t last = count_of(parameter) - 1;
      if (GetParam() == DType::f64) {
        parameter.gradient.row<double>(0)[last] = bad;
      } else {
        parameter.gradient.row<float>(0)[last] = static_cast<float>(bad);
      }
      EXPECT_FALSE(std::isfinite(gradient_norm(parameters, threads))) << parameter.spec.name;
    }
  }
}

// What a checkpoint holds is all there is: an optimizer with another's state goes on as that.
TEST_P(OptimizerTest, StateIsWhole) {
  Parameters parameters = some_parameters(GetParam());
  Threads threads(2);
  AdamW optimizer(parameters, {}, threads);
  Rng rng(5);
  for (int update = 0; update < 3; ++update) {
    fill_gradients(parameters, rng);
    optimizer.update(parameters, 1e-2);
  }
  Parameters copy = some_parameters(GetParam());
  AdamW resumed(copy, {}, threads);
  resumed.set_updates(optimizer.updates());
  for (size_t p = 0; p < copy.all().size(); ++p) {
    std::copy_n(parameters.all()[p].value.row<float>(0), count_of(copy.all()[p]),
                copy.all()[p].value.row<float>(0));
  }
  resumed.moments().copy_from(optimizer.moments());
  Rng rng_copy = rng;
  fill_gradients(parameters, rng);
  fill_gradients(copy, rng_copy);
  optimizer.update(parameters, 1e-2);
  resumed.update(copy, 1e-2);
  for (size_t p = 0; p < copy.all().size(); ++p) {
    for (int64_t i = 0; i < count_of(copy.all()[p]); ++i) {
      ASSERT_EQ(copy.all()[p].value.row<float>(0)[i], parameters.all()[p].value.row<float>(0)[i]);
    }
  }
  EXPECT_EQ(optimizer.moments().bytes(), parameters.count() * 8);
}

// ---- moments in 8 bits ----

/// The moments of a parameter, as numbers, in float64.
struct PlainMoments {
  std::vector<double> first, second;              ///< one an element
  std::vector<double> first_scale, second_scale;  ///< likewise, that of its block; 0: no codes
};

PlainMoments moments_of(const Moments& moments, size_t parameter, int64_t count) {
  const MomentCodes codes;
  PlainMoments plain;
  for (int64_t i = 0; i < count; ++i) {
    if (!moments.has_codes(parameter)) {
      plain.first.push_back(*moments.first(parameter, i));
      plain.second.push_back(*moments.second(parameter, i));
      plain.first_scale.push_back(0);
      plain.second_scale.push_back(0);
      continue;
    }
    const int64_t place = i % kMomentBlock;
    const Moments::Block block = moments.block(parameter, i - place);
    plain.first_scale.push_back(*block.first_scale);
    plain.second_scale.push_back(*block.second_scale);
    plain.first.push_back(plain.first_scale.back() *
                          double{codes.first.values()[block.first_codes[place]]});
    plain.second.push_back(plain.second_scale.back() *
                           double{codes.second.values()[block.second_codes[place]]});
  }
  return plain;
}

/// The distance of x to the nearest number that codes of this scale stand for; 0: there are none.
double least_error(std::span<const float> values, double scale, double x) {
  if (scale == 0) return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const float value : values) least = std::min(least, std::abs(double{value} * scale - x));
  return least;
}

// From what was kept, one update in float64: weights are what it says, and what is kept behind it
// are the nearest numbers there are.
TEST_P(OptimizerTest, UpdatesIn8BitsAreThoseOfTheMomentsThatWereKept) {
  Parameters parameters = some_parameters(GetParam());
  Threads threads(2);
  const AdamWOptions options = {.beta1 = 0.8,
                                .beta2 = 0.97,
                                .epsilon = 1e-5,
                                .weight_decay = 0.3,
                                .moments = MomentFormat::bits8};
  AdamW optimizer(parameters, options, threads);
  const MomentCodes codes;
  Rng rng(8);
  int64_t coded = 0, checked = 0;
  for (int t = 1; t <= 6; ++t) {
    fill_gradients(parameters, rng);
    std::vector<PlainMoments> before;
    std::vector<std::vector<float>> weights;
    for (size_t p = 0; p < parameters.all().size(); ++p) {
      before.push_back(moments_of(optimizer.moments(), p, count_of(parameters.all()[p])));
      weights.push_back(values_of(parameters.all()[p]));
    }
    const double rate = 1e-2, scale = 0.5;
    optimizer.update(parameters, rate, scale);
    for (size_t p = 0; p < parameters.all().size(); ++p) {
      const Parameter& parameter = parameters.all()[p];
      const PlainMoments after = moments_of(optimizer.moments(), p, count_of(parameter));
      const double decay = parameter.spec.shape.size() == 2 ? options.weight_decay : 0;
      coded += optimizer.moments().has_codes(p);
      for (size_t i = 0; i < weights[p].size(); ++i) {
        const double g = scale * (parameter.gradient.dtype == DType::f64
                                      ? parameter.gradient.row<double>(0)[i]
                                      : double{parameter.gradient.row<float>(0)[i]});
        const double m = options.beta1 * before[p].first[i] + (1 - options.beta1) * g;
        const double v = options.beta2 * before[p].second[i] + (1 - options.beta2) * g * g;
        const double corrected_m = m / (1 - std::pow(options.beta1, t));
        const double corrected_v = v / (1 - std::pow(options.beta2, t));
        const double step = corrected_m / (std::sqrt(corrected_v) + options.epsilon);
        const double w = double{weights[p][i]};
        ASSERT_NEAR(parameter.value.row<float>(0)[i], w - rate * (step + decay * w),
                    0x1p-23 * (std::abs(w) + 10 * rate * (1 + std::abs(step))))
            << parameter.spec.name << "[" << i << "]";
        // Numbers as near to a border as float32 may fall on either side of it.
        ASSERT_LE(std::abs(after.first[i] - m),
                  least_error(codes.first.values(), after.first_scale[i], m) +
                      0x1p-21 * std::max(std::abs(m), std::abs(0.2 * g)));
        const auto above_zero = std::span(codes.second.values()).subspan(v > 0 ? 1 : 0);
        ASSERT_EQ(after.second[i] > 0, v > 0) << "what divides a step";
        ASSERT_LE(std::abs(after.second[i] - v),
                  least_error(above_zero, after.second_scale[i], v) + 0x1p-21 * v);
        ++checked;
      }
    }
  }
  EXPECT_EQ(coded, 6) << "the embedding, at each update";
  EXPECT_EQ(checked, 6 * parameters.count());
  // Vectors and small matrices are f32.
  int64_t bytes = 0;
  for (const Parameter& parameter : parameters.all()) {
    const int64_t count = count_of(parameter), blocks = (count + 255) / 256;
    const bool large = parameter.spec.shape.size() == 2 && count >= 4096;
    bytes += large ? blocks * (2 * 256 + 2 * 4) : count * 8;
  }
  EXPECT_EQ(optimizer.moments().bytes(), bytes);
}

TEST_P(OptimizerTest, ThreadsDoNotMatterIn8BitsEither) {
  std::vector<std::vector<float>> results;
  for (const int count : {1, 3}) {
    Parameters parameters = some_parameters(GetParam());
    Threads threads(count);
    AdamW optimizer(parameters, {.moments = MomentFormat::bits8}, threads);
    Rng rng(3);
    for (int update = 0; update < 3; ++update) {
      fill_gradients(parameters, rng);
      optimizer.update(parameters, 1e-2);
    }
    std::vector<float>& all = results.emplace_back();
    for (const Parameter& parameter : parameters.all()) {
      const std::vector<float> values = values_of(parameter);
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace tidar
