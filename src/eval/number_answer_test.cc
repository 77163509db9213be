#include "eval/number_answer.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

TEST(NumberAnswer, Strict) {
  EXPECT_EQ(strict_answer("a 1 b\n#### 42\n#### 43"), "42");
  EXPECT_EQ(strict_answer("#### -1,234.50 euros"), "-1,234.50");
  EXPECT_EQ(strict_answer("#### x #### 5"), "5");
  EXPECT_EQ(strict_answer("#### 7."), "7.");
  EXPECT_EQ(strict_answer("##### 7"), "7");
  EXPECT_EQ(strict_answer("####7"), std::nullopt);
  EXPECT_EQ(strict_answer("#### $7"), std::nullopt);
  EXPECT_EQ(strict_answer("#### -"), std::nullopt);
  EXPECT_EQ(strict_answer(""), std::nullopt);
}

// Expected: re.findall(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", text), the last.
TEST(NumberAnswer, Flexible) {
  EXPECT_EQ(flexible_answer("3 and 14 apples"), "14");
  EXPECT_EQ(flexible_answer("costs $1,234.50."), "$1,234.50.");
  EXPECT_EQ(flexible_answer("minus -5 x"), "-5");
  EXPECT_EQ(flexible_answer("--5"), "-5");
  EXPECT_EQ(flexible_answer("5-3"), "-3");
  EXPECT_EQ(flexible_answer("it is 5. Then"), "5.");
  EXPECT_EQ(flexible_answer("5, or so ..."), "...");
  EXPECT_EQ(flexible_answer("a, b. c"), std::nullopt);
  EXPECT_EQ(flexible_answer(""), std::nullopt);
}

TEST(NumberAnswer, Same) {
  EXPECT_TRUE(same_answer("1,234", "1234"));
  EXPECT_TRUE(same_answer("$18.", "18"));
  EXPECT_TRUE(same_answer("18", "6*3=18 #### 3\n#### 18"));
  EXPECT_FALSE(same_answer("18.0", "18"));
  EXPECT_FALSE(same_answer("18..", "18"));
  EXPECT_FALSE(same_answer("-18", "18"));
  EXPECT_FALSE(same_answer("18 ", "18"));
}

}  // namespace
}  // namespace tidar
