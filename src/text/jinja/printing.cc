#include "text/jinja/printing.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

#include "text/utf8.h"

namespace tidar::jinja {
namespace {

constexpr size_t kMaxPrintedDepth = 100;  // of lists and maps within each other

/// Calls use(code point, bytes, origin) for each character.
template <class F>
void for_each_character(const MarkedText& text, F&& use) {
  const std::string_view bytes = text.bytes();
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Unit unit = utf8_front(bytes.substr(at));
    use(unit.code_point, bytes.substr(at, unit.size), text.origin(at));
    at += unit.size;
  }
}

/// The escape of a character in a text between quotes, or "": those that JSON and Python share.
std::string_view short_escape(char32_t c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\\':
      return "\\\\";
    default:
      return "";
  }
}

std::string json_escape(char32_t c, bool ascii) {
  if (const std::string_view escape = short_escape(c); !escape.empty()) return std::string(escape);
  if (c == '"') return "\\\"";
  if (c == '\b') return "\\b";
  if (c == '\f') return "\\f";
  if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000)) {
    return fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  }
  if (ascii && c >= 0x10000) {
    const auto low = static_cast<uint32_t>(c) - 0x10000;
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (low >> 10), 0xDC00 + (low & 0x3FF));
  }
  return "";
}

/// Whether Python's repr() shows the character itself.
bool is_printable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

std::string python_escape(char32_t c, char quote) {
  if (const std::string_view escape = short_escape(c); !escape.empty()) return std::string(escape);
  if (c == static_cast<char32_t>(quote)) return {'\\', quote};
  if (is_printable(c)) return "";
  const auto code = static_cast<uint32_t>(c);
  if (c < 0x100) return fmt::format("\\x{:02x}", code);
  return c < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
}

/// Writes values between brackets and commas.
class Writer {
 public:
  Writer(Budget& budget, MarkedText& out) : budget_(budget), out_(out) {}
  virtual ~Writer() = default;

  Result<void> write(const Value& value, size_t depth) {
    TIDAR_TRY_VOID(budget_.spend_steps(1));
    if (depth > kMaxPrintedDepth)
      return error("more than {} lists within each other", kMaxPrintedDepth);
    if (value.text() != nullptr) return write_text(*value.text());
    if (const List* list = value.list()) return write_list(*list, depth);
    if (const Map* map = value.map()) return write_map(*map, depth);
    if (const int64_t* integer = value.integer()) return put(fmt::format("{}", *integer));
    if (const double* fraction = std::get_if<double>(&value.data())) {
      return write_fraction(*fraction);
    }
    return write_word(value);
  }

 protected:
  virtual Result<void> write_text(const MarkedText& text) = 0;
  virtual Result<void> write_word(const Value& value) = 0;
  virtual Result<void> write_fraction(double value) { return put(fraction_text(value)); }
  virtual Result<void> separate(bool /*first*/, size_t /*depth*/) = 0;
  virtual Result<void> end_items(size_t /*depth*/) { return {}; }
  virtual Result<void> write_key_separator() = 0;
  virtual Result<void> write_list(const List& list, size_t depth) {
    return write_items(list, depth, "[", "]");
  }

  Result<void> put(std::string_view text) {
    TIDAR_TRY_VOID(budget_.spend_bytes(text.size()));
    out_.append(text, Origin::author);
    return {};
  }
  Result<void> put(const MarkedText& text) {
    TIDAR_TRY_VOID(budget_.spend_bytes(text.size()));
    out_.append(text);
    return {};
  }

  Result<void> write_items(const List& list, size_t depth, std::string_view begin,
                           std::string_view end) {
    TIDAR_TRY_VOID(put(begin));
    for (size_t i = 0; i < list.items.size(); ++i) {
      TIDAR_TRY_VOID(separate(i == 0, depth + 1));
      TIDAR_TRY_VOID(write(list.items[i], depth + 1));
    }
    if (!list.items.empty()) TIDAR_TRY_VOID(end_items(depth));
    return put(end);
  }

  virtual std::vector<std::pair<const MarkedText*, Value>> entries_of(const Map& map) const {
    return map.entries;
  }

  Result<void> write_map(const Map& map, size_t depth) {
    TIDAR_TRY_VOID(put("{"));
    bool first = true;
    for (const auto& [key, value] : entries_of(map)) {
      TIDAR_TRY_VOID(separate(first, depth + 1));
      TIDAR_TRY_VOID(write_text(*key));
      TIDAR_TRY_VOID(write_key_separator());
      TIDAR_TRY_VOID(write(value, depth + 1));
      first = false;
    }
    if (!first) TIDAR_TRY_VOID(end_items(depth));
    return put("}");
  }

