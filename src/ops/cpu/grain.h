#pragma once
// How many rows are worth waking another thread for.

#include <algorithm>
#include <cstdint>

namespace tidar::cpu {

/// Elements that make waking another thread worth its while.
inline constexpr int64_t kGrainElements = 16384;

/// Rows of so many columns that have as many, one at least.
inline int64_t row_grain(int64_t cols) {
  return std::max<int64_t>(1, kGrainElements / std::max<int64_t>(cols, 1));
}

}  // namespace tidar::cpu
