#pragma once
// Who asked for what, and what became of it: a line of the log for each answer, and the counts of
// /metrics.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "serve/metrics.h"

namespace tidar {

enum class LogStyle : uint8_t { none, text, json };

/// A request and its answer, when it has ended.
struct Exchange {
  std::string client{};      ///< address
  std::string method{};      ///< "" where the request could not be read
  std::string path{};        ///< without a query
  std::string_view route{};  ///< one of few, whatever clients ask for (Routes::route_of())
  int status = kClientWent;  ///< of the answer, if it has begun
  bool cut = false;          ///< the client went before its end
  double seconds = 0;        ///< from the end of the request
  int64_t bytes = 0;         ///< of the answer
  int64_t prompt_tokens = 0;
  int64_t new_tokens = 0;

  static constexpr int kClientWent = 499;  ///< as nginx has it
};

/// A line of the log, without its end.
std::string log_line(LogStyle style, std::string_view time, const Exchange& exchange);
std::string log_line(LogStyle style, std::string_view time, std::string_view message);

/// The line, with its end, that stands where so many are missing (serve/log_writer.h).
std::string lost_line(LogStyle style, int64_t lost);

/// Of one thread.
class Journal {
 public:
  /// `write` is given whole lines; it may be none where the style is. `metrics` must outlive it.
  Journal(LogStyle style, std::function<void(std::string_view)> write, Metrics& metrics)
      : style_(style), write_(std::move(write)), metrics_(metrics) {}

  /// Whoever asks every few seconds how the server is, and is told, gets no line.
  void end(const Exchange& exchange);
  /// Something about the server itself.
  void say(std::string_view message);

  Metrics& metrics() { return metrics_; }

 private:
  LogStyle style_;
  std::function<void(std::string_view)> write_;
  Metrics& metrics_;
};

}  // namespace tidar
