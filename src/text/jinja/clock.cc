#include "text/jinja/clock.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

namespace tidar::jinja {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

template <size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, int at) {
  return names[static_cast<size_t>(at) % N];
}

/// "" for a letter that is not known.
std::string part_of(const std::tm& time, char letter) {
  switch (letter) {
    case 'Y':
      return fmt::format("{}", time.tm_year + 1900);
    case 'y':
      return fmt::format("{:02}", time.tm_year % 100);
    case 'm':
      return fmt::format("{:02}", time.tm_mon + 1);
    case 'd':
      return fmt::format("{:02}", time.tm_mday);
    case 'j':
      return fmt::format("{:03}", time.tm_yday + 1);
    case 'B':
      return std::string(name_of(kMonths, time.tm_mon));
    case 'b':
      return std::string(name_of(kMonths, time.tm_mon).substr(0, 3));
    case 'A':
      return std::string(name_of(kDays, time.tm_wday));
    case 'a':
      return std::string(name_of(kDays, time.tm_wday).substr(0, 3));
    case 'H':
      return fmt::format("{:02}", time.tm_hour);
    case 'I':
      return fmt::format("{:02}", (time.tm_hour + 11) % 12 + 1);
    case 'M':
      return fmt::format("{:02}", time.tm_min);
    case 'S':
      return fmt::format("{:02}", time.tm_sec);
    case 'p':
      return time.tm_hour < 12 ? "AM" : "PM";
    case '%':
      return "%";
    default:
      return "";
  }
}

}  // namespace

MarkedText time_text(const std::tm& time, const MarkedText& format) {
  MarkedText text;
  for (size_t i = 0; i < format.size(); ++i) {
    const bool escape = format.bytes()[i] == '%' && i + 1 < format.size();
    const std::string part = escape ? part_of(time, format.bytes()[i + 1]) : "";
    if (part.empty()) {
      text.append(format, {i, i + 1});
    } else {
      text.append(part, format.origin(i++));
    }
  }
  return text;
}

}  // namespace tidar::jinja
