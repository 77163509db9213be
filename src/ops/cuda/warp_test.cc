// What all kernels are built of: sums over warps and blocks, and rounding to bf16.

#include "ops/cuda/warp.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "base/rng.h"

namespace tidar::cuda {
namespace {

// Runs the kernel with numbers of its own in every thread; one result a thread.
template <int kThreads>
std::vector<float> over_block(const std::vector<float>& numbers, uint64_t seed,
                              const std::function<float(float)>& kernel) {
  std::vector<float> results(kThreads);
  host::Grids(seed).run({{1, 1, 1}, kThreads, {}},
                        [&] { results[threadIdx.x] = kernel(numbers[threadIdx.x]); });
  return results;
}

std::vector<float> random_numbers(Rng& rng, int count) {
  std::vector<float> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(rng.normal());
  return numbers;
}

template <int kThreads>
struct SumShared {
  Array<float, kThreads / kLanes> sums;
};

template <int kThreads>
void expect_block_sums() {
  Rng rng(kThreads);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto numbers = random_numbers(rng, kThreads);
    const auto sum = [](float value) {
      TIDAR_SHARED(SumShared<kThreads>, shared);
      return block_sum<kThreads>(value, shared.sums);
    };
    double expected = 0, size = 0;
    for (const float number : numbers) expected += number, size += std::abs(number);
    const auto found = over_block<kThreads>(numbers, seed, sum);
    for (const float one : found) EXPECT_EQ(one, found[0]);
    EXPECT_NEAR(found[0], expected, size * std::sqrt(kThreads) * epsilon_of(DType::f32));
    EXPECT_EQ(over_block<kThreads>(numbers, seed + 1, sum), found);
  }
}

TEST(Warps, SumsOfBlocksAreTheSameInEveryThreadAndOrder) {
  expect_block_sums<32>();
  expect_block_sums<64>();
  expect_block_sums<256>();
}

TEST(Warps, TheLargest) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Rng rng(3);
  for (int round = 0; round < 10; ++round) {
    auto numbers = random_numbers(rng, kLanes);
    if (round == 0) std::fill(numbers.begin(), numbers.end(), -kInfinity);
    const float largest = *std::max_element(numbers.begin(), numbers.end());
    EXPECT_EQ(over_block<kLanes>(numbers, 1, warp_max), std::vector<float>(kLanes, largest));
  }
}

// The instruction's twin against the conversion that the rest of the house uses.
TEST(Numbers, RoundingToBf16) {
  Rng rng(4);
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu, rng.bits() >> 16}) {
      const float value = std::bit_cast<float>(upper << 16 | lower);
      const float rounded = widen(narrow<Bf16>(value));
      if (std::isnan(value)) {
        EXPECT_TRUE(std::isnan(rounded));
      } else {
        ASSERT_EQ(rounded, static_cast<float>(BFloat16(value))) << upper << ' ' << lower;
      }
    }
  }
}

}  // namespace
}  // namespace tidar::cuda
