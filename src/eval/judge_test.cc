#include "eval/judge.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

Problem doubling(const std::string& tests = "assert double(2) == 4\nassert double(3) == 6\n") {
  Problem problem;
  problem.before = "def half(x):\n  return x / 2\n\ndef double(x):\n";
  problem.target = "  return 2 * x\n";
  problem.function = "double";
  problem.tests = tests;
  return problem;
}

class Programs : public testing::Test {
 protected:
  void SetUp() override {
    SandboxLimits limits;
    limits.cpu_s = 1;
    limits.memory_bytes = int64_t{256} << 20;
    auto sandbox = Sandbox::open(limits);
    ASSERT_TRUE(sandbox.ok()) << sandbox.error().message;
    judge_.emplace(ProblemKind::humaneval, *sandbox);
  }

  std::string why(const std::string& completion, const Problem& problem = doubling()) {
    const auto verdict = judge_->judge(problem, completion);
    if (!verdict.ok()) return verdict.error().message;
    EXPECT_EQ(verdict->checks.size(), 1u);
    EXPECT_EQ(verdict->checks[0].name, "passed");
    EXPECT_EQ(verdict->checks[0].right, verdict->why == "passed");
    return verdict->why;
  }

  std::optional<Judge> judge_;
};

TEST_F(Programs, RightAndWrong) {
  EXPECT_EQ(why("  return x + x"), "passed");
  EXPECT_EQ(why("  print('noise')\n  return 2 * x\n"), "passed");
  EXPECT_EQ(why("  return x * x + 1"), "'AssertionError'");
  EXPECT_EQ(why("  return y"), "'NameError: name 'y' is not defined'");
  EXPECT_EQ(why("  return (x"), "'SyntaxError: '(' was never closed'");
}

TEST_F(Programs, EndingBeforeTheTestsIsNotPassing) {
  const std::string early = "ended before its tests";
  EXPECT_EQ(why("  return 0\nexit(0)"), early);
  EXPECT_EQ(why("  return 0\nimport os; os._exit(0)"), early);
  EXPECT_EQ(why("  import sys\n  sys.exit()"), early);
}

TEST_F(Programs, LimitsHaveNames) {
  EXPECT_EQ(why("  while True: pass"), "was ended by signal 9");
  EXPECT_EQ(why("  print('x' * 10**7)\n  return 2 * x"), "wrote too much");
  EXPECT_EQ(why("  return bytes(10**10)"), "'MemoryError'");
}

struct Attack {
  const char* name;
  const char* completion;
  const char* tests = "assert double(2) == 4\nassert double(3) == 6\n";
};