  /// A text between quotes; escape(code point) gives "" for what stands as it is.
  template <class F>
  Result<void> put_quoted(const MarkedText& text, std::string_view quote, F&& escape) {
    TIDAR_TRY_VOID(budget_.spend_bytes(text.size()));
    MarkedText quoted(quote, Origin::author);
    for_each_character(text, [&](char32_t c, std::string_view bytes, Origin origin) {
      const std::string escaped = escape(c);
      quoted.append(escaped.empty() ? bytes : std::string_view(escaped), origin);
    });
    quoted.append(quote, Origin::author);
    return put(quoted);
  }

  Budget& budget_;
  MarkedText& out_;
};

class PythonWriter : public Writer {
 public:
  using Writer::Writer;

 protected:
  Result<void> write_text(const MarkedText& text) override {
    const bool single = text.bytes().find('\'') != std::string::npos;
    const bool both = single && text.bytes().find('"') != std::string::npos;
    const char quote = single && !both ? '"' : '\'';
    return put_quoted(text, std::string_view(&quote, 1),
                      [quote](char32_t c) { return python_escape(c, quote); });
  }
  Result<void> write_word(const Value& value) override {
    if (value.is<bool>()) return put(is_true(value) ? "True" : "False");
    if (value.is<None>()) return put("None");
    if (value.is<Undefined>()) return put("Undefined");
    return error("{} cannot be printed", kind_of(value));
  }
  Result<void> write_list(const List& list, size_t depth) override {
    if (!list.tuple) return write_items(list, depth, "[", "]");
    return write_items(list, depth, "(", list.items.size() == 1 ? ",)" : ")");
  }
  Result<void> separate(bool first, size_t /*depth*/) override { return put(first ? "" : ", "); }
  Result<void> write_key_separator() override { return put(": "); }
};

class JsonWriter : public Writer {
 public:
  JsonWriter(Budget& budget, MarkedText& out, const JsonStyle& style)
      : Writer(budget, out), style_(style) {}

 protected:
  Result<void> write_text(const MarkedText& text) override {
    return put_quoted(text, "\"", [this](char32_t c) { return json_escape(c, style_.ascii); });
  }
  Result<void> write_word(const Value& value) override {
    if (value.is<bool>()) return put(is_true(value) ? "true" : "false");
    if (value.is<None>()) return put("null");
    return error("{} cannot be written as JSON", kind_of(value));
  }
  Result<void> write_fraction(double value) override {
    if (std::isnan(value)) return put("NaN");
    if (std::isinf(value)) return put(value > 0 ? "Infinity" : "-Infinity");
    return put(fraction_text(value));
  }
  Result<void> separate(bool first, size_t depth) override {
    if (!first) {
      if (style_.item_separator != nullptr) {
        TIDAR_TRY_VOID(put(*style_.item_separator));
      } else {
        TIDAR_TRY_VOID(put(style_.indent ? "," : ", "));
      }
    }
    return style_.indent ? begin_line(depth) : Result<void>();
  }
  Result<void> end_items(size_t depth) override {
    return style_.indent ? begin_line(depth) : Result<void>();
  }
  Result<void> write_key_separator() override {
    return style_.key_separator != nullptr ? put(*style_.key_separator) : put(": ");
  }
  std::vector<std::pair<const MarkedText*, Value>> entries_of(const Map& map) const override {
    auto entries = map.entries;
    if (style_.sorted) {
      std::sort(entries.begin(), entries.end(),
                [](const auto& a, const auto& b) { return a.first->bytes() < b.first->bytes(); });
    }
    return entries;
  }

 private:
  Result<void> begin_line(size_t depth) {
    const auto width = static_cast<size_t>(std::max<int64_t>(*style_.indent, 0));
    TIDAR_TRY_VOID(put("\n"));
    TIDAR_TRY_VOID(budget_.spend_bytes(depth, width));
    out_.append(std::string(depth * width, ' '), Origin::author);
    return {};
  }

  const JsonStyle& style_;
};

}  // namespace

std::string fraction_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const double size = std::fabs(value);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer.data(), end.ptr);
  if (!scientific && text.find('.') == std::string::npos) text += ".0";
  return text;
}

Result<void> print(Budget& budget, const Value& value, MarkedText& out) {
  if (const MarkedText* text = value.text()) {
    TIDAR_TRY_VOID(budget.spend_bytes(text->size()));
    out.append(*text);
    return {};
  }
  if (value.is<Undefined>()) return {};
  return PythonWriter(budget, out).write(value, 0);
}

Result<void> print_json(Budget& budget, const Value& value, const JsonStyle& style,
                        MarkedText& out) {
  return JsonWriter(budget, out, style).write(value, 0);
}

}  // namespace tidar::jinja
