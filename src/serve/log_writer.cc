#include "serve/log_writer.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <utility>

namespace tidar {
namespace {

/// How often the end is looked for while nobody takes a line.
constexpr int kLookMs = 50;
/// For what waits when the owner ends.
constexpr double kFarewellS = 1;

/// Whoever read a pipe and has gone would end the program.
void ignore_broken_pipes() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

LogWriter::LogWriter(int file, std::function<std::string(int64_t)> lost_line, size_t most)
    : file_(file), lost_line_(std::move(lost_line)), lines_(most), thread_([this] { run(); }) {}

LogWriter::~LogWriter() {
  lines_.close();
  thread_.join();
}

void LogWriter::write(std::string_view line) {
  if (!announce_lost() || !push(std::string(line))) ++lost_;
}

// True: none are lost that were not told of.
bool LogWriter::announce_lost() {
  if (lost_ == 0) return true;
  if (!push(lost_line_(lost_))) return false;
  lost_ = 0;
  return true;
}

void LogWriter::run() {
  ignore_broken_pipes();
  while (const auto line = lines_.pop()) put(*line);
  if (lost_ > 0) put(lost_line_(lost_));
}

// A pipe with room takes so much at once, so that this never waits where the end is not looked for.
void LogWriter::put(std::string_view bytes) {
  while (!bytes.empty() && wait_for_room()) {
    const ssize_t written = ::write(file_, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
    if (written < 0 && errno != EINTR && errno != EAGAIN) return;
    bytes.remove_prefix(static_cast<size_t>(std::max<ssize_t>(written, 0)));
  }
}

bool LogWriter::wait_for_room() {
  while (!gave_up_) {
    pollfd file{.fd = file_, .events = POLLOUT, .revents = 0};
    if (poll(&file, 1, kLookMs) > 0) return true;
    if (!lines_.closed()) continue;
    if (!ending_) ending_.emplace();
    gave_up_ = ending_->seconds() > kFarewellS;
  }
  return false;
}

}  // namespace tidar
