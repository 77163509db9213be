#include "serve/journal.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "format/json.h"
#include "serve/refusal.h"

namespace tidar {
namespace {

std::string utc_time() {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto ms = now.time_since_epoch().count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms);
}

/// What clients wrote, short and on one line; "-" for nothing.
std::string shown(std::string_view text) {
  constexpr size_t kMost = 200;
  if (text.empty()) return "-";
  std::string line(text.substr(0, kMost));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c <= ' ' || c > '~'; }, '?');
  return line;
}

double in_ms(double seconds) { return std::round(seconds * 1e5) / 100; }

}  // namespace

std::string log_line(LogStyle style, std::string_view time, const Exchange& exchange) {
  const std::string method = shown(exchange.method), path = shown(exchange.path);
  if (style == LogStyle::json) {
    return to_text({{"time", time},
                    {"client", exchange.client},
                    {"method", method},
                    {"path", path},
                    {"status", exchange.status},
                    {"cut", exchange.cut},
                    {"ms", in_ms(exchange.seconds)},
                    {"bytes", exchange.bytes},
                    {"prompt_tokens", exchange.prompt_tokens},
                    {"new_tokens", exchange.new_tokens}});
  }
  std::string line = fmt::format("{} {} {} {} {} {} ms, {} bytes", time, exchange.client, method,
                                 path, exchange.status, in_ms(exchange.seconds), exchange.bytes);
  if (exchange.prompt_tokens > 0) {
    line += fmt::format(", {} + {} tokens", exchange.prompt_tokens, exchange.new_tokens);
  }
  return exchange.cut ? line + ", cut" : line;
}

std::string log_line(LogStyle style, std::string_view time, std::string_view message) {
  return style == LogStyle::json ? to_text({{"time", time}, {"message", message}})
                                 : fmt::format("{} {}", time, message);
}

std::string lost_line(LogStyle style, int64_t lost) {
  return log_line(style, utc_time(),
                  fmt::format("{} lines are missing here: more came than could be written", lost)) +
         "\n";
}

void Journal::end(const Exchange& exchange) {
  ++metrics_.answers[{exchange.route, exchange.status}];
  const bool watches = exchange.route == "/health" || exchange.route == "/metrics";
  if (watches && exchange.status == 200) return;
  if (style_ != LogStyle::none) write_(log_line(style_, utc_time(), exchange) + "\n");
}

void Journal::say(std::string_view message) {
  if (style_ != LogStyle::none) write_(log_line(style_, utc_time(), message) + "\n");
}

}  // namespace tidar
