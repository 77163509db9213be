#pragma once
// Lines of the log on their way to a file that may take them slowly, or not at all: a pipe that
// nobody reads, a terminal that was stopped, a full disk.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "base/stopwatch.h"
#include "serve/bounded_queue.h"

namespace tidar {

/// Writes them on a thread of its own, one after another. All calls come from one thread: its
/// owner's, which never waits.
class LogWriter {
 public:
  /// So many lines wait at most.
  static constexpr size_t kUsualMost = 4096;

  /// `file` is a descriptor that stays open longer. `lost_line` makes the line that stands where so
  /// many are missing.
  LogWriter(int file, std::function<std::string(int64_t)> lost_line, size_t most = kUsualMost);
  /// What still waits is written, unless nobody takes it for a second.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// A whole line, its end included. Lost where too many wait.
  void write(std::string_view line);

 private:
  bool push(std::string line) { return lines_.try_push(std::move(line)); }
  bool announce_lost();

  // The thread.
  void run();
  void put(std::string_view bytes);
  bool wait_for_room();

  const int file_;
  std::function<std::string(int64_t)> lost_line_;
  BoundedQueue<std::string> lines_;
  int64_t lost_ = 0;                 // since the last line that waits
  std::optional<Stopwatch> ending_;  // since the owner has had no more lines
  bool gave_up_ = false;
  std::thread thread_;
};

}  // namespace tidar
