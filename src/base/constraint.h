#pragma once
// What an output may be: the seam between methods, which choose tokens, and whoever knows which
// texts are wanted (constrain/).

#include <cstdint>
#include <memory>

#include "base/token_set.h"

namespace tidar {

/// What an output may be from one of its places on. It does not change: what may follow a token is
/// another constraint, so that a method can look ahead along a draft and forget what it saw.
///
/// What is allowed depends on the tokens before it alone. May be used by several threads at once.
class Constraint {
 public:
  virtual ~Constraint() = default;

  /// The tokens that may come next, end-of-text tokens just where the output may end. None: nothing
  /// may follow. Never nullptr.
  virtual std::shared_ptr<const TokenSet> allowed() const = 0;

  /// What the output may be behind `token`; nullptr where that is not among allowed().
  virtual std::shared_ptr<const Constraint> after(int32_t token) const = 0;
};

}  // namespace tidar