// Completions that do not double anything.
const Attack kAttacks[] = {
    {"ends with success", "  return 0\nimport os\nos._exit(0)"},
    {"ends with success while it is tested", "  import os\n  os._exit(0)"},
    {"reads secrets in the program's file",
     "  return 0\n"
     "import os, re\n"
     "os.write(1, re.findall('[0-9a-f]{32}', open('/program.py').read())[-1].encode())\n"
     "os._exit(0)"},
    {"reads secrets among the constants of its own module",
     "  return 0\n"
     "import os, sys\n"
     "os.write(1, b''.join(c for c in sys._getframe().f_code.co_consts if type(c) is bytes))\n"
     "os._exit(0)"},
    {"takes over what happens with exceptions",
     "  return 0\n"
     "import os, sys\n"
     "def hook(kind, value, trace):\n"
     "  os.write(1, b''.join(c for c in trace.tb_frame.f_code.co_consts if type(c) is bytes))\n"
     "  os._exit(0)\n"
     "sys.excepthook = hook"},
    {"takes over what happens at the end",
     "  return 0\n"
     "import atexit, os, sys\n"
     "code = sys._getframe().f_code\n"
     "def end():\n"
     "  os.write(1, b''.join(c for c in code.co_consts if type(c) is bytes))\n"
     "  os._exit(0)\n"
     "atexit.register(end)"},
    {"answers never, and ends from a thread",
     "  import time\n"
     "  time.sleep(60)\n"
     "import os, sys, threading\n"
     "code = sys._getframe().f_code\n"
     "def end():\n"
     "  os.write(1, b''.join(c for c in code.co_consts if type(c) is bytes))\n"
     "  os._exit(0)\n"
     "threading.Timer(0.1, end).start()"},
    {"runs the tests again without assertions",
     "  return 0\n"
     "import os, sys\n"
     "if not sys.flags.optimize:\n"
     "  os.execv('/usr/bin/python3', ['python3', '-O', '/program.py'])"},
    {"jumps over the tests",
     "  return 0\n"
     "import sys\n"
     "def jump(frame, event, _):\n"
     "  sys.settrace(None)\n"
     "  frame.f_lineno = sum(1 for _ in open('/program.py'))\n"
     "sys._getframe().f_trace = jump\n"
     "sys.settrace(lambda *_: None)"},
    {"looks the answer up in the program's file",
     "  import re\n"
     "  return int(re.search(r'double\\(%d\\) == (\\d+)' % x, open('/program.py').read())[1])"},
    {"looks the answer up among the constants of its caller",
     "  import sys\n"
     "  constants = sys._getframe(1).f_code.co_consts\n"
     "  return constants[constants.index(x) + 1]"},
    {"looks the answer up in everything that is in memory",
     "  import gc, re\n"
     "  text = repr([o for o in gc.get_objects() if type(o) in (list, tuple, dict)])\n"
     "  text += open('/program.py').read()\n"
     "  return int(re.search(r'double\\(%d\\) == (\\d+)' % x, text)[1])"},
    {"returns what equals everything",
     "  class Any:\n"
     "    def __eq__(self, other): return True\n"
     "  return Any()"},
    {"returns a number that equals everything",
     "  class Any(int):\n"
     "    def __eq__(self, other): return True\n"
     "  return Any(0)"},
    {"returns what is at no distance of anything",
     "  class Near:\n"
     "    def __sub__(self, other): return 0\n"
     "  return Near()",
     "assert abs(double(2) - 4) < 1e-6\n"},
    {"hides a builtin", "  return 0\nabs = lambda x: 0", "assert abs(double(2) - 4) < 1e-6\n"},
    {"changes a builtin", "  return 0\nimport builtins\nbuiltins.abs = lambda x: 0",
     "assert abs(double(2) - 4) < 1e-6\n"},
    {"changes a module", "  return 0\nimport math\nmath.fabs = lambda x: 0",
     "import math\nassert math.fabs(double(2) - 4) < 1e-6\n"},
    {"replaces a function that the tests use", "  return 0\ndef half(x): return 2",
     "assert half(double(2)) == 2\n"},
};

TEST_F(Programs, CannotFakeAPass) {
  for (const Attack& attack : kAttacks) {
    const Problem problem = doubling(attack.tests);
    EXPECT_NE(why(attack.completion, problem), "passed") << attack.name;
    EXPECT_EQ(why(problem.target, problem), "passed") << attack.name;
  }
}

TEST(Numbers, BothWaysOfReading) {
  Problem problem;
  problem.target = "6 * 7 = 42\n#### 42";
  const Judge judge(ProblemKind::gsm8k, {});
  const auto found = [&](const std::string& completion) {
    const auto verdict = judge.judge(problem, completion);
    EXPECT_EQ(verdict->checks.at(0).name, "strict");
    EXPECT_EQ(verdict->checks.at(1).name, "flexible");
    return std::pair(verdict->checks[0].right, verdict->checks[1].right);
  };
  EXPECT_EQ(found("so it is 42\n#### 42"), std::pair(true, true));
  EXPECT_EQ(found("so it is $42."), std::pair(false, true));
  EXPECT_EQ(found("#### 42 but perhaps 43"), std::pair(true, false));
  EXPECT_EQ(found("no idea"), std::pair(false, false));
}

}  // namespace
}  // namespace tidar
