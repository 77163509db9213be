#pragma once
// Bytes that may or may not be UTF-8. Broken ones become U+FFFD just as Rust's from_utf8_lossy (and
// the WHATWG decoder) does: one for each longest prefix that could have begun a character.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidar {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

/// What stands at the front of some bytes. `incomplete`: they end before the character does, and
/// more bytes could complete it.
struct Utf8Unit {
  enum class Kind : uint8_t { character, broken, incomplete };
  Kind kind = Kind::broken;
  uint8_t size = 0;         // bytes it takes, at least 1
  char32_t code_point = 0;  // of a character
};

/// Reads the front of `bytes`, which must not be empty.
Utf8Unit utf8_front(std::string_view bytes);

bool is_utf8(std::string_view bytes);

/// Appends `bytes` to `out`, with U+FFFD for what is not UTF-8.
void append_lossy(std::string& out, std::string_view bytes);

/// Length of `bytes` without an incomplete character at the end.
size_t complete_utf8_size(std::string_view bytes);

/// Unicode's White_Space property.
bool is_white_space(char32_t c);

/// Bytes of white space at the front and at the back of `text`, which must be UTF-8.
size_t leading_space_size(std::string_view text);
size_t trailing_space_size(std::string_view text);

/// Position where the last character of `text` begins. `text` must be UTF-8 and not empty.
size_t last_character_begin(std::string_view text);

}  // namespace tidar
