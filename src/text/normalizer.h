#pragma once
// Normalisation of text before it is split into pieces: Unicode's forms, and what SentencePiece
// does to spaces.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tidar {

enum class NormalForm : uint8_t { nfc, nfd, nfkc, nfkd };

/// Put before every text that is not empty.
struct Prepend {
  std::string text;
};

struct Replace {
  std::string pattern;  ///< not empty
  std::string content;
};

using NormalStep = std::variant<NormalForm, Prepend, Replace>;

/// The steps of a tokenizer.json, one after another; usually NFC alone, or none. Immutable.
class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalStep> steps) : steps_(std::move(steps)) {}

  /// The normalised text: `text` itself where no step could change it, otherwise a view of
  /// `scratch`, which is overwritten. `text` must be UTF-8 and must not lie in `scratch`.
  std::string_view apply(std::string_view text, std::string& scratch) const;

 private:
  std::vector<NormalStep> steps_;
};

/// `text` in one normal form. `text` must be UTF-8.
std::string normalize(std::string_view text, NormalForm form);

/// `text` with `content` for each `pattern` (not empty), from the left.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

}  // namespace tidar
