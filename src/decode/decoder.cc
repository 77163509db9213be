#include "decode/decoder.h"

#include <cmath>
#include <string_view>
#include <unordered_set>

namespace tidar {
namespace {

Result<void> check_token(std::string_view what, int32_t token, int vocabulary) {
  if (token < 0 || token >= vocabulary)
    return error("{}: token {} is not in the vocabulary; expected 0 to {}", what, token,
                 vocabulary - 1);
  return {};
}

Result<void> check_sampling(const Sampling& sampling) {
  if (!(sampling.temperature >= 0) || std::isinf(sampling.temperature))
    return error("temperature: expected a number of at least 0, found {}", sampling.temperature);
  if (sampling.top_k < 0)
    return error("top_k: expected a count of at least 0 (0: no limit), found {}", sampling.top_k);
  if (!(sampling.top_p > 0 && sampling.top_p <= 1))
    return error("top_p: expected a number above 0 and at most 1, found {}", sampling.top_p);
  if (!(sampling.min_p >= 0 && sampling.min_p <= 1))
    return error("min_p: expected a number from 0 to 1, found {}", sampling.min_p);
  return {};
}

Result<void> check_bias(const LogitChange& bias, int vocabulary) {
  TIDAR_TRY_VOID(check_token("logit bias", bias.token, vocabulary));
  if (std::isnan(bias.add) || (std::isinf(bias.add) && bias.add > 0))
    return error("logit bias of token {}: expected a finite number or -infinity, found {}",
                 bias.token, bias.add);
  if (bias.scale != 1)
    return error("logit bias of token {}: a bias can only add, found scale {}", bias.token,
                 bias.scale);
  return {};
}

Result<void> check_penalties(const Penalties& penalties, int vocabulary) {
  if (!(penalties.repetition > 0) || std::isinf(penalties.repetition))
    return error("repetition penalty: expected a number above 0 (1: none), found {}",
                 penalties.repetition);
  if (!std::isfinite(penalties.presence))
    return error("presence penalty: expected a finite number, found {}", penalties.presence);
  if (!std::isfinite(penalties.frequency))
    return error("frequency penalty: expected a finite number, found {}", penalties.frequency);
  std::unordered_set<int32_t> biased;
  for (const LogitChange& bias : penalties.bias) {
    TIDAR_TRY_VOID(check_bias(bias, vocabulary));
    if (!biased.insert(bias.token).second)
      return error("logit bias: token {} is listed twice; give each token one bias", bias.token);
  }
  return {};
}

}  // namespace

Result<void> check_no_constraint(const SequenceSpec& spec, std::string_view method) {
  if (spec.constraint == nullptr) return {};
  return error(
      "{} cannot keep to a given form of output, since it does not write from left to right; use "
      "ar, tidar, self-speculative, lookup or speculative, or ask for no form",
      method);
}

Result<void> check_spec(const SequenceSpec& spec, const EvaluatorLimits& limits) {
  if (spec.prompt.empty()) return error("prompt: expected at least one token, found none");
  if (spec.prompt.size() >= static_cast<size_t>(limits.max_position))
    return error(
        "prompt: {} tokens leave no room for an answer in a context of {} tokens; shorten the "
        "prompt",
        spec.prompt.size(), limits.max_position);
  for (const int32_t token : spec.prompt)
    TIDAR_TRY_VOID(check_token("prompt", token, limits.vocabulary));
  if (spec.mask_token != -1)
    TIDAR_TRY_VOID(check_token("mask token", spec.mask_token, limits.vocabulary));
  if (spec.top < 0 || spec.top > limits.vocabulary)
    return error("most probable tokens: expected 0 to {}, found {}", limits.vocabulary, spec.top);
  TIDAR_TRY_VOID(check_sampling(spec.sampling));
  return check_penalties(spec.penalties, limits.vocabulary);
}

}  // namespace tidar
