#include "eval/judge.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

Problem doubling() {
  Problem problem;
  problem.before = "def double(x):\n";
  problem.tests = "assert double(2) == 4\nassert double(0) == 0\n";
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

  std::string why(const std::string& completion) {
    const auto verdict = judge_->judge(doubling(), completion);
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
