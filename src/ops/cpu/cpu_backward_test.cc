#include "ops/cpu/cpu_backward.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "ops/cases/backward_suite.h"

namespace tidar {
namespace {

constexpr uint64_t kBackwardSeed = 20251124;

std::vector<CpuOptions> usable_options() {
  std::vector<CpuOptions> options;
  for (const Isa isa : usable_isas()) {
    options.push_back({isa, Precision::f32});
    options.push_back({isa, Precision::bf16});
  }
  return options;
}

std::string name_of_options(const testing::TestParamInfo<CpuOptions>& info) {
  std::string name(name_of(info.param.isa));
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name + (info.param.precision == Precision::f32 ? "_f32" : "_bf16");
}

struct Backend {
  Backend(int count, const CpuOptions& options)
      : threads(count),
        ops(make_cpu_ops(threads, options)),
        backward(make_cpu_backward(threads, options, *ops)) {}
  Threads threads;
  std::unique_ptr<CpuOps> ops;
  std::unique_ptr<CpuBackward> backward;
};

class CpuBackwardTest : public testing::TestWithParam<CpuOptions> {};

TEST_P(CpuBackwardTest, MatchesTheReference) {
  Backend backend(2, GetParam());
  std::string shares;
  for (const auto& failure : match_truth(*backend.backward, kBackwardSeed, &shares)) {
    ADD_FAILURE() << failure;
  }
  std::printf("%s", shares.c_str());
}

TEST_P(CpuBackwardTest, ResultsDoNotDependOnTheNumberOfThreads) {
  Backend one(1, GetParam()), three(3, GetParam());
  for (const auto& failure : match_bits(*one.backward, *three.backward, kBackwardSeed)) {
    ADD_FAILURE() << failure;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, CpuBackwardTest, testing::ValuesIn(usable_options()),
                         name_of_options);

}  // namespace
}  // namespace tidar
