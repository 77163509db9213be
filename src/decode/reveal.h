#pragma once
// Which masked places of a text become tokens after a pass that guessed all of them: numbers only.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"

namespace tidar {

/// What a pass said of one masked place.
struct MaskGuess {
  int32_t position = 0;
  float logprob = 0;  ///< of the token that was chosen, before temperature and cuts
  float margin = 0;   ///< by how much the most probable token is more probable than the second
  float entropy = 0;  ///< of the distribution, in nats
};

/// Which places come first; of equal ones, the left one.
enum class RevealOrder : uint8_t {
  confidence,  ///< the most probable choice (MaskGIT; "low confidence remasking" of LLaDA)
  margin,      ///< the largest margin (Dream's topk_margin)
  entropy,     ///< the lowest entropy
  random,      ///< by the throw of a die for each position (MDLM)
  left_to_right,
};

/// The first `count` places are revealed, and beyond them all that a threshold or a bound lets
/// through: a choice that depends on others which are made at the same time is a risk, and these
/// are three ways to keep it small.
struct RevealRule {
  RevealOrder order = RevealOrder::confidence;
  int count = 1;  ///< at least 1

  /// Also every place whose choice is more probable than this (Fast-dLLM, arXiv 2505.22618). Above
  /// 1, none is.
  std::optional<float> threshold{};

  /// Also the first places in the order as long as the sum of their entropies without the largest
  /// one, which bounds what they tell of each other, is at most this (arXiv 2505.24857), in nats.
  std::optional<float> entropy_bound{};

  bool needs_margin() const { return order == RevealOrder::margin; }
};

/// Says what is wrong with a rule.
Result<void> check_rule(const RevealRule& rule);

/// Indices in `guesses` of what is revealed, ascending; at least one if there are any. `seed` makes
/// the random order.
std::vector<size_t> revealed(std::span<const MaskGuess> guesses, const RevealRule& rule,
                             uint64_t seed);

}  // namespace tidar
