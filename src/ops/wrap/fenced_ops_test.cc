#include "ops/wrap/fenced_ops.h"

#include <gtest/gtest.h>

#include "ops/cases/suite.h"
#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

constexpr uint64_t kSeed = 20261124;

TEST(FencedOps, GivesTheResultsOfTheBackendInside) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  for (const auto& failure : match_truth(fenced, kSeed)) ADD_FAILURE() << failure;
  for (const auto& failure : match_bits(*inner, fenced, kSeed)) ADD_FAILURE() << failure;
}

TEST(FencedOps, WhoeverLooksIntoMemoryFalls) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  const auto memory = fenced.allocate(4096);
  EXPECT_DEATH(memory->data[100] = std::byte{1}, "");
  EXPECT_DEATH(std::printf("%d", static_cast<int>(memory->data[100])), "");
}

TEST(FencedOps, VerbsComeLateAndInOrder) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  const auto memory = fenced.allocate(8 * 4);
  const Matrix x(memory->data, DType::f32, 2, 4);
  std::vector<float> numbers = {1, 2, 3, 4, 5, 6, 7, 8};
  fenced.write(Matrix(numbers.data(), DType::f32, 2, 4), x);
  fenced.copy(x.row_range(0, 1), x.row_range(1, 2));
  fenced.clear(x.row_range(0, 1));
  const float* const inside = fenced.fence().inside(x).row<float>(1);
  EXPECT_EQ(inside[0], 5);  // nothing was done yet
  std::vector<float> seen(8);
  fenced.read(x, Matrix(seen.data(), DType::f32, 2, 4));
  EXPECT_EQ(seen, (std::vector<float>{0, 0, 0, 0, 1, 2, 3, 4}));
}

TEST(FencedOps, MemoryOfOthersIsRefused) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  std::vector<float> numbers(4);
  EXPECT_DEATH(fenced.clear(Matrix(numbers.data(), DType::f32, 1, 4)), "memory of this backend");
}

}  // namespace
}  // namespace tidar
