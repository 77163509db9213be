#pragma once
// For tests: random requests, and AR decoding written down plainly, without passes, caches or
// decoders.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "decode/decoder.h"
#include "decode/mock_evaluator_testing.h"

namespace tidar {

inline std::vector<int32_t> random_text(Rng& rng, int size, int vocabulary = 10) {
  std::vector<int32_t> text;
  for (int i = 0; i < size; ++i) text.push_back(rng.below(vocabulary));
  return text;
}

/// Random sampling; one in three is greedy.
inline Sampling random_sampling(Rng& rng) {
  Sampling sampling;
  if (rng.below(3) == 0) return sampling;
  sampling.temperature = 0.2f + 1.5f * rng.uniform();
  if (rng.below(2) == 0) sampling.top_k = 1 + rng.below(11);
  if (rng.below(2) == 0) sampling.top_p = 0.3f + 0.7f * rng.uniform();
  if (rng.below(2) == 0) sampling.min_p = 0.3f * rng.uniform();
  sampling.seed = uint64_t{rng.bits()} << 32 | rng.bits();
  return sampling;
}

inline Penalties random_penalties(Rng& rng) {
  Penalties penalties;
  if (rng.below(3) == 0) penalties.repetition = 0.7f + rng.uniform();
  if (rng.below(3) == 0) penalties.presence = rng.normal();
  if (rng.below(3) == 0) penalties.frequency = 0.5f * rng.normal();
  if (rng.below(3) == 0)
    penalties.bias = {{.token = rng.below(5), .add = rng.normal()},
                      {.token = 5 + rng.below(5), .add = -std::numeric_limits<float>::infinity()}};
  return penalties;
}

/// A request to a model whose mask token is 10. Prompts end on both sides of page borders.
inline SequenceSpec random_spec(Rng& rng) {
  SequenceSpec spec;
  spec.prompt = random_text(rng, rng.below(2) == 0 ? 1 + rng.below(12) : 55 + rng.below(20));
  spec.sampling = random_sampling(rng);
  spec.penalties = random_penalties(rng);
  spec.mask_token = 10;
  return spec;
}

/// Logits of the last token of `text`, read causally.
inline std::vector<float> causal_logits(const MockModel& model, const std::vector<int32_t>& text) {
  std::vector<int32_t> positions;
  std::vector<std::string> allowed;
  for (size_t i = 0; i < text.size(); ++i) {
    positions.push_back(static_cast<int32_t>(i));
    allowed.push_back(std::string(i + 1, '1') + std::string(text.size() - i - 1, '0'));
  }
  return dense_logits(model, text, positions, allowed).back();
}

/// The change of each token's logit after a prompt and an output.
inline std::vector<LogitChange> plain_changes(const SequenceSpec& spec,
                                              const std::vector<int32_t>& output, int vocabulary) {
  std::vector<LogitChange> changes;
  for (int32_t token = 0; token < vocabulary; ++token) {
    const auto emitted = std::count(output.begin(), output.end(), token);
    const bool said = emitted > 0 || std::count(spec.prompt.begin(), spec.prompt.end(), token) > 0;
    LogitChange change{.token = token, .scale = said ? spec.penalties.repetition : 1, .add = 0};
    for (const LogitChange& bias : spec.penalties.bias)
      if (bias.token == token) change.add = bias.add;
    if (emitted > 0) {
      change.add -=
          spec.penalties.presence + spec.penalties.frequency * static_cast<float>(emitted);
    }
    if (token == spec.mask_token) change.add = -std::numeric_limits<float>::infinity();
    changes.push_back(change);
  }
  return changes;
}

/// All of a pool that holds nothing else.
inline ChangeRange all_of(const std::vector<LogitChange>& pool) {
  return {0, static_cast<int32_t>(pool.size())};
}

/// `count` tokens by AR, each from a pass over the whole text; fewer where nothing can be chosen.
inline std::vector<TokenLogprob> plain_ar_logprobs(const MockModel& model, const SequenceSpec& spec,
                                                   int count) {
  std::vector<int32_t> text = spec.prompt, output;
  std::shared_ptr<const Constraint> constraint = spec.constraint;
  std::vector<TokenLogprob> chosen;
  while (static_cast<int>(output.size()) < count) {
    auto changes = plain_changes(spec, output, model.vocabulary);
    if (constraint != nullptr) {
      const auto allowed = constraint->allowed();
      for (LogitChange& change : changes)
        if (!allowed->contains(change.token)) change.add = -std::numeric_limits<float>::infinity();
    }
    const Ask ask{.sampling = spec.sampling, .changes = all_of(changes), .draw = text.size()};
    const Answer answer = mock_answer(ask, causal_logits(model, text), nullptr, changes);
    if (answer.token < 0) break;
    if (constraint != nullptr) constraint = constraint->after(answer.token);
    chosen.push_back(answer.chosen());
    output.push_back(chosen.back().token);
    text.push_back(output.back());
  }
  return chosen;
}

inline std::vector<int32_t> plain_ar(const MockModel& model, const SequenceSpec& spec, int count) {
  std::vector<int32_t> output;
  for (const TokenLogprob& chosen : plain_ar_logprobs(model, spec, count))
    output.push_back(chosen.token);
  return output;
}

}  // namespace tidar
