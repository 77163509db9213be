#pragma once
// Runs Python programs that nobody has looked at. A program gets namespaces of its own (bubblewrap,
// https://github.com/containers/bubblewrap): no network, no other process, no user of the machine,
// a file system of /usr, read-only, and an empty /tmp; the system calls of syscall_filter.h are
// refused; and it ends when it has used up one of its limits.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidar {

struct SandboxLimits {
  double wall_s = 20;                       ///< then it is killed, whatever it does
  int cpu_s = 10;                           ///< of one process
  int processes = 16;                       ///< threads count
  int open_files = 64;                      ///< of one process
  int64_t memory_bytes = int64_t{1} << 30;  ///< of all its processes together
  int64_t file_bytes = int64_t{16} << 20;   ///< of one file
  int64_t tmp_bytes = int64_t{64} << 20;    ///< of all files in /tmp
  int64_t output_bytes = int64_t{1} << 18;  ///< of stdout and of stderr
};

enum class SandboxEnd : uint8_t {
  exited,  ///< by itself, or by a signal, that of a used-up cpu_s among them
  time,    ///< wall_s
  memory,  ///< memory_bytes, seen over all processes. One alone is refused more before that
  output,  ///< output_bytes
};

/// "exited", "time", "memory", "output".
std::string_view name_of(SandboxEnd end);

struct SandboxOutcome {
  SandboxEnd end = SandboxEnd::exited;
  int exit_code = -1;  ///< 128 + N for signal N; -1 unless it exited
  std::string output;  ///< stdout, its first output_bytes
  std::string errors;  ///< stderr, likewise
  double seconds = 0;
};

/// run() may be called from several threads at once; each call is one program.
class Sandbox {
 public:
  /// Runs a program of one line to see that it works. An Error says what is missing: bubblewrap,
  /// Python, or the permission to make namespaces. `bwrap` is the program of bubblewrap.
  static Result<Sandbox> open(const SandboxLimits& limits,
                              const std::string& bwrap = "/usr/bin/bwrap");

  /// Runs the program, with `input` as its stdin, to its end, which comes within limits.wall_s and
  /// the time that the kernel needs to kill. Nothing of it is left afterwards. What it does wrong
  /// is an outcome; an Error says that the sandbox itself could not be set up.
  Result<SandboxOutcome> run(std::string_view program, std::string_view input = "") const;

  const SandboxLimits& limits() const { return limits_; }

 private:
  Sandbox(const SandboxLimits& limits, std::string bwrap)
      : limits_(limits), bwrap_(std::move(bwrap)) {}

  SandboxLimits limits_;
  std::string bwrap_;
};

}  // namespace tidar
