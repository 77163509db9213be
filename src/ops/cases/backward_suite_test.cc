#include "ops/cases/backward_suite.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "ops/ref/ref_backward.h"
#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

constexpr uint64_t kSeed = 20251123;

TEST(BackwardCases, TheFloatReferenceMatchesTheDoubleOne) {
  const auto ops = make_ref_ops(DType::f32);
  const auto backward = make_ref_backward(*ops);
  for (uint64_t seed = kSeed; seed < kSeed + 2; ++seed) {
    std::string shares;
    for (const auto& failure : match_truth(*backward, seed, &shares)) ADD_FAILURE() << failure;
    std::printf("%s", shares.c_str());
  }
}

}  // namespace
}  // namespace tidar
