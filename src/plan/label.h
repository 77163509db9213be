#pragma once
// What training holds the rows of a pass against.

#include <cstdint>

namespace tidar {

/// What a row is held against, and how much that counts.
struct Label {
  int32_t row = 0;  ///< of the pass
  int32_t token = 0;
  float weight = 1;  ///< factor of this row's cross-entropy in the loss
};

}  // namespace tidar
