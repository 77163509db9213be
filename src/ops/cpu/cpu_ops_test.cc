#include "ops/cpu/cpu_ops.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "ops/cases/suite.h"

namespace tidar {
namespace {

constexpr uint64_t kSeed = 20251108;

struct Variant {
  Isa isa;
  Precision precision;
};

std::vector<Variant> usable_variants() {
  std::vector<Variant> variants;
  for (const Isa isa : usable_isas()) {
    variants.push_back({isa, Precision::f32});
    variants.push_back({isa, Precision::bf16});
  }
  return variants;
}

std::string name_of_variant(const testing::TestParamInfo<Variant>& info) {
  std::string name(name_of(info.param.isa));
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name + (info.param.precision == Precision::f32 ? "_f32" : "_bf16");
}

class CpuOpsTest : public testing::TestWithParam<Variant> {
 protected:
  std::unique_ptr<CpuOps> make(Threads& threads) {
    return make_cpu_ops(threads, {GetParam().isa, GetParam().precision});
  }
};

TEST_P(CpuOpsTest, MatchesTheReference) {
  Threads threads(2);
  const auto ops = make(threads);
  std::string shares;
  for (uint64_t seed = kSeed; seed < kSeed + 2; ++seed) {
    for (const std::string& failure : match_truth(*ops, seed, &shares)) ADD_FAILURE() << failure;
  }
  std::printf("%s", shares.c_str());
}

TEST_P(CpuOpsTest, RowsDoNotDependOnTheirCompany) {
  Threads threads(2);
  const auto ops = make(threads);
  for (const std::string& failure : match_rows(*ops, kSeed)) ADD_FAILURE() << failure;
}

TEST_P(CpuOpsTest, ResultsDoNotDependOnTheNumberOfThreads) {
  Threads one(1), three(3);
  const auto a = make(one), b = make(three);
  for (const std::string& failure : match_bits(*a, *b, kSeed)) ADD_FAILURE() << failure;
}

INSTANTIATE_TEST_SUITE_P(Isas, CpuOpsTest, testing::ValuesIn(usable_variants()), name_of_variant);

TEST(CpuOps, RoundsOperandsOnlyWhereAsked) {
  Threads threads(1);
  for (const Isa isa : usable_isas()) {
    const bool has_bf16 = isa == Isa::avx512_bf16 || isa == Isa::amx;
    const auto fast = make_cpu_ops(threads, {isa, Precision::bf16});
    EXPECT_EQ(fast->operand(DType::bf16), has_bf16 ? DType::bf16 : DType::f32) << name_of(isa);
    EXPECT_EQ(fast->operand(DType::f32), DType::f32) << name_of(isa);
    const auto exact = make_cpu_ops(threads, {isa, Precision::f32});
    EXPECT_EQ(exact->operand(DType::bf16), DType::f32) << name_of(isa);
  }
}

}  // namespace
}  // namespace tidar
