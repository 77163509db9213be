#include "text/utf8.h"

#include <simdjson.h>

#include <algorithm>

#include "base/check.h"

namespace tidar {
namespace {

bool is_continuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

/// How a sequence goes on after its first byte: its length, and the range of the second byte, which
/// is what keeps out overlong forms, surrogates and what lies above U+10FFFF (Unicode, table 3-7).
struct Lead {
  int size = 0;  // 0: no character begins with this byte
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

}  // namespace

Utf8Unit utf8_front(std::string_view bytes) {
  TIDAR_CHECK(!bytes.empty());
  const auto first = static_cast<uint8_t>(bytes[0]);
  const Lead lead = lead_of(first);
  if (lead.size == 0) return {Utf8Unit::Kind::broken, 1, 0};
  if (lead.size == 1) return {Utf8Unit::Kind::character, 1, first};

  char32_t code_point = first & (0x7Fu >> lead.size);
  for (int i = 1; i < lead.size; ++i) {
    const auto at = static_cast<uint8_t>(i);
    if (bytes.size() == at) return {Utf8Unit::Kind::incomplete, at, 0};
    const auto byte = static_cast<uint8_t>(bytes[at]);
    const bool fits = i == 1 ? byte >= lead.low && byte <= lead.high : is_continuation(bytes[at]);
    if (!fits) return {Utf8Unit::Kind::broken, at, 0};
    code_point = code_point << 6 | (byte & 0x3Fu);
  }
  return {Utf8Unit::Kind::character, static_cast<uint8_t>(lead.size), code_point};
}

bool is_utf8(std::string_view bytes) { return simdjson::validate_utf8(bytes.data(), bytes.size()); }

void append_lossy(std::string& out, std::string_view bytes) {
  if (is_utf8(bytes)) {
    out += bytes;
    return;
  }
  while (!bytes.empty()) {
    const Utf8Unit unit = utf8_front(bytes);
    out +=
        unit.kind == Utf8Unit::Kind::character ? bytes.substr(0, unit.size) : kReplacementCharacter;
    bytes.remove_prefix(unit.size);
  }
}

size_t complete_utf8_size(std::string_view bytes) {
  // An incomplete character is at most three bytes, and a byte that can begin one is never the
  // continuation of another: looking back for it finds where a reader from the front would stand.
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const size_t begin = bytes.size() - back;
    if (is_continuation(bytes[begin])) continue;
    const bool incomplete = utf8_front(bytes.substr(begin)).kind == Utf8Unit::Kind::incomplete;
    return incomplete ? begin : bytes.size();
  }
  return bytes.size();
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

size_t leading_space_size(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const Utf8Unit unit = utf8_front(text.substr(size));
    if (!is_white_space(unit.code_point)) break;
    size += unit.size;
  }
  return size;
}

size_t trailing_space_size(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    const size_t previous = last_character_begin(text.substr(0, begin));
    if (!is_white_space(utf8_front(text.substr(previous)).code_point)) break;
    begin = previous;
  }
  return text.size() - begin;
}

size_t last_character_begin(std::string_view text) {
  TIDAR_CHECK(!text.empty());
  size_t begin = text.size() - 1;
  while (begin > 0 && is_continuation(text[begin])) --begin;
  return begin;
}

}  // namespace tidar
