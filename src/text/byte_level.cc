#include "text/byte_level.h"

#include <array>

#include "text/utf8.h"

namespace tidar {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> kCharacters = [] {
  std::array<char32_t, 256> characters{};
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    characters[static_cast<size_t>(byte)] =
        stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
  }
  return characters;
}();

/// The inverse: byte of a character below U+0144, or -1.
constexpr std::array<int16_t, 0x144> kBytesOfUnits = [] {
  std::array<int16_t, 0x144> bytes{};
  for (int16_t& byte : bytes) byte = -1;
  for (int16_t byte = 0; byte < 256; ++byte) bytes[kCharacters[static_cast<size_t>(byte)]] = byte;
  return bytes;
}();

}  // namespace

bool append_byte_level(std::string_view token, std::string& bytes) {
  const size_t before = bytes.size();
  while (!token.empty()) {
    const Utf8Unit unit = utf8_front(token);
    const int byte = unit.code_point < kBytesOfUnits.size() ? kBytesOfUnits[unit.code_point] : -1;
    if (byte < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(byte));
    token.remove_prefix(unit.size);
  }
  return true;
}

std::string byte_level_text(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const char32_t c = byte_level_character(static_cast<uint8_t>(byte));  // below U+0144
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else {
      text += static_cast<char>(0xC0 | c >> 6);
      text += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return text;
}

char32_t byte_level_character(uint8_t byte) { return kCharacters[byte]; }

}  // namespace tidar
