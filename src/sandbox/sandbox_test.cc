#include "sandbox/sandbox.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "format/files_testing.h"
#include "sandbox/process_tree.h"

namespace tidar {
namespace {

SandboxLimits small_limits() {
  SandboxLimits limits;
  limits.wall_s = 20;
  limits.cpu_s = 2;
  limits.memory_bytes = int64_t{256} << 20;
  limits.file_bytes = int64_t{4} << 20;
  limits.tmp_bytes = int64_t{8} << 20;
  limits.output_bytes = 4096;
  return limits;
}

SandboxOutcome run(const std::string& program, const SandboxLimits& limits = small_limits()) {
  const auto sandbox = Sandbox::open(limits);
  if (!sandbox.ok()) {
    ADD_FAILURE() << sandbox.error().message;
    return {};
  }
  auto outcome = sandbox->run(program);
  if (!outcome.ok()) {
    ADD_FAILURE() << outcome.error().message;
    return {};
  }
  return *outcome;
}

/// It ended by itself, with an exception whose name is `expected`.
void expect_refused(const SandboxOutcome& outcome, const std::string& expected) {
  EXPECT_EQ(outcome.end, SandboxEnd::exited);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_NE(outcome.errors.find(expected), std::string::npos) << outcome.errors;
}

TEST(Sandbox, RunsAProgram) {
  const auto outcome = run("import sys, math\nprint(math.pi)\nsys.stderr.write('e')\nsys.exit(3)");
  EXPECT_EQ(outcome.end, SandboxEnd::exited);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.output, "3.141592653589793\n");
  EXPECT_EQ(outcome.errors, "e");
}

TEST(Sandbox, GivesInput) {
  const auto sandbox = Sandbox::open(small_limits());
  ASSERT_TRUE(sandbox.ok()) << sandbox.error().message;
  const auto outcome =
      sandbox->run("print(input(), len(input()))", "one\n" + std::string(300'000, 'x'));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->output, "one 300000\n");
}

TEST(Sandbox, TellsSignals) {
  EXPECT_EQ(run("import ctypes\nctypes.string_at(1)").exit_code, 128 + 11);
}

TEST(Sandbox, ProgramsMayBeLongerThanAPipe) {
  const std::string filler(300'000, '#');
  EXPECT_EQ(run(filler + "\nprint(len(open(__file__).read()))").output, "300034\n");
}

TEST(Sandbox, GivesAPrivateTmpAndNoInput) {
  const std::string program =
      "import os, sys, tempfile\n"
      "print(os.listdir('/tmp'), os.getcwd(), repr(sys.stdin.read()))\n"
      "open('/tmp/x', 'w').write('kept')\n"
      "print(open('x').read())";
  for (int time = 0; time < 2; ++time) EXPECT_EQ(run(program).output, "[] /tmp ''\nkept\n");
}

TEST(Sandbox, ShowsNothingOfTheMachine) {
  const auto outcome =
      run("import os\n"
          "fds = [f for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)]\n"
          "print(sorted(fds), len([p for p in os.listdir('/proc') if p.isdigit()]), os.getuid())\n"
          "own = {'LANG', 'PATH', 'HOME', 'PWD', 'PYTHONHASHSEED', 'LC_CTYPE', '_'}\n"
          "print({v.split('=')[0] for v in os.popen('env')} - own)\n"
          "print(sorted(os.listdir('/')))");
  EXPECT_TRUE(outcome.output.starts_with("['0', '1', '2'] 1 65534\nset()\n['bin'"))
      << outcome.output;
  for (const char* outside : {"'home'", "'root'", "'var'", "'mnt'", "'srv'", "'sys'"}) {
    EXPECT_EQ(outcome.output.find(outside), std::string::npos) << outcome.output;
  }
}

TEST(SandboxAttack, ForkBomb) {
  const auto outcome =
      run("import os\n"
          "forks = 0\n"
          "def bomb():\n"
          "  global forks\n"
          "  while True:\n"
          "    os.fork()\n"
          "bomb()");
  expect_refused(outcome, "BlockingIOError");
}

TEST(SandboxAttack, ForkBombThatDoesNotGiveUp) {
  SandboxLimits limits = small_limits();
  limits.wall_s = 1;
  const auto outcome =
      run("import os\n"
          "while True:\n"
          "  try: os.fork()\n"
          "  except OSError: pass",
          limits);
  EXPECT_EQ(outcome.end, SandboxEnd::time);
}

TEST(SandboxAttack, MoreMemoryThanTheLimit) {
  expect_refused(run("x = bytearray(10 << 30)"), "MemoryError");
}

TEST(SandboxAttack, ManyProcessesThatTogetherNeedTooMuch) {
  const auto outcome =
      run("import os, time\n"
          "for i in range(8): os.fork()  if i < 3 else None\n"
          "x = bytearray(64 << 20)\n"
          "time.sleep(1000)");
  EXPECT_EQ(outcome.end, SandboxEnd::memory);
}

TEST(SandboxAttack, EndlessLoop) {
  const auto outcome = run("while True: pass");
  EXPECT_EQ(outcome.end, SandboxEnd::exited);
  EXPECT_EQ(outcome.exit_code, 128 + 9);  // prlimit makes the hard limit the soft one
}

TEST(SandboxAttack, SleepsForEver) {
  SandboxLimits limits = small_limits();
  limits.wall_s = 0.5;
  const auto outcome = run("import time\nwhile True: time.sleep(1000)", limits);
  EXPECT_EQ(outcome.end, SandboxEnd::time);
  EXPECT_GE(outcome.seconds, 0.5);
}

TEST(SandboxAttack, IgnoresSignals) {
  SandboxLimits limits = small_limits();
  limits.wall_s = 1;
  const auto outcome =
      run("import signal\n"
          "for s in range(1, 32):\n"
          "  try: signal.signal(s, signal.SIG_IGN)\n"
          "  except (OSError, ValueError): pass\n"
          "signal.pause()",
          limits);
  EXPECT_EQ(outcome.end, SandboxEnd::time);
}

TEST(SandboxAttack, LeavesNoProcessBehind) {
  // Its child has a session, a group and no descriptors of its own, and a name to be found by.
  const std::string name = "left" + std::to_string(getpid());
  const auto outcome =
      run("import os, time\n"
          "open('/proc/self/comm', 'w').write('" +
          name +
          "')\n"
          "print(open('/proc/self/comm').read(), end='', flush=True)\n"
          "if os.fork() == 0:\n"
          "  os.setsid()\n"
          "  os.closerange(0, 64)\n"
          "  if os.fork() == 0: time.sleep(1000)\n"
          "  time.sleep(1000)");
  EXPECT_EQ(outcome.output, name + "\n");
  EXPECT_EQ(outcome.end, SandboxEnd::exited);
  EXPECT_TRUE(children_of(getpid()).empty());
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "comm");
    std::string found;
    std::getline(file, found);
    EXPECT_NE(found, name) << entry.path();
  }
}

TEST(SandboxAttack, WritesOutside) {
  const auto mark = std::filesystem::temp_directory_path() / "tidar_sandbox_was_here";
  const auto outcome = run("open('" + mark.string() + "', 'w').write('x')\nopen('/usr/x', 'w')");
  expect_refused(outcome, "Read-only file system: '/usr/x'");
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST(SandboxAttack, FillsEveryFileSystem) {
  for (const char* place : {"/x", "/dev/x", "/dev/shm/x", "/program.py", "/etc/x", "/proc/x"}) {
    const auto outcome = run("open('" + std::string(place) + "', 'w')");
    EXPECT_EQ(outcome.exit_code, 1) << place;
  }
  expect_refused(run("for i in range(100): open(str(i), 'wb').write(bytes(1 << 20))"),
                 "No space left on device");
  expect_refused(run("open('x', 'wb').write(bytes(8 << 20))"), "File too large");
}

TEST(SandboxAttack, ReadsSecrets) {
  expect_refused(run("open('/etc/shadow').read()"), "No such file or directory");
  expect_refused(run("open('/proc/sys/kernel/hostname', 'w').write('x')"), "Error");
  expect_refused(run("import os\nos.setuid(0)"), "OSError");
}

TEST(SandboxAttack, OpensASocket) {
  for (const char* family : {"AF_INET", "AF_INET6", "AF_UNIX"}) {
    expect_refused(run("import socket\nsocket.socket(socket." + std::string(family) + ")"),
                   "PermissionError");
  }
}

TEST(SandboxAttack, AsksForMemoryThatNoLimitCounts) {
  expect_refused(run("import os\nos.memfd_create('x')"), "PermissionError");
  expect_refused(run("import os\nos.write(0, b'x')"), "PermissionError");  // its stdin
  const auto outcome =
      run("import ctypes\n"
          "libc = ctypes.CDLL(None, use_errno=True)\n"
          "print(libc.shmget(0, 1 << 20, 0o1600), ctypes.get_errno())\n"
          "print(libc.unshare(0x10000000), ctypes.get_errno())\n"
          "print(libc.ptrace(16, 1, 0, 0), ctypes.get_errno())");
  EXPECT_EQ(outcome.output, "-1 1\n-1 1\n-1 1\n") << outcome.errors;
}

TEST(SandboxAttack, WritesWithoutEnd) {
  for (const char* stream : {"1", "2"}) {
    const auto outcome =
        run("import os\nwhile True: os.write(" + std::string(stream) + ", b'x' * 65536)");
    EXPECT_EQ(outcome.end, SandboxEnd::output);
    EXPECT_EQ(outcome.output.size() + outcome.errors.size(), 4096u);
  }
}

TEST(Sandbox, SeveralAtOnce) {
  const auto sandbox = Sandbox::open(small_limits());
  ASSERT_TRUE(sandbox.ok()) << sandbox.error().message;
  std::vector<std::string> outputs(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < outputs.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto outcome = sandbox->run("print(" + std::to_string(i) + ")");
      if (outcome.ok()) outputs[i] = outcome->output;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(outputs, (std::vector<std::string>{"0\n", "1\n", "2\n", "3\n"}));
}

TEST(Sandbox, SaysWhatIsMissing) {
  const auto missing = Sandbox::open(small_limits(), "/usr/bin/no-such-bwrap");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message,
            "the sandbox for generated programs cannot be set up: /usr/bin/no-such-bwrap is "
            "missing; install the package bubblewrap");
  // As bwrap ends where namespaces are forbidden.
  const ScratchFolder folder;
  const auto script = folder.put(
      "bwrap", "#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n");
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(script, std::filesystem::perms(0755));
  const auto refused = Sandbox::open(small_limits(), script.string());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("No permissions"), std::string::npos);
  EXPECT_NE(refused.error().message.find("user namespaces seem to be forbidden"), std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace tidar
