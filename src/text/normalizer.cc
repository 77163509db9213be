#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "text/utf8.h"

namespace tidar {
namespace {

utf8proc_option_t options_of(NormalForm form) {
  int options = UTF8PROC_STABLE;
  const bool compose = form == NormalForm::nfc || form == NormalForm::nfkc;
  const bool compat = form == NormalForm::nfkc || form == NormalForm::nfkd;
  options |= compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (compat) options |= UTF8PROC_COMPAT;
  return static_cast<utf8proc_option_t>(options);
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

std::vector<utf8proc_int32_t> decompose(std::string_view text, utf8proc_option_t options) {
  std::vector<utf8proc_int32_t> characters;
  while (!text.empty()) {
    const Utf8Unit unit = utf8_front(text);
    std::array<utf8proc_int32_t, 32> parts;  // the longest decomposition (U+FDFA) has 18
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(unit.code_point),
                                               parts.data(), parts.size(), options, &boundary);
    TIDAR_CHECK(count >= 0 && count <= static_cast<utf8proc_ssize_t>(parts.size()));
    characters.insert(characters.end(), parts.begin(), parts.begin() + count);
    text.remove_prefix(unit.size);
  }
  return characters;
}

/// Sorts every run of combining marks by class. utf8proc_map() would do it too, but in quadratic
/// time: a megabyte of marks would hold the caller for hours.
void order_marks(std::vector<utf8proc_int32_t>& characters) {
  const auto by_class = [](auto a, auto b) { return combining_class(a) < combining_class(b); };
  const auto is_mark = [](auto c) { return combining_class(c) != 0; };
  for (auto begin = characters.begin(); begin != characters.end();) {
    begin = std::find_if(begin, characters.end(), is_mark);
    const auto end = std::find_if_not(begin, characters.end(), is_mark);
    std::stable_sort(begin, end, by_class);
    begin = end;
  }
}

void append_normalized(std::string& out, std::string_view text, NormalForm form) {
  const utf8proc_option_t options = options_of(form);
  std::vector<utf8proc_int32_t> characters = decompose(text, options);
  order_marks(characters);
  const auto count = utf8proc_normalize_utf32(
      characters.data(), static_cast<utf8proc_ssize_t>(characters.size()), options);
  TIDAR_CHECK_GE(count, 0);
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const auto size = utf8proc_encode_char(characters[static_cast<size_t>(i)], bytes.data());
    out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(size));
  }
}

/// A character that no normal form changes, moves, or joins to another. Errs to "no": Hangul, whose
/// syllables are composed by rule and not by table, is left to the library.
bool is_inert(char32_t c) {
  if (c < 0x80) return true;
  if (c >= 0x1100 && (c < 0x1200 || (c >= 0xAC00 && c < 0xD7A4))) return false;
  const auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  return property->combining_class == 0 && property->decomp_seqindex == UINT16_MAX &&
         property->comb_index == UINT16_MAX;
}

/// End of the stretch of ASCII characters at `begin`.
size_t ascii_end(std::string_view text, size_t begin) {
  while (begin < text.size() && static_cast<uint8_t>(text[begin]) < 0x80) ++begin;
  return begin;
}

/// End of the stretch of other characters at `begin`; clears `inert` if one of them is not.
size_t non_ascii_end(std::string_view text, size_t begin, bool& inert) {
  while (begin < text.size() && static_cast<uint8_t>(text[begin]) >= 0x80) {
    const Utf8Unit unit = utf8_front(text.substr(begin));
    inert = inert && is_inert(unit.code_point);
    begin += unit.size;
  }
  return begin;
}

}  // namespace

std::string normalize(std::string_view text, NormalForm form) {
  // Nothing is ever composed across the front of an ASCII character. So the text falls apart into
  // runs of one ASCII character and the others behind it, and most runs need no look-up at all.
  std::string out;
  out.reserve(text.size());
  size_t copied = 0;
  for (size_t at = ascii_end(text, 0); at < text.size(); at = ascii_end(text, at)) {
    bool inert = true;
    const size_t begin = at > copied ? at - 1 : at;
    at = non_ascii_end(text, at, inert);
    if (inert) continue;
    out += text.substr(copied, begin - copied);
    append_normalized(out, text.substr(begin, at - begin), form);
    copied = at;
  }
  out += text.substr(copied);
  return out;
}

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  TIDAR_CHECK(!pattern.empty());
  std::string out;
  size_t done = 0;
  for (size_t at = text.find(pattern); at != std::string_view::npos;
       at = text.find(pattern, done)) {
    out += text.substr(done, at - done);
    out += content;
    done = at + pattern.size();
  }
  out += text.substr(done);
  return out;
}

namespace {

/// Whether the step may change a text.
bool touches(const NormalStep& step, std::string_view text) {
  if (std::holds_alternative<NormalForm>(step)) return ascii_end(text, 0) < text.size();
  if (std::holds_alternative<Prepend>(step)) return !text.empty();
  return text.find(std::get<Replace>(step).pattern) != std::string_view::npos;
}

std::string after(const NormalStep& step, std::string_view text) {
  if (const auto* form = std::get_if<NormalForm>(&step)) return normalize(text, *form);
  if (const auto* prepend = std::get_if<Prepend>(&step)) return prepend->text + std::string(text);
  const auto& replace = std::get<Replace>(step);
  return replace_all(text, replace.pattern, replace.content);
}

}  // namespace

std::string_view Normalizer::apply(std::string_view text, std::string& scratch) const {
  std::string_view normalized = text;
  for (const NormalStep& step : steps_) {
    if (!touches(step, normalized)) continue;
    scratch = after(step, normalized);
    normalized = scratch;
  }
  return normalized;
}

}  // namespace tidar
