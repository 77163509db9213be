#include "report/markup.h"

#include <algorithm>

namespace tidar {
namespace {

/// U+FFFE and U+FFFF are no characters to XML.
bool is_noncharacter(std::string_view text) {
  return text.starts_with("\xEF\xBF\xBE") || text.starts_with("\xEF\xBF\xBF");
}

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

/// The bytes of the UTF-8 character that the text, which is not empty, begins with; one where it is
/// none.
size_t length_of_first(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const size_t length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return std::min(length, text.size());
}

/// In units of the font's size.
double width_of_first(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  // From U+1000 on, most are East Asian; but dashes, ellipses and arrows are not.
  if (first >= 0xE3) return 1;
  if (first == '=' || first == '+' || first == '%') return 0.84;
  if (first == 'i' || first == 'l' || first == ' ' || first == '.' || first == ',') return 0.32;
  return first == 'm' || first == 'M' || first == 'W' || first == 'w' ? 0.9 : 0.64;
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_noncharacter(text.substr(i))) {
      escaped += ' ';
      i += 2;
    } else if (c == '\n') {
      escaped += "&#10;";
    } else if (is_control(c)) {
      escaped += ' ';
    } else if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else if (c == '"') {
      escaped += "&quot;";
    } else if (c == '\'') {
      escaped += "&#39;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string escape_markdown(std::string_view text) {
  constexpr std::string_view kMarks = "\\`*_[]<>|&~#$!";
  std::string escaped;
  // "1. " and "-" at the beginning are list items; "=" underlines a heading.
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const bool numbered = digits > 0 && (digits + 1 >= text.size() || text[digits + 1] == ' ');
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool begins = (i == 0 && (c == '-' || c == '+' || c == '=')) ||
                        (numbered && i == digits && (c == '.' || c == ')'));
    if (begins || kMarks.find(c) != std::string_view::npos) escaped += '\\';
    escaped += is_control(c) ? ' ' : c;
  }
  return escaped;
}

double text_width(std::string_view text, double size) {
  double width = 0;
  while (!text.empty()) {
    width += width_of_first(text);
    text.remove_prefix(length_of_first(text));
  }
  return width * size;
}

std::string fit_text(std::string_view text, double size, double width) {
  if (text_width(text, size) <= width) return std::string(text);
  constexpr std::string_view kEnd = "…";
  const double room = width - text_width(kEnd, size);
  size_t kept = 0;
  while (kept < text.size()) {
    const size_t next = kept + length_of_first(text.substr(kept));
    if (text_width(text.substr(0, next), size) > room) break;
    kept = next;
  }
  return std::string(text.substr(0, kept)) += kEnd;
}

}  // namespace tidar
