#include "sandbox/examination.h"

#include <gtest/gtest.h>

#include <optional>

namespace tidar {
namespace {

class Examinations : public testing::Test {
 protected:
  void SetUp() override {
    SandboxLimits limits;
    limits.cpu_s = 1;
    limits.wall_s = 10;
    limits.memory_bytes = int64_t{256} << 20;
    auto sandbox = Sandbox::open(limits);
    ASSERT_TRUE(sandbox.ok()) << sandbox.error().message;
    sandbox_.emplace(*sandbox);
  }

  std::string why(const std::string& program, const Examination& examination) {
    const auto found = examine(*sandbox_, program, examination);
    if (!found.ok()) return found.error().message;
    EXPECT_EQ(found->passed, found->why == "passed");
    return found->why;
  }

  /// Holds a program against tests that name what they test.
  std::string why_of_itself(const std::string& program, const std::string& tests) {
    return why(program, {.solution = program, .function = "", .tests = tests});
  }

  /// Of a program that should double.
  std::string why_of_double(const std::string& program) {
    return why(program, {.solution = "def double(x): return 2 * x",
                         .function = "double",
                         .tests = "assert double(2) == 4\nassert double(3) == 6\n"});
  }

  std::optional<Sandbox> sandbox_;
};

TEST_F(Examinations, AnswersAreData) {
  const std::string program =
      "from collections import *\nfrom datetime import *\nfrom decimal import *\n"
      "import enum, fractions\n"
      "Pair = namedtuple('Pair', 'a b')\n"
      "class Colour(enum.IntEnum): red = 1\n"
      "answers = {'counter': Counter('aab'), 'named tuple': Pair(1, (2,)), 'long': 10 ** 5000,\n"
      "  'nested': {(1, 2): [{3}, frozenset()]}, 'bytes': b'x', 'range': range(3), 'complex': 1j,\n"
      "  'decimal': Decimal('1.50'), 'fraction': fractions.Fraction(1, 3), 'enum': Colour.red,\n"
      "  'time': datetime(2020, 1, 2, 3), 'date': date(2020, 1, 2), 'type': int, 'none': None,\n"
      "  'text': 'a\\ud800\\n', 'float': 0.1, 'queue': deque([1])}\n"
      "def f(name): return answers[name]\n";
  const char* tests[] = {"f('counter') == {'a': 2, 'b': 1}",
                         "f('named tuple') == (1, (2,))",
                         "f('long') == 10 ** 5000",
                         "f('nested') == {(1, 2): [{3}, frozenset()]}",
                         "f('bytes') == b'x'",
                         "f('range') == range(3)",
                         "f('complex') == 1j",
                         "str(f('decimal')) == '1.50'",
                         "f('fraction') * 3 == 1",
                         "f('enum') == 1",
                         "f('time').hour == 3",
                         "f('date').year == 2020",
                         "f('type') is int",
                         "f('none') is None",
                         "f('text') == 'a\\ud800\\n'",
                         "f('float') == 0.1",
                         "list(f('queue')) == [1]",
                         "f(name='none') is None"};
  std::string all;
  for (const char* test : tests) {
    all += fmt::format("assert {}\n", test);
    EXPECT_EQ(why_of_itself(program, fmt::format("assert not ({})\n", test)), "'AssertionError'")
        << test;
  }
  EXPECT_EQ(why_of_itself(program, all), "passed");
}

TEST_F(Examinations, ObjectsStayAndCanBeUsed) {
  EXPECT_EQ(why_of_itself("class Node:\n"
                          "  def __init__(self, data):\n"
                          "    self.data, self.left = data, None\n"
                          "def height(node):\n"
                          "  return 0 if node is None else 1 + height(node.left)\n",
                          "root = Node(1)\n"
                          "root.left = Node(2)\n"
                          "root.left.left = Node(3)\n"
                          "assert height(root) == 3\n"
                          "assert root.left.data == 2\n"
                          "assert [height(node) for node in (root, root.left)] == [3, 2]\n"),
            "passed");
  EXPECT_EQ(why_of_itself("import re\n"
                          "def find(what): return re.search(what, 'abc')\n"
                          "def squares(n): return (i * i for i in range(n))\n",
                          "assert find('b').group() == 'b' == find('b')[0]\n"
                          "assert find('b') and not find('z')\n"
                          "assert list(squares(3)) == [0, 1, 4] and 4 in squares(3)\n"
                          "assert sorted(squares(3), reverse=True) == [4, 1, 0]\n"),
            "passed");
}

TEST_F(Examinations, ExceptionsCanBeExpected) {
  const std::string expected =
      "try:\n  f(-1)\n  assert False\nexcept ValueError: pass\nassert f(1) == 1\n";
  EXPECT_EQ(why_of_itself("class Negative(ValueError): pass\n"
                          "def f(x):\n"
                          "  if x < 0: raise Negative(x)\n"
                          "  return x\n",
                          expected),
            "passed");
  EXPECT_EQ(why_of_itself("def f(x): raise KeyError(x)", expected), "'KeyError: -1'");
  EXPECT_EQ(why_of_itself("import builtins\n"
                          "names = [n for n, e in vars(builtins).items() if isinstance(e, type)\n"
                          "         and issubclass(e, Exception) and 'Group' not in n]\n"
                          "def f(name):\n"
                          "  kind = getattr(builtins, name)\n"
                          "  raise kind.__new__(kind)\n",
                          "import builtins\n"
                          "for name in names:\n"
                          "  try: f(name)\n"
                          "  except getattr(builtins, name): continue\n"
                          "  assert False, name\n"),
            "passed");
  // The end of the program is no exception.
  EXPECT_EQ(why_of_itself("import os\ndef f(x): os._exit(0)",
                          "try:\n  f(-1)\nexcept BaseException: pass\n"),
            "ended before its tests");
}

TEST_F(Examinations, WhatIsTestedIsTheProgram) {
  // By whatever name, also that of a builtin.
  const Examination sum = {.solution = "sum = lambda a, b: a + b",
                           .function = "",
                           .tests = "assert sum(10, 15) == 25\n"};
  EXPECT_EQ(why(sum.solution, sum), "passed");
  EXPECT_EQ(why("def sum(a, b): return a", sum), "'AssertionError'");
  EXPECT_EQ(why("def add(a, b): return a + b", sum), "'NameError: name 'sum' is not defined'");
  EXPECT_EQ(why_of_itself("def f(): pass", "assert True"),
            "'NameError: the tests name nothing that the file's solution defines'");
}

TEST_F(Examinations, AProgramRunsAsUsual) {
  EXPECT_EQ(why_of_itself("import dataclasses, pickle, sys\n"
                          "@dataclasses.dataclass\n"
                          "class Point:\n"
                          "  x: int\n"
                          "def f(x):\n"
                          "  print('noise')\n"
                          "  return pickle.loads(pickle.dumps(Point(x))).x\n"
                          "assert sys.stdin.read() == ''\n"
                          "if __name__ == '__main__': ready = f(1)\n"
                          "def g(): return ready\n",
                          "assert f(2) == 2\nassert g() == 1"),
            "passed");
}

// Programs that know how they are examined.
TEST_F(Examinations, AreOutOfReach) {
  const auto expect_refused = [&](const std::string& program, const std::string& reason) {
    EXPECT_EQ(why_of_double(program), reason) << program;
  };
  expect_refused(
      "import os\n"
      "def double(x):\n"
      "  os.write(1, b'passed')\n"
      "  os._exit(0)",
      "ended before its tests");
  for (const char* file : {"fd/0", "fd/1", "fd/3", "fd/7", "mem", "maps", "auxv"}) {
    expect_refused(
        fmt::format("def double(x): return open('/proc/1/{}', 'rb').read()", file),
        fmt::format("'PermissionError: [Errno 13] Permission denied: '/proc/1/{}''", file));
  }
  expect_refused(
      "import os, signal\n"
      "for number in range(1, 32): os.kill(1, number)\n"
      "def double(x): return 0",
      "'AssertionError'");
  expect_refused(
      "import os\n"
      "def double(x):\n"
      "  for fd in range(3, 16):\n"
      "    try: os.write(fd, b'passed\\n')\n"
      "    except OSError: pass\n"
      "  return 4",
      "wrote into the pipe of its answers");
  for (const char* forged : {"{}", "[]", "{\"value\": {}}", "{\"value\": {\"exec\": 1}}",
                             "{\"value\": {\"type\": \"eval\"}}", "{\"value\": {\"tuple\": 1}}",
                             "{\"value\": {\"object\": []}}", "{\"raised\": 1}"}) {
    expect_refused(fmt::format("import os\n"
                               "for fd in range(3, 16):\n"
                               "  try: os.write(fd, b'{}\\n')\n"
                               "  except OSError: pass\n",
                               forged),
                   "wrote into the pipe of its answers");
  }
  expect_refused(
      "import sys\n"
      "def double(x):\n"
      "  frame = sys._getframe()\n"
      "  while frame:\n"
      "    assert '4' not in repr(frame.f_locals) + repr(frame.f_code.co_consts)\n"
      "    frame = frame.f_back\n"
      "  return 0",
      "'AssertionError'");
  // What it asks of the examiner's own process ends in no verdict.
  EXPECT_NE(why_of_double("import resource\n"
                          "for what in (resource.RLIMIT_CPU, resource.RLIMIT_AS):\n"
                          "  resource.prlimit(1, what, (0, 0))\n"
                          "def double(x): return 0"),
            "passed");
}

}  // namespace
}  // namespace tidar
