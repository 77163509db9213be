#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "format/files.h"
#include "sandbox/process_tree.h"
#include "sandbox/sandbox_command.h"
#include "sandbox/syscall_filter.h"

namespace tidar {
namespace {

/// How often memory and time are looked at.
constexpr int kWatchMs = 20;
/// Descriptors of this process stand above those of the command, so that none is written over
/// while they are put in their places.
constexpr int kLowestFd = 16;
/// Seconds that an empty program may take before the sandbox counts as broken.
constexpr double kPatience = 60;
/// bwrap writes two short objects: {"child-pid": 42, …} and {"exit-code": 0}.
constexpr size_t kStatusLimit = 4096;

Error no_sandbox(std::string_view what) {
  return error("the sandbox for generated programs cannot be set up: {}", what);
}

class Descriptor {
 public:
  Descriptor() = default;
  /// Takes over an open descriptor.
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// The same, with a number that is not one of the command's.
  static Descriptor high(int fd) {
    const Descriptor low(fd);
    return Descriptor(fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, kLowestFd));
  }

 private:
  int fd_ = -1;
};

/// A file in memory that holds `bytes`, is read from its beginning and stays as it is: what a
/// program wrote into it would not count as its memory.
Descriptor memory_file(const void* bytes, size_t size) {
  Descriptor file = Descriptor::high(memfd_create("tidar", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const char* next = static_cast<const char*>(bytes);
  for (size_t left = size; file.open() && left > 0;) {
    const ssize_t written = ::write(file.get(), next, left);
    if (written <= 0) return Descriptor();
    next += written;
    left -= static_cast<size_t>(written);
  }
  if (!file.open()) return file;
  lseek(file.get(), 0, SEEK_SET);
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) != 0) return {};
  return file;
}

struct Pipe {
  Descriptor read, write;
  static Pipe make() {
    std::array<int, 2> ends = {-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    Pipe pipe{Descriptor::high(ends[0]), Descriptor::high(ends[1])};
    fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
    return pipe;
  }
};

/// Reads what is there, keeping at most `limit` bytes in all. False when there was more.
bool drain(const Descriptor& pipe, std::string& text, size_t limit) {
  std::array<char, 1 << 14> buffer;
  for (;;) {
    const ssize_t count = ::read(pipe.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    const size_t kept = std::min(static_cast<size_t>(count), limit - text.size());
    text.append(buffer.data(), kept);
    if (kept < static_cast<size_t>(count)) return false;
  }
}

/// One run: a process of bwrap and the pipes that lead out of it.
class Run {
 public:
  explicit Run(const SandboxLimits& limits) : limits_(limits) {}
  ~Run() { kill(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Result<void> start(const std::string& bwrap, std::string_view program, std::string_view input);
  /// Watches it until it ends or has used up a limit.
  SandboxOutcome watch();
  /// Kills what is left, and waits for it.
  void kill();

  /// Whether bwrap has told how the program ended: then it was really started.
  bool told_exit() const { return status_text_.find("\"exit-code\"") != status_text_.npos; }

 private:
  int spawn(std::vector<std::string>& words, const Descriptor& input, const Descriptor& program,
            const Descriptor& filter);
  std::optional<SandboxEnd> used_up(const SandboxOutcome& outcome, bool all_read) const;
  /// Takes the exit status of bwrap, which has ended or is about to.
  int reap();

  const SandboxLimits& limits_;
  Pipe output_, errors_, status_;
  std::string status_text_;
  pid_t pid_ = -1;
  Descriptor exit_;  // readable when bwrap has ended
  Stopwatch watch_;  // of the program
};

int Run::spawn(std::vector<std::string>& words, const Descriptor& input, const Descriptor& program,
               const Descriptor& filter) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* const nothing[] = {nullptr};

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, output_.write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, errors_.write.get(), STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&files, program.get(), kProgramFd);
  posix_spawn_file_actions_adddup2(&files, filter.get(), kFilterFd);
  posix_spawn_file_actions_adddup2(&files, status_.write.get(), kStatusFd);
  posix_spawn_file_actions_addclosefrom_np(&files, kStatusFd + 1);

  // A group of its own, so that Ctrl-C stops this program and does not fail the sample.
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &all);
  posix_spawnattr_setflags(&how,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int failure = posix_spawn(&pid_, argv[0], &files, &how, argv.data(), nothing);
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&files);
  return failure;
}

Result<void> Run::start(const std::string& bwrap, std::string_view program,
                        std::string_view input) {
  const std::vector<sock_filter> filter = syscall_filter();
  const Descriptor input_file = memory_file(input.data(), input.size());
  const Descriptor program_file = memory_file(program.data(), program.size());
  const Descriptor filter_file = memory_file(filter.data(), filter.size() * sizeof(sock_filter));
  output_ = Pipe::make();
  errors_ = Pipe::make();
  status_ = Pipe::make();
  const std::array<const Descriptor*, 9> all = {&input_file,    &program_file,  &filter_file,
                                                &output_.write, &errors_.write, &status_.write,
                                                &output_.read,  &errors_.read,  &status_.read};
  for (const Descriptor* each : all) {
    if (!each->open()) return no_sandbox(strerror(errno));
  }
  std::vector<std::string> words = sandbox_command(limits_, bwrap);
  watch_ = Stopwatch();
  if (const int failure = spawn(words, input_file, program_file, filter_file); failure != 0) {
    pid_ = -1;
    return no_sandbox(fmt::format("{}: {}", words.front(), strerror(failure)));
  }
  for (Pipe* pipe : {&output_, &errors_, &status_}) pipe->write.close();
  exit_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!exit_.open()) return no_sandbox(fmt::format("pidfd_open: {}", strerror(errno)));
  return {};
}

std::optional<SandboxEnd> Run::used_up(const SandboxOutcome& outcome, bool all_read) const {
  if (!all_read) return SandboxEnd::output;
  if (outcome.seconds > limits_.wall_s) return SandboxEnd::time;
  if (resident_bytes(pid_) > limits_.memory_bytes) return SandboxEnd::memory;
  return std::nullopt;
}

SandboxOutcome Run::watch() {
  SandboxOutcome outcome;
  const auto limit = static_cast<size_t>(limits_.output_bytes);
  for (;;) {
    std::array<pollfd, 3> events = {{{output_.read.get(), POLLIN, 0},
                                     {errors_.read.get(), POLLIN, 0},
                                     {exit_.get(), POLLIN, 0}}};
    poll(events.data(), events.size(), kWatchMs);
    const bool ended = (events[2].revents & POLLIN) != 0;
    const bool output_read = drain(output_.read, outcome.output, limit);
    const bool errors_read = drain(errors_.read, outcome.errors, limit);
    outcome.seconds = watch_.seconds();
    if (const auto end = used_up(outcome, output_read && errors_read)) {
      outcome.end = *end;
      kill();
      return outcome;
    }
    if (ended) {
      const int status = reap();
      outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      return outcome;
    }
    // A pipe whose writers are gone would wake poll() again and again.
    if (((events[0].revents | events[1].revents) & POLLHUP) != 0) usleep(1000);
  }
}

void Run::kill() {
  if (pid_ < 0) return;
  // The child of bwrap is the first process of its namespace: with it the kernel kills all others,
  // and when none is left bwrap ends by itself. Where there is no child yet, bwrap is enough: what
  // it starts dies with it (--die-with-parent).
  const auto inside = children_of(pid_);
  for (const pid_t child : inside) ::kill(child, SIGKILL);
  if (inside.empty()) ::kill(pid_, SIGKILL);
  reap();
}

int Run::reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  drain(status_.read, status_text_, kStatusLimit);
  return status;
}

