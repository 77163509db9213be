#pragma once
// What training holds the rows of a pass against.

#include <cstdint>

namespace tidar {

/// How far the distribution q of a row is from p, that of its target.
enum class Distance : uint8_t {
  l1,  ///< sum of |q - p|, twice their total variation: a draft from q is accepted with probability
       ///< 1 - l1 / 2 where p decides
  kl,  ///< sum of p log(p / q), in nats
};

/// Another row whose distribution a row is held against, besides its token.
struct SoftTarget {
  int32_t row = -1;  ///< of the pass, without a target of its own; -1: none
  Distance distance = Distance::l1;
  float share = 0;  ///< of the distance in the loss, 0 to 1; the rest is the token's cross-entropy
};

/// What a row is held against, and how much that counts.
struct Label {
  int32_t row = 0;  ///< of the pass
  int32_t token = 0;
  float weight = 1;  ///< factor of this row's loss
  SoftTarget target{};
};

}  // namespace tidar
