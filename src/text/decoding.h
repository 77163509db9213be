#pragma once
// How ids become text again: the "decoder" of a tokenizer.json.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace tidar {

/// What becomes of tokens that are written as characters (SentencePiece). Applied in this order.
struct CharacterDecoding {
  struct Replacement {
    std::string pattern;  // not empty
    std::string content;
  };
  std::string drop_in_first;              // taken out of the first token, unless ""
  std::vector<Replacement> replacements;  // in each token
  bool byte_fallback = false;             // the token <0x0A> is a byte
  std::string strip;                      // taken from the front of the whole text,
  size_t strip_count = 0;                 // as often as this
};

/// The byte of a token that is written <0x0A>, or -1.
int fallback_byte(std::string_view written);

/// Joins tokens, one by one. Immutable; refers to a vocabulary that must outlive it.
class Decoding {
 public:
  Decoding() = default;
  /// Byte-level: the bytes of the vocabulary's tokens are those of the text.
  explicit Decoding(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {}
  Decoding(const Vocabulary& vocabulary, CharacterDecoding rules);

  /// A text on its way.
  struct State {
    std::string pending;  // bytes that may or may not become characters
    bool begun = false;
    size_t stripped = 0;
  };
  /// Appends to `text` what is certain with this token; never a part of a character. Bytes that are
  /// no UTF-8 become U+FFFD: at byte level as Rust's from_utf8_lossy does; of a run of fallback
  /// bytes each one, unless the whole run is UTF-8, which only the next token tells.
  void push(int32_t id, State& state, std::string& text) const;
  /// Appends what is left.
  void finish(State& state, std::string& text) const;

  /// The bytes of a token inside a text; "" for an id without a token.
  std::string_view bytes(int32_t id) const;

 private:
  bool by_characters() const { return decoded_.size() > 0; }
  void flush_run(State& state, std::string& text) const;
  void append(std::string_view piece, State& state, std::string& text) const;

  const Vocabulary* vocabulary_ = nullptr;
  CharacterDecoding rules_;
  Vocabulary decoded_;               // by characters: what each token becomes
  std::vector<bool> fallback_byte_;  // by id
};

}  // namespace tidar
