#include "text/jinja/texts.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "text/utf8.h"

namespace tidar::jinja {
namespace {

/// Calls use(code point, span) for each character.
template <class F>
void for_each_character(std::string_view text, F&& use) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Unit unit = utf8_front(text.substr(at));
    use(unit.code_point, Span{at, at + unit.size});
    at += unit.size;
  }
}

bool strips(std::string_view character, const std::string_view* characters) {
  if (characters == nullptr) return is_space(utf8_front(character).code_point);
  return characters->find(character) != std::string_view::npos;
}

void append_code_point(MarkedText& out, char32_t c, Origin origin) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
  out.append({reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(size)}, origin);
}

char32_t cased(char32_t c, Case to) {
  const auto in = static_cast<utf8proc_int32_t>(c);
  const auto out = to == Case::lower   ? utf8proc_tolower(in)
                   : to == Case::title ? utf8proc_totitle(in)
                                       : utf8proc_toupper(in);
  return static_cast<char32_t>(out);
}

bool is_cased(char32_t c) { return cased(c, Case::lower) != cased(c, Case::upper); }

/// Whether a word of a headline begins behind it.
bool parts_words(char32_t c) {
  return is_space(c) || (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) !=
                                         std::string_view::npos);
}

/// The runs of characters that are not white space.
std::vector<Span> words_of(std::string_view text) {
  std::vector<Span> words;
  bool inside = false;
  for_each_character(text, [&](char32_t c, Span span) {
    const bool word = !is_space(c);
    if (word && !inside) words.push_back(span);
    if (word) words.back().end = span.end;
    inside = word;
  });
  return words;
}

/// Joins the pieces behind the first `limit`.
std::vector<Span> joined_rest(std::vector<Span> pieces, int64_t limit, size_t end) {
  if (limit < 0 || pieces.size() <= static_cast<size_t>(limit)) return pieces;
  const size_t kept = static_cast<size_t>(limit);
  pieces[kept].end = end;
  pieces.resize(kept + 1);
  return pieces;
}

}  // namespace

size_t find_text(std::string_view text, std::string_view pattern, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (pattern.empty()) return from;
  const void* found =
      memmem(text.data() + from, text.size() - from, pattern.data(), pattern.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

Span stripped(std::string_view text, Ends ends, const std::string_view* characters) {
  Span kept{0, text.size()};
  while (ends != Ends::right && kept.begin < kept.end) {
    const size_t size = utf8_front(text.substr(kept.begin)).size;
    if (!strips(text.substr(kept.begin, size), characters)) break;
    kept.begin += size;
  }
  while (ends != Ends::left && kept.begin < kept.end) {
    const size_t last = last_character_begin(text.substr(0, kept.end));
    if (!strips(text.substr(last, kept.end - last), characters)) break;
    kept.end = last;
  }
  return kept;
}

MarkedText with_case(const MarkedText& text, Case to) {
  MarkedText result;
  bool begins = true;  // a word, or the text
  for_each_character(text.bytes(), [&](char32_t c, Span span) {
    Case wanted = to;
    if (to != Case::upper && to != Case::lower) wanted = begins ? Case::title : Case::lower;
    append_code_point(result, cased(c, wanted), text.origin(span.begin));
    begins = (to == Case::title && !is_cased(c)) || (to == Case::headline && parts_words(c));
  });
  return result;
}

std::vector<Span> split(std::string_view text, const std::string_view* separator, int64_t limit) {
  if (separator == nullptr) return joined_rest(words_of(text), limit, text.size());
  std::vector<Span> pieces;
  size_t at = 0;
  while (limit < 0 || pieces.size() < static_cast<size_t>(limit)) {
    const size_t found = find_text(text, *separator, at);
    if (found == std::string_view::npos) break;
    pieces.push_back({at, found});
    at = found + separator->size();
  }
  pieces.push_back({at, text.size()});
  return pieces;
}

std::vector<Span> split_lines(std::string_view text) {
  std::vector<Span> lines;
  size_t begin = 0;
  bool behind_return = false;
  for_each_character(text, [&](char32_t c, Span span) {
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    if (ends && !(c == '\n' && behind_return)) lines.push_back({begin, span.begin});
    if (ends) begin = span.end;
    behind_return = c == '\r';
  });
  if (begin < text.size()) lines.push_back({begin, text.size()});
  return lines;
}

Result<MarkedText> replaced(Budget& budget, const MarkedText& text, const MarkedText& pattern,
                            const MarkedText& content, int64_t count) {
  MarkedText result;
  size_t done = 0, at = 0;
  for (int64_t i = 0; count < 0 || i < count; ++i) {
    const size_t found = find_text(text.bytes(), pattern.bytes(), at);
    if (found == std::string_view::npos) break;
    TIDAR_TRY_VOID(budget.spend_bytes(content.size()));
    result.append(text, {done, found});
    result.append(content);
    done = at = found + pattern.size();
    if (!pattern.empty()) continue;
    if (at == text.size()) break;
    at += utf8_front(std::string_view(text.bytes()).substr(at)).size;
  }
  result.append(text, {done, text.size()});
  return result;
}

std::vector<Span> characters_of(std::string_view text) {
  std::vector<Span> characters;
  for_each_character(text, [&](char32_t, Span span) { characters.push_back(span); });
  return characters;
}

size_t character_count(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace tidar::jinja
