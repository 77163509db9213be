#pragma once
// How far a verb's result may lie from the exact one. Every bound is built of epsilons and
// reduction lengths, none of what happened to pass.
//
// `eps` is the epsilon of the tested backend's activations: twice the error of one rounding.
// A chain of n additions of terms t_i, rounded each time, errs by at most n eps/2 sum |t_i|, and
// with near certainty by less than sqrt(n) eps sum |t_i| (Higham and Mary, "A new approach to
// probabilistic rounding error analysis", 2019: lambda sqrt(n) eps/2 sum |t_i| fails with
// probability 2 n exp(-lambda^2/2) at worst; lambda = 2, and the errors of real data are far
// smaller). For a product, sum |x_i w_i| <= |x| |w|. Functions such as exp may err by
// kFunctionEpsilons epsilons, relatively.
//
// A result that is rounded to a narrower type (bf16 operands) may lie half an epsilon of that type
// further away: see rounded().

#include <cmath>
#include <cstdint>

#include "base/dtype.h"

namespace tidar {

inline constexpr double kFunctionEpsilons = 4;

/// `error` and what rounding a value near `value` to `type` adds to it.
inline double rounded(double error, double value, DType type) {
  return error + 0.5 * epsilon_of(type) * (std::abs(value) + error);
}

/// Of a product of vectors of length `inputs` and these norms.
inline double product_tolerance(double eps, int64_t inputs, double x_norm, double w_norm) {
  return eps * std::sqrt(static_cast<double>(inputs)) * x_norm * w_norm;
}

/// Of x / sqrt(mean(x²) + eps) * weight. The squares have one sign, so errors stay relative.
inline double rms_norm_tolerance(double eps, int64_t size, double value) {
  return eps * (std::sqrt(static_cast<double>(size)) + kFunctionEpsilons) * std::abs(value);
}

/// Of silu(gate) * up, where gate and up are off by at most the given errors. |silu'| <= 1.1.
inline double swiglu_tolerance(double eps, double gate, double gate_error, double up,
                               double up_error) {
  const double silu = gate / (1 + std::exp(-gate));
  const double first_order = 1.1 * gate_error * std::abs(up) + std::abs(silu) * up_error;
  return first_order + 1.1 * gate_error * up_error +
         2 * kFunctionEpsilons * eps * std::abs(silu * up);
}

/// Of before + scale x, where that is `value`: the factor, the product and the sum are rounded. 0
/// where nothing was added.
inline double scatter_add_tolerance(double eps, double before, double value) {
  return value == before ? 0 : eps * (2 * std::abs(value - before) + std::abs(value));
}

/// Of a cos - b sin.
inline double rope_tolerance(double eps, double a, double b) {
  return 2 * eps * (std::abs(a) + std::abs(b));
}

/// How much longer a key or a value of this size may be as a store of this type keeps it. A code is
/// half a step away at most, and a step is 1/127 of the largest of the numbers.
inline double kept_growth(DType kv, int head_size) {
  if (kv == DType::i8) return 1 + std::sqrt(static_cast<double>(head_size)) / 254;
  return 1 + epsilon_of(kv);
}

struct AttendBounds {
  double q_norm = 0;
  double key_norm = 0;    ///< of the longest key
  double value_size = 0;  ///< largest |value|
  int64_t keys = 0;
  int head_size = 0;
  bool rounds_to_bf16 = false;  ///< probabilities are rounded to the store's type
  bool has_scales = false;      ///< which scores and probabilities are multiplied by
};

/// Of softmax(q·k / sqrt(E)) v. A score that is off by d changes its probability by the factor
/// exp(±d); probabilities sum to 1, so the average moves by at most 2 d times the largest value.
inline double attend_tolerance(double eps, const AttendBounds& bounds) {
  const double scale = 1 / std::sqrt(static_cast<double>(bounds.head_size));
  const double score =
      product_tolerance(eps, bounds.head_size, bounds.q_norm, bounds.key_norm) * scale +
      (bounds.has_scales ? 2 : 1) * eps * bounds.q_norm * bounds.key_norm * scale;
  const double probability = score + (kFunctionEpsilons + (bounds.has_scales ? 1 : 0)) * eps;
  const double sums = eps * std::sqrt(static_cast<double>(bounds.keys));
  const double bf16 = bounds.rounds_to_bf16 ? epsilon_of(DType::bf16) : 0;
  return (2 * probability + 2 * sums + bf16) * bounds.value_size;
}

/// Of the logits that are compared before a choice, all of magnitude up to `size`: one mix, one
/// change and one division; and of the race, which sees them through exp() at a temperature.
inline double choice_tolerance(double eps, double size, double temperature) {
  return eps * (kFunctionEpsilons * size + 2 * kFunctionEpsilons * temperature);
}

/// Of logit - log(sum of exp), over `vocabulary` logits of magnitude up to `size`.
inline double logprob_tolerance(double eps, double size, int64_t vocabulary) {
  return eps * (2 * kFunctionEpsilons * (size + 1) + std::sqrt(static_cast<double>(vocabulary)));
}

}  // namespace tidar