/// What to do about a sandbox that did not start.
std::string advice(const std::string& errors) {
  if (errors.find("bwrap") == errors.npos || errors.find("ermission") == errors.npos) return "";
  return "; user namespaces seem to be forbidden here (sysctl kernel.unprivileged_userns_clone, "
         "kernel.apparmor_restrict_unprivileged_userns, or the rules of a container)";
}

}  // namespace

std::string_view name_of(SandboxEnd end) {
  constexpr std::array<std::string_view, 4> kNames = {"exited", "time", "memory", "output"};
  return kNames[static_cast<size_t>(end)];
}

Result<Sandbox> Sandbox::open(const SandboxLimits& limits, const std::string& bwrap) {
  if (access(bwrap.c_str(), X_OK) != 0) {
    return no_sandbox(fmt::format("{} is missing; install the package bubblewrap", bwrap));
  }
  SandboxLimits patient = limits;
  patient.wall_s = std::max(limits.wall_s, kPatience);
  TIDAR_TRY(const SandboxOutcome outcome, Sandbox(patient, bwrap).run("print('here')"));
  if (outcome.output != "here\n") {
    return no_sandbox(fmt::format("Python ended with exit code {}: {}", outcome.exit_code,
                                  in_quotes(outcome.errors)));
  }
  return Sandbox(limits, bwrap);
}

Result<SandboxOutcome> Sandbox::run(std::string_view program, std::string_view input) const {
  Run run(limits_);
  TIDAR_TRY_VOID(run.start(bwrap_, program, input));
  SandboxOutcome outcome = run.watch();
  if (outcome.end == SandboxEnd::exited && !run.told_exit()) {
    return no_sandbox(in_quotes(outcome.errors) + advice(outcome.errors));
  }
  return outcome;
}

}  // namespace tidar
