#include "eval/number_answer.h"

#include <algorithm>
#include <cctype>

namespace tidar {
namespace {

constexpr std::string_view kMark = "#### ";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kNumber = "0123456789.,";
constexpr std::string_view kMoney = "$0123456789.,";

/// Length of -?[of]{least,} at the beginning of `text`; 0 if it does not match.
size_t match(std::string_view text, std::string_view of, size_t least) {
  const size_t sign = text.starts_with('-') ? 1 : 0;
  const size_t run = std::min(text.find_first_not_of(of, sign), text.size()) - sign;
  return run >= least ? sign + run : 0;
}

std::string plain(std::string_view text) {
  std::string kept;
  for (const char c : text) {
    if (c == ',' || c == '$') continue;
    kept += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (const size_t mark = kept.rfind(kMark); mark != kept.npos) kept.erase(0, mark + kMark.size());
  if (kept.ends_with('.')) kept.pop_back();
  return kept;
}

}  // namespace

std::optional<std::string> strict_answer(std::string_view text) {
  for (size_t at = text.find(kMark); at != text.npos; at = text.find(kMark, at + 1)) {
    const std::string_view rest = text.substr(at + kMark.size());
    if (const size_t length = match(rest, kNumber, 1)) return std::string(rest.substr(0, length));
  }
  return std::nullopt;
}

std::optional<std::string> flexible_answer(std::string_view text) {
  std::optional<std::string> last;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const size_t length = std::max(match(rest, kMoney, 2), match(rest, kDigits, 1));
    if (length > 0) last = std::string(rest.substr(0, length));
    at += std::max<size_t>(1, length);
  }
  return last;
}

bool same_answer(std::string_view a, std::string_view b) { return plain(a) == plain(b); }

}  // namespace tidar
