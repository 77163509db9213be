#include "sandbox/sandbox_command.h"

#include <unistd.h>

#include <filesystem>
#include <initializer_list>

namespace tidar {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kNobody = "65534";

void add(Words& words, std::initializer_list<std::string> more) { words.insert(words.end(), more); }

void add_identity(Words& words) {
  if (geteuid() != 0) return;
  add(words, {"/usr/bin/setpriv", std::string("--reuid=") + kNobody,
              std::string("--regid=") + kNobody, "--clear-groups", "--inh-caps=-all", "--"});
}

/// /usr, and what the system has beside it that leads there or belongs to it.
void add_system(Words& words) {
  add(words, {"--ro-bind", "/usr", "/usr"});
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64"}) {
    std::error_code failure;
    const auto target = std::filesystem::read_symlink(name, failure);
    if (failure) {
      add(words, {"--ro-bind-try", name, name});
    } else {
      add(words, {"--symlink", target.string(), name});
    }
  }
  for (const char* name : {"/etc/alternatives", "/etc/ld.so.cache"}) {
    add(words, {"--ro-bind-try", name, name});
  }
}

/// Everything but /tmp is read-only, also where bwrap puts a memory file system: one without a
/// limit would hold half of the machine's memory.
void add_writable(Words& words, int64_t tmp_bytes) {
  add(words, {"--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"});
  add(words, {"--size", std::to_string(tmp_bytes), "--tmpfs", "/tmp"});
  add(words, {"--ro-bind-data", std::to_string(kProgramFd), "/program.py", "--remount-ro", "/"});
  add(words, {"--chdir", "/tmp"});
}

void add_limits(Words& words, const SandboxLimits& limits) {
  const auto limit = [&](const char* name, int64_t value) {
    words.push_back(fmt::format("--{}={}", name, value));
  };
  words.emplace_back("/usr/bin/prlimit");
  limit("nproc", limits.processes);
  limit("nofile", limits.open_files);
  limit("as", limits.memory_bytes);
  limit("fsize", limits.file_bytes);
  limit("cpu", limits.cpu_s);
  limit("core", 0);
  words.emplace_back("--");
}

}  // namespace

std::vector<std::string> sandbox_command(const SandboxLimits& limits, const std::string& bwrap) {
  Words words;
  add_identity(words);
  add(words, {bwrap, "--unshare-all", "--unshare-user", "--disable-userns"});
  add(words, {"--uid", kNobody, "--gid", kNobody, "--cap-drop", "ALL", "--hostname", "sandbox"});
  add(words, {"--die-with-parent", "--new-session"});
  // Without a process of bwrap inside, which would have fewer limits and could be written into.
  // Then the program is the first process: when it ends, so do all that it has started, before
  // bwrap tells its exit code.
  add(words, {"--as-pid-1"});
  add_system(words);
  add_writable(words, limits.tmp_bytes);
  add(words, {"--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/tmp"});
  add(words, {"--setenv", "LANG", "C.UTF-8", "--setenv", "PYTHONHASHSEED", "0"});
  add(words, {"--seccomp", std::to_string(kFilterFd)});
  add(words, {"--json-status-fd", std::to_string(kStatusFd), "--"});
  add_limits(words, limits);
  add(words, {"/usr/bin/python3", "-s", "-B", "/program.py"});
  return words;
}

}  // namespace tidar
