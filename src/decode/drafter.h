#pragma once
// The seam between speculative decoding and what guesses for it: the text itself (lookup.h), or
// another model (model_drafter.h).

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "decode/decoder.h"

namespace tidar {

/// Guesses how one text goes on. Guesses cost speed when they are wrong, never tokens.
class Drafter {
 public:
  virtual ~Drafter() = default;

  /// Guesses up to `most` >= 1 tokens that follow `text`, nearest first, and fewer or none where it
  /// has nothing to say. `text` is the prompt and what was committed behind it; from call to call
  /// it only grows. The result is valid until the next call.
  virtual std::span<const int32_t> draft(std::span<const int32_t> text, int most) = 0;

  /// Passes that another model made for the last draft().
  virtual int passes() const { return 0; }
  /// Whether drafts cost next to nothing, so that they may be made before it is known whether there
  /// is room for them.
  virtual bool is_free() const { return false; }
};

/// Makes the drafter of one sequence.
using DrafterFactory = std::function<Result<std::unique_ptr<Drafter>>(const SequenceSpec& spec)>;

}  // namespace tidar
