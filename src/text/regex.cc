#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"

namespace tidar {
namespace {

constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimitKib = 64 * 1024;

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

/// Rewrites a pattern of Oniguruma so that PCRE2 reads the same thing. What either reads in a way
/// that has no short counterpart in the other is refused: a wrong token is worse than an error.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : rest_(pattern) {}

  Result<std::string> run() {
    while (!rest_.empty()) TIDAR_TRY_VOID(in_class_ ? class_item() : item());
    if (in_class_) return error("the class that '[' opens is not closed");
    return std::move(out_);
  }

 private:
  bool at(std::string_view text) const { return rest_.starts_with(text); }
  void copy(size_t size) {
    out_ += rest_.substr(0, size);
    rest_.remove_prefix(size);
  }
  Error unsupported(size_t size) const {
    return error("\"{}\" is not supported here", rest_.substr(0, size));
  }

  Result<void> item() {
    if (at("\\")) return escape();
    if (at("(")) return group();
    if (at("{")) return repeat();
    if (at("[")) return open_class();
    copy(1);
    return {};
  }

  Result<void> group() {
    constexpr std::array<std::string_view, 7> kinds = {
        "(?:", "(?i:", "(?>", "(?=", "(?!", "(?<=", "(?<!"};
    for (std::string_view kind : kinds) {
      if (!at(kind)) continue;
      copy(kind.size());
      return {};
    }
    if (at("(?")) return unsupported(4);
    if (at("(*")) return unsupported(2);
    copy(1);
    return {};
  }

  /// {n}, {n,} and {n,m}. Other braces mean different things to the two libraries, and so does a
  /// mark behind them: "{2}+" is possessive in one and a repeat of the repeat in the other.
  Result<void> repeat() {
    size_t size = 1;
    while (size < rest_.size() && is_digit(rest_[size])) ++size;
    const bool counted = size > 1;
    if (size < rest_.size() && rest_[size] == ',') ++size;
    while (size < rest_.size() && is_digit(rest_[size])) ++size;
    if (!counted || size == rest_.size() || rest_[size] != '}') return unsupported(size);
    copy(size + 1);
    if (at("+") || at("?") || at("*") || at("{")) return unsupported(1);
    return {};
  }

  Result<void> open_class() {
    copy(at("[^") ? 2 : 1);
    if (at("]")) return unsupported(1);
    in_class_ = true;
    return {};
  }

  Result<void> class_item() {
    if (at("\\")) return escape();
    if (at("[")) return error("a class inside a class is not supported");
    if (at("&&")) return error("the intersection of classes (\"&&\") is not supported");
    if (at("]")) in_class_ = false;
    copy(1);
    return {};
  }

  Result<void> put(size_t size, std::string_view translation) {
    out_ += translation;
    rest_.remove_prefix(size);
    return {};
  }

  Result<void> escape() {
    if (rest_.size() < 2) return error("it ends in a lone backslash");
    const char c = rest_[1];
    // PCRE2's own \s takes U+180E in, which is no space since Unicode 6.3, and its \w lacks marks.
    const std::string word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
    if (c == 's') return put(2, "\\p{White_Space}");
    if (c == 'S') return put(2, "\\P{White_Space}");
    if (c == 'd') return put(2, "\\p{Nd}");
    if (c == 'D') return put(2, "\\P{Nd}");
    if (c == 'w') return put(2, in_class_ ? word : "[" + word + "]");
    if (c == 'W' && !in_class_) return put(2, "[^" + word + "]");
    if (c == 'v') return put(2, "\\x{0B}");
    if (c == 'p' || c == 'P') return property();
    if (c == 'u') return code_point();
    if (c == 'r' || c == 'n' || c == 't' || c == 'f' || is_punctuation(c)) {
      copy(2);
      return {};
    }
    return unsupported(2);
  }

  Result<void> code_point() {
    const std::string_view digits = rest_.substr(std::min<size_t>(2, rest_.size()), 4);
    if (digits.size() != 4 || !std::all_of(digits.begin(), digits.end(), is_hex)) {
      return unsupported(2);
    }
    return put(6, "\\x{" + std::string(digits) + "}");
  }

  /// A long name is a script unless it is listed; PCRE2 alone would take a script's name for the
  /// wider set of Script_Extensions.
  Result<void> property() {
    const size_t close = rest_.find('}');
    if (!rest_.substr(2).starts_with("{") || close == std::string_view::npos) {
      return unsupported(2);
    }
    std::string_view name = rest_.substr(3, close - 3);
    const bool negated = name.starts_with("^");
    if (negated) name.remove_prefix(1);
    const bool plain = name.size() <= 2 || name == "Alphabetic" || name == "White_Space" ||
                       name == "Uppercase" || name == "Lowercase" || name == "Ideographic";
    const bool letters = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    });
    if (name.empty() || !letters) return unsupported(close + 1);
    return put(close + 1, fmt::format("\\{}{{{}{}{}}}", rest_[1], negated ? "^" : "",
                                      plain ? "" : "sc:", name));
  }

  std::string_view rest_;
  std::string out_;
  bool in_class_ = false;
};

PCRE2_SPTR pcre2_text(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};

}  // namespace

void Regex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Result<Regex> Regex::compile(std::string_view pattern) {
  auto translated = Translator(pattern).run();
  if (!translated.ok()) return error("regex \"{}\": {}", pattern, translated.error().message);
  return build(*translated, PCRE2_UCP | PCRE2_MULTILINE);
}

Result<Regex> Regex::literal(std::string_view text) { return build(text, PCRE2_LITERAL); }

Result<Regex> Regex::build(std::string_view pattern, uint32_t options) {
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int code = 0;
  size_t offset = 0;
  Regex regex;
  regex.code_.reset(pcre2_compile(pcre2_text(pattern), pattern.size(), options | PCRE2_UTF, &code,
                                  &offset, context.get()));
  if (!regex.code_) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(code, message.data(), message.size());
    return error("regex \"{}\" cannot be compiled: {} at byte {}", pattern,
                 reinterpret_cast<const char*>(message.data()), offset);
  }
  // Without the compiler for this machine matching is slower and the same.
  pcre2_jit_compile(regex.code_.get(), PCRE2_JIT_COMPLETE);
  return regex;
}

void Matcher::Free::operator()(pcre2_real_match_data_8* data) const { pcre2_match_data_free(data); }
void Matcher::Free::operator()(pcre2_real_match_context_8* context) const {
  pcre2_match_context_free(context);
}

Matcher::Matcher()
    : data_(pcre2_match_data_create(1, nullptr)), context_(pcre2_match_context_create(nullptr)) {
  TIDAR_CHECK(data_ && context_);
  pcre2_set_match_limit(context_.get(), kMatchLimit);
  pcre2_set_heap_limit(context_.get(), kHeapLimitKib);
}

bool Matcher::find(const Regex& regex, std::string_view text, size_t from, Span& match) {
  const auto attempt = [&](uint32_t options) {
    return pcre2_match(regex.code_.get(), pcre2_text(text), text.size(), from,
                       PCRE2_NO_UTF_CHECK | options, data_.get(), context_.get());
  };
  int result = attempt(0);
  // The machine code keeps its backtracking on a stack of 32 KiB; the interpreter has the heap.
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = attempt(PCRE2_NO_JIT);
  if (result < 0) return false;
  const size_t* bounds = pcre2_get_ovector_pointer(data_.get());
  match = {bounds[0], bounds[1]};
  return true;
}

}  // namespace tidar
