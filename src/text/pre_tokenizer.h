#pragma once
// Cuts text into the pieces that byte-pair encoding never merges across.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
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

/// Where a text that is split stands: at the very beginning, or behind an added token.
enum class TextPlace : uint8_t { begin, inside };

/// SentencePiece's spaces: each becomes `mark`, and a text that does not begin with one gets one.
struct Metaspace {
  enum class Prepend : uint8_t { always, first, never };  ///< first: where a text begins
  std::string mark;
  Prepend prepend = Prepend::always;
};

/// Splits one after another, each cutting the pieces of the one before. Immutable.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  /// Pieces that split number `space_before` takes (the last split's results, if it is
  /// splits.size()) and that do not begin with a space are given one.
  explicit PreTokenizer(std::vector<Split> splits, std::optional<size_t> space_before = {})
      : splits_(std::move(splits)), space_before_(space_before) {}

  /// Marks come before all splits.
  explicit PreTokenizer(Metaspace metaspace, std::vector<Split> splits)
      : splits_(std::move(splits)), metaspace_(std::move(metaspace)) {}

  using Use = std::function<void(std::string_view)>;
  /// Calls `use` with each piece of `text` (UTF-8) in order. The views die with the call.
  void split(std::string_view text, TextPlace place, Matcher& matcher, const Use& use) const;

 private:
  void run(size_t stage, std::string_view text, Matcher& matcher, const Use& use) const;

  std::vector<Split> splits_;
  std::optional<size_t> space_before_;
  std::optional<Metaspace> metaspace_;
};

}  // namespace tidar
