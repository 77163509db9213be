#pragma once
// What methods and filters do to texts, as Python's str does it; every character stays whose it
// was.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/jinja/limits.h"
#include "text/marked_text.h"
#include "text/span.h"

namespace tidar::jinja {

/// Place of `pattern` in `text` from `from` on, or npos. In linear time.
size_t find_text(std::string_view text, std::string_view pattern, size_t from = 0);

/// Python's white space: Unicode's, and the separators U+001C to U+001F.
bool is_space(char32_t c);

/// What is left without the characters of `characters` (white space, when there are none) at its
/// ends.
enum class Ends : uint8_t { left, right, both };
Span stripped(std::string_view text, Ends ends, const std::string_view* characters = nullptr);

/// title: as str.title() has it, where a word begins behind whatever is no letter ("It'S");
/// headline: as Jinja's filter has it, behind white space and some signs.
enum class Case : uint8_t { upper, lower, capitalized, title, headline };
/// Each character by itself: ß stays as it is.
MarkedText with_case(const MarkedText& text, Case to);

/// The pieces between `separator` (not empty), or between runs of white space when there is none;
/// at most `limit` cuts, any number when it is negative.
std::vector<Span> split(std::string_view text, const std::string_view* separator, int64_t limit);
/// Without the ends of lines.
std::vector<Span> split_lines(std::string_view text);

/// `text` with `content` for the first `count` of `pattern` (all when negative).
Result<MarkedText> replaced(Budget& budget, const MarkedText& text, const MarkedText& pattern,
                            const MarkedText& content, int64_t count);

/// Each character's bytes.
std::vector<Span> characters_of(std::string_view text);
size_t character_count(std::string_view text);

}  // namespace tidar::jinja
