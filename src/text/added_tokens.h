#pragma once
// Tokens that are found in a text as they stand, before anything is split or merged: <|im_end|>.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/marked_text.h"
#include "text/regex.h"

namespace tidar {

/// One entry of "added_tokens", with the fields of the file.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      // may be left out when decoding
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and behind it
  bool single_word = false;  // only where no word character touches it
  bool normalized = false;   // looked for in the normalised text, by its normalised content
};

/// A stretch of text: one added token, or (id -1) text between them.
struct TextSection {
  std::string_view text;
  int32_t id = -1;
};

/// Finds added tokens: from the left, the longest at each place. Immutable.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// The contents must not be empty; of equal ones the first counts.
  static Result<AddedTokens> build(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  /// Cuts `text` (UTF-8) into sections, in order. White space that a token strips is part of its
  /// section.
  void split(std::string_view text, Matcher& matcher, std::vector<TextSection>& sections) const;
  /// The same, but that special tokens are found in no text that holds a byte of a user's.
  void split(const MarkedText& text, Matcher& matcher, std::vector<TextSection>& sections) const;

  /// Id of the token of this content, or -1.
  int32_t find(std::string_view content) const;

 private:
  void split(std::string_view text, std::span<const Span> user, Matcher& matcher,
             std::vector<TextSection>& sections) const;
  /// The longest token at the front of `text`, or nullptr. Special ones end within the first
  /// `trusted` bytes.
  const AddedToken* longest_at(std::string_view text, size_t trusted) const;
  bool stands_alone(std::string_view text, Span found, Matcher& matcher) const;

  std::vector<AddedToken> tokens_;  // sorted by content
  std::array<bool, 256> begins_{};  // bytes that some content begins with
  std::vector<Regex> word_;         // one word character; empty when no token asks for it
};

}  // namespace tidar
