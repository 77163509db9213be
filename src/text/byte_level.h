#pragma once
// The byte-level alphabet of GPT-2: every byte written as one printable character, so that a
// vocabulary of strings can hold any bytes. Printable Latin-1 bytes stand for themselves; the
// others are the characters from U+0100 on, in order (the space is U+0120, 'Ġ').

#include <cstdint>
#include <string>
#include <string_view>

namespace tidar {

/// Appends the bytes that `token` writes in the byte-level alphabet. False, and `bytes` as it was,
/// when a character of `token` is not of the alphabet. `token` must be UTF-8.
bool append_byte_level(std::string_view token, std::string& bytes);

/// `bytes` written in the byte-level alphabet, as UTF-8.
std::string byte_level_text(std::string_view bytes);

/// The character that writes `byte`.
char32_t byte_level_character(uint8_t byte);

}  // namespace tidar
