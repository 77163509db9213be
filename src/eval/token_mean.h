#pragma once
// Means over tokens, where items of different lengths are the samples.

#include <span>

#include "base/scores.h"

namespace tidar {

/// sums[i] over all tokens of item i, of which there are tokens[i]: a ratio of two means, and its
/// error.
Score mean_of_tokens(std::span<const double> sums, std::span<const double> tokens);

}  // namespace tidar
