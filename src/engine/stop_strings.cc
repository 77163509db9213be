#include "engine/stop_strings.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace tidar {
namespace {

/// Length of the longest end of `text` that is a beginning of `string`, the whole of it excluded.
size_t overlap(std::string_view text, std::string_view string) {
  size_t length = std::min(text.size(), string.size() - 1);
  while (!text.ends_with(string.substr(0, length))) --length;
  return length;
}

}  // namespace

StopStrings::StopStrings(std::vector<std::string> strings) : strings_(std::move(strings)) {
  for (const std::string& string : strings_) TIDAR_CHECK(!string.empty());
}

std::string StopStrings::push(std::string_view piece) {
  if (found_) return {};
  held_ += piece;
  size_t begin = held_.size(), end = held_.size() + 1;
  size_t hold = 0;
  for (const std::string& string : strings_) {
    const size_t at = held_.find(string);
    if (at != std::string::npos) {
      const auto candidate = std::pair(at + string.size(), at);
      std::tie(end, begin) = std::min(std::pair(end, begin), candidate);
      found_ = true;
    }
    hold = std::max(hold, overlap(held_, string));
  }
  if (!found_) begin = held_.size() - hold;
  std::string released = held_.substr(0, begin);
  held_ = found_ ? "" : held_.substr(begin);
  return released;
}

std::string StopStrings::finish() { return std::exchange(held_, {}); }

}  // namespace tidar
