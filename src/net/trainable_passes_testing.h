#pragma once
// For tests: random passes of every kind that training asks for, and the slopes of their losses.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "net/network_testing.h"
#include "net/trainable_testing.h"

namespace tidar {

inline double largest_gradient(const Parameter& parameter) {
  double largest = 0;
  for (int64_t i = 0; i < parameter.gradient.rows * parameter.gradient.cols; ++i) {
    largest = std::max(largest, std::abs(gradient_at(parameter, i)));
  }
  return largest;
}

// A pass that some objective could ask for, and labels with random weights for some of its rows.
struct RandomPass {
  Pass pass;
  std::vector<Label> labels;
};

// Layout 0: causal; 1: tidar; 2: block diffusion; 3: bidirectional; 4: documents, one of each.
inline constexpr int kLayouts = 5;

inline void add_layout(Pass& pass, Rng& rng, int layout, const Tokens& text) {
  Tokens noised = text;
  for (int32_t& token : noised) {
    if (rng.below(2) == 0) token = kMaskToken;
  }
  const int block = 1 + rng.below(6), first = 1 + rng.below(block);
  pass.begin_sequence();
  switch (layout) {
    case 0:
      add_causal(pass, text, Keep::scratch);
      break;
    case 1:
      add_tidar_training(pass, text, {block, first}, kMaskToken,
                         rng.below(2) == 0 ? Tokens{} : noised);
      break;
    case 2:
      add_block_diffusion_training(pass, text, noised, {block, first});
      break;
    default:
      add_bidirectional(pass, noised);
  }
}

inline RandomPass random_pass(Rng& rng, int layout, int vocabulary, int longest) {
  RandomPass made;
  for (int document = 0; document < (layout == 4 ? 4 : 1); ++document) {
    const Tokens text = random_tokens(rng, 1 + rng.below(longest), vocabulary);
    add_layout(made.pass, rng, layout == 4 ? document : layout, text);
  }
  for (int32_t row = 0; row < made.pass.rows(); ++row) {
    if (rng.below(4) == 0) continue;
    made.labels.push_back({row, rng.below(vocabulary), rng.uniform() / 4});
  }
  return made;
}

// Calls body(rng, config, pass) for a random model of each family and each kind of pass.
template <class Body>
void for_each_model_and_layout(uint64_t seed, int longest, Body&& body) {
  for (int kind = 0; kind < kModelKinds; ++kind) {
    for (int layout = 0; layout < kLayouts; ++layout) {
      SCOPED_TRACE(testing::Message()
                   << "seed " << seed << ", model " << kind << ", layout " << layout);
      Rng rng(seed * 100 + static_cast<uint64_t>(kind * kLayouts + layout));
      const ModelConfig config = random_model(rng, kind);
      body(rng, config, random_pass(rng, layout, config.vocabulary, longest));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

inline double weighted_loss(Trainable& trainable, const RandomPass& one) {
  std::vector<double> losses(one.labels.size());
  trainable.evaluate(one.pass, one.labels, losses);
  double loss = 0;
  for (size_t i = 0; i < losses.size(); ++i) loss += double{one.labels[i].weight} * losses[i];
  return loss;
}

inline void add_gradients(Trainable& trainable, const RandomPass& one) {
  std::vector<double> losses(one.labels.size());
  trainable.add_gradients(one.pass, one.labels, losses);
}

// Weights on a grid of 2^-10: steps of 2^-10 and 2^-9 are exact in the float32 masters.
inline constexpr float kStep = 0x1p-10f;

inline void round_masters(Trainable& trainable) {
  for (Parameter& parameter : trainable.parameters().all()) {
    float* const values = parameter.value.row<float>(0);
    for (int64_t i = 0; i < parameter.value.rows * parameter.value.cols; ++i) {
      values[i] = std::round(values[i] / kStep) * kStep;
    }
  }
  trainable.refresh();
}

// The loss when `parameter` is moved by `steps` along `direction`.
inline double moved_loss(Trainable& trainable, const RandomPass& one, Parameter& parameter,
                         const std::vector<float>& direction, float steps) {
  float* const values = parameter.value.row<float>(0);
  const std::vector<float> before(values, values + direction.size());
  for (size_t i = 0; i < direction.size(); ++i) values[i] += steps * kStep * direction[i];
  trainable.refresh();
  const double loss = weighted_loss(trainable, one);
  std::copy(before.begin(), before.end(), values);
  return loss;
}

// Along the axis of one random entry, and along a random vector of signs in all entries, of every
// tensor's gradient. Fourth-order differences of losses that are exact to about 1e-14 err by
// 1e-14 / step = 1e-11, and by step^4 times a fifth derivative of the loss. `worst`: the largest
// difference so far, in what the tensor's largest gradient would make.
inline void expect_slopes(Trainable& trainable, const RandomPass& one, Rng& rng, double& worst) {
  add_gradients(trainable, one);
  for (Parameter& parameter : trainable.parameters().all()) {
    const auto count = static_cast<size_t>(parameter.value.rows * parameter.value.cols);
    std::vector<float> entry(count, 0.0f), signs(count);
    entry[static_cast<size_t>(rng.below(static_cast<int>(count)))] = 1;
    for (float& sign : signs) sign = rng.below(2) == 0 ? -1.0f : 1.0f;
    for (const auto& direction : {entry, signs}) {
      double slope = 0, length = 0;
      for (size_t i = 0; i < count; ++i) {
        slope += double{direction[i]} * gradient_at(parameter, static_cast<int64_t>(i));
        length += double{direction[i] * direction[i]};
      }
      const auto loss = [&](float steps) {
        return moved_loss(trainable, one, parameter, direction, steps);
      };
      const double difference =
          (8 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12 * double{kStep});
      const double scale = largest_gradient(parameter) * std::sqrt(length);
      ASSERT_NEAR(slope, difference, 2e-6 * scale + 1e-11) << parameter.spec.name;
      if (scale > 1e-6) worst = std::max(worst, std::abs(slope - difference) / scale);
    }
  }
  trainable.refresh();
}

}  // namespace tidar
