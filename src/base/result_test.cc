#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace tidar {
namespace {

Result<int> half_of(int value) {
  if (value % 2 != 0) return error("{} is odd; give an even number", value);
  return value / 2;
}

Result<int> quarter_of(int value) {
  TIDAR_TRY(const int half, half_of(value));
  TIDAR_TRY(const int quarter, half_of(half));
  return quarter;
}

Result<void> require_multiple_of_four(int value) {
  TIDAR_TRY_VOID(quarter_of(value));
  return {};
}

TEST(Result, CarriesAValue) {
  const auto result = quarter_of(12);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, 3);
  EXPECT_TRUE(require_multiple_of_four(12).ok());
}

TEST(Result, TryHandsTheFirstErrorUp) {
  EXPECT_EQ(quarter_of(3).error().message, "3 is odd; give an even number");
  EXPECT_EQ(quarter_of(6).error().message, "3 is odd; give an even number");
  EXPECT_EQ(require_multiple_of_four(2).error().message, "1 is odd; give an even number");
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 5);
}

TEST(Result, TryAssignsToWhatExists) {
  const auto assign = [](int& target) -> Result<void> {
    TIDAR_TRY(target, half_of(8));
    return {};
  };
  int target = 0;
  ASSERT_TRUE(assign(target).ok());
  EXPECT_EQ(target, 4);
}

TEST(ResultDeathTest, AskingForTheOtherOneStops) {
  EXPECT_DEATH(half_of(3).value(), "3 is odd");
  EXPECT_DEATH(half_of(4).error(), "does not hold");
  EXPECT_DEATH(Result<void>().error(), "does not hold");
}

TEST(CheckDeathTest, PrintsBothValues) {
  const int rows = 3, limit = 2;
  EXPECT_DEATH(TIDAR_CHECK_LE(rows, limit), "rows <= limit does not hold: 3 against 2");
  EXPECT_DEATH(TIDAR_CHECK(rows == limit), "rows == limit does not hold");
}

}  // namespace
}  // namespace tidar
