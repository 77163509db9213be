#pragma once
// What one rendering of a template may cost. A template comes with a model, and its author need not
// be a friend; what it does to long messages need not be wise.

#include <cstddef>

#include "base/result.h"

namespace tidar::jinja {

struct Limits {
  size_t steps = 4'000'000;  ///< expressions and statements carried out
  size_t depth = 200;        ///< of expressions, statements and macros within each other
  size_t bytes =
      size_t{256} << 20;  ///< of all texts and lists made on the way, the prompt included
};

/// What is left of the limits.
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  /// An Error when there is not as much left.
  Result<void> spend_steps(size_t steps);
  /// To be asked before that much is made.
  Result<void> spend_bytes(size_t bytes);
  /// `count` pieces of `bytes` each.
  Result<void> spend_bytes(size_t count, size_t bytes);

  const Limits& limits() const { return limits_; }

 private:
  Limits limits_;
  size_t steps_ = 0;
  size_t bytes_ = 0;
};

}  // namespace tidar::jinja
