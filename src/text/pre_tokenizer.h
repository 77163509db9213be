#pragma once
// Cuts text into the pieces that byte-pair encoding never merges across.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "text/regex.h"

namespace tidar {

/// What becomes of the matches of a Split; the names are those of tokenizer.json.
enum class SplitBehavior : uint8_t {
  isolated,              // each match is a piece, and so is the text between two
  removed,               // matches are dropped
  merged_with_previous,  // a match belongs to the piece before it
  merged_with_next,
  contiguous,  // as isolated, but neighbouring matches are one piece
};

struct Split {
  Regex pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;  // the matches are what lies between the pattern's
};

/// Splits one after another, each cutting the pieces of the one before. Immutable.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  /// Pieces that split number `space_before` takes (the last split's results, if it is
  /// splits.size()) and that do not begin with a space are given one.
  explicit PreTokenizer(std::vector<Split> splits, std::optional<size_t> space_before = {})
      : splits_(std::move(splits)), space_before_(space_before) {}

  using Use = std::function<void(std::string_view)>;
  /// Calls `use` with each piece of `text` (UTF-8) in order. The views die with the call.
  void split(std::string_view text, Matcher& matcher, const Use& use) const {
    run(0, text, matcher, use);
  }

 private:
  void run(size_t stage, std::string_view text, Matcher& matcher, const Use& use) const;

  std::vector<Split> splits_;
  std::optional<size_t> space_before_;
};

}  // namespace tidar
