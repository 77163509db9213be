#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "text/jinja/texts.h"
#include "text/utf8.h"

namespace tidar::jinja {
namespace {

using Kind = Token::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}
bool goes_on_name(char c) { return begins_name(c) || is_digit(c); }

/// Value of a digit of base 16, or -1.
int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_character(std::string& out, uint32_t c) {
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

/// The source with lines that end in \n alone, and without the last one's end.
std::string with_plain_lines(std::string_view source) {
  std::string plain;
  plain.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      plain += source[i];
      continue;
    }
    plain += '\n';
    if (source.substr(i + 1).starts_with('\n')) ++i;
  }
  if (plain.ends_with('\n')) plain.pop_back();
  return plain;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : plain_(with_plain_lines(source)), source_(plain_) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag();
      take_data(tag);
      if (at_ == source_.size()) break;
      const char what = source_[at_ + 1];
      open_line_ = line();
      at_ += 2;
      if (at('-') || at('+')) ++at_;
      if (what == '#') {
        TIDAR_TRY_VOID(skip_comment());
      } else {
        TIDAR_TRY_VOID(take_tag(what));
      }
    }
    push(Kind::end, "");
    return std::move(tokens_);
  }

 private:
  bool at(char c) const { return at_ < source_.size() && source_[at_] == c; }
  bool at(std::string_view text) const { return source_.substr(at_).starts_with(text); }

  int line() {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(counted_),
                                         source_.begin() + static_cast<ptrdiff_t>(at_), '\n'));
    counted_ = at_;
    return line_;
  }
  void push(Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line()}); }
  template <class... Args>
  Error wrong(fmt::format_string<Args...> pattern, Args&&... args) {
    return error("line {}: {}", line(), fmt::format(pattern, std::forward<Args>(args)...));
  }

  /// Where the next tag begins; the end when there is none.
  size_t next_tag() const {
    for (size_t i = at_; (i = source_.find('{', i)) != std::string_view::npos; ++i) {
      if (i + 1 < source_.size() &&
          std::string_view("{%#").find(source_[i + 1]) != std::string::npos)
        return i;
    }
    return source_.size();
  }

  /// The text before a tag at `tag`, without what the tag takes along of it.
  void take_data(size_t tag) {
    std::string_view data = source_.substr(at_, tag - at_);
    const std::string_view sign = source_.substr(std::min(tag + 2, source_.size()), 1);
    if (sign == "-") {
      data = data.substr(0, stripped(data, Ends::right).end);
    } else if (tag < source_.size() && source_[tag + 1] != '{' && sign != "+") {
      data = without_indentation(data);
    }
    if (!data.empty()) push(Kind::data, std::string(data));
    at_ = tag;
  }

  std::string_view without_indentation(std::string_view data) const {
    const size_t end = data.rfind('\n');
    const size_t begin = end == std::string_view::npos ? 0 : end + 1;
    const bool begins_line = begin > 0 || at_ == 0 || source_[at_ - 1] == '\n';
    const bool blank = stripped(data.substr(begin), Ends::left).size() == 0;
    return begins_line && blank ? data.substr(0, begin) : data;
  }

  /// Behind a tag: white space that it takes along.
  void close_tag(char sign, bool trims_line) {
    if (sign == '-') {
      at_ += stripped(source_.substr(at_), Ends::left).begin;
    } else if (trims_line && sign != '+' && at('\n')) {
      ++at_;
    }
  }

  Result<void> skip_comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) return wrong("a comment has no end; expected '#}}'");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    at_ = end + 2;
    close_tag(sign, true);
    return {};
  }

  /// If the tag ends here: takes its end.
  bool take_end(std::string_view end, bool block) {
    char sign = ' ';
    if ((at('-') || (block && at('+'))) && source_.substr(at_ + 1).starts_with(end)) {
      sign = source_[at_++];
    } else if (!at(end) || !brackets_.empty()) {
      return false;
    }
    push(block ? Kind::block_end : Kind::output_end, "");
    at_ += end.size();
    close_tag(sign, block);
    return true;
  }

  Result<void> take_tag(char what) {
    const bool block = what == '%';
    push(block ? Kind::block_begin : Kind::output_begin, "");
    brackets_.clear();
    while (true) {
      at_ += stripped(source_.substr(at_), Ends::left).begin;
      if (at_ == source_.size()) {
        return error("line {}: a tag has no end; expected '{}'", open_line_, block ? "%}" : "}}");
      }
      if (take_end(block ? "%}" : "}}", block)) return {};
      TIDAR_TRY_VOID(take_token());
    }
  }

  Result<void> take_token() {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return take_text(c);
    if (is_digit(c)) return take_number();
    if (begins_name(c)) {
      const size_t begin = at_;
      while (at_ < source_.size() && goes_on_name(source_[at_])) ++at_;
      push(Kind::name, std::string(source_.substr(begin, at_ - begin)));
      return {};
    }
    return take_symbol();
  }

  Result<void> take_symbol() {
    constexpr std::array<std::string_view, 25> kSymbols = {
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "|",
        "=",  "<",  ">",  ".",  ",",  ":",  "(", ")", "[", "]", "{", "}"};
    for (std::string_view symbol : kSymbols) {
      if (!at(symbol)) continue;
      if (symbol == "(" || symbol == "[" || symbol == "{") brackets_ += symbol;
      if (symbol == ")" || symbol == "]" || symbol == "}") {
        const char opening = symbol == ")" ? '(' : symbol == "]" ? '[' : '{';
        if (!brackets_.ends_with(opening)) return wrong("unexpected '{}'", symbol);
        brackets_.pop_back();
      }
      push(Kind::symbol, std::string(symbol));
      at_ += symbol.size();
      return {};
    }
    const std::string_view rest = source_.substr(at_);
    return wrong("unexpected '{}'", rest.substr(0, utf8_front(rest).size));
  }

  Result<void> take_number() {
    std::string digits;
    bool fraction = false;
    const auto take_digits = [&] {
      while (at_ < source_.size()) {
        const bool separator = at('_') && at_ + 1 < source_.size() && is_digit(source_[at_ + 1]);
        if (!is_digit(source_[at_]) && !separator) break;
        if (!separator) digits += source_[at_];
        ++at_;
      }
    };
    const auto digit_at = [&](size_t i) { return i < source_.size() && is_digit(source_[i]); };
    const bool field = !tokens_.empty() && tokens_.back().text == "." && source_[at_ - 1] == '.';
    take_digits();
    if (!field && at('.') && digit_at(at_ + 1)) {
      fraction = true;
      digits += source_[at_++];
      take_digits();
    }
    if (!field && (at('e') || at('E'))) {
      const bool sign =
          at_ + 1 < source_.size() && (source_[at_ + 1] == '-' || source_[at_ + 1] == '+');
      if (digit_at(at_ + 1 + sign)) {
        fraction = true;
        digits += source_.substr(at_, 1 + sign);
        at_ += 1 + sign;
        take_digits();
      }
    }
    push(fraction ? Kind::fraction : Kind::integer, std::move(digits));
    return {};
  }

  Result<void> take_text(char quote) {
    const size_t begin = at_++;
    std::string text;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\') {
        TIDAR_TRY_VOID(take_escape(text));
      } else {
        text += source_[at_++];
      }
    }
    if (at_ == source_.size()) {
      at_ = std::max(begin, counted_);
      return wrong("a text has no end; expected {}", quote);
    }
    push(Kind::text, std::move(text));
    ++at_;
    return {};
  }

  /// As in Python: what is no escape stays as it stands.
  Result<void> take_escape(std::string& text) {
    ++at_;
    if (at_ == source_.size()) return {};
    const char c = source_[at_++];
    constexpr std::string_view kFrom = "ntrbfva\\'\"", kTo = "\n\t\r\b\f\v\a\\'\"";
    if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
      text += kTo[known];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      return take_code_point(c == 'x' ? 2 : c == 'u' ? 4 : 8, text);
    } else if (c >= '0' && c <= '7') {
      uint32_t value = static_cast<uint32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7';
           ++i)
        value = value * 8 + static_cast<uint32_t>(source_[at_++] - '0');
      append_character(text, value);
    } else if (c != '\n') {
      text += '\\';
      --at_;
      const size_t size = utf8_front(source_.substr(at_)).size;
      text += source_.substr(at_, size);
      at_ += size;
    }
    return {};
  }

  Result<void> take_code_point(int digits, std::string& text) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = at_ < source_.size() ? digit_value(source_[at_]) : -1;
      if (digit < 0) return wrong("an escape has too few digits; expected {}", digits);
      value = value << 4 | static_cast<uint32_t>(digit);
      ++at_;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
      return wrong("an escape says U+{:X}, which is no character", value);
    }
    append_character(text, value);
    return {};
  }

  std::string plain_;
  std::string_view source_;
  size_t at_ = 0;
  size_t counted_ = 0;  // lines up to here
  int line_ = 1;
  int open_line_ = 1;     // where the tag began
  std::string brackets_;  // that are open within it
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace tidar::jinja
