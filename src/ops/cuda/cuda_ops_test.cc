// The backend for GPUs with its kernels on the CPU: every case of ops/cases, under several orders
// of threads.

#include "ops/cuda/cuda_ops.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "ops/cases/suite.h"
#include "ops/cuda/host/host_device_testing.h"

namespace tidar::cuda {
namespace {

constexpr std::span kPlainFormats = std::span(kWeightFormats).first(2);
static_assert(kPlainFormats.back().plain.has_value() && !kWeightFormats[2].plain.has_value());

struct OnHost {
  OnHost(uint64_t seed, const CudaOptions& options)
      : device(seed), ops(make_cuda_ops(device, options)) {}
  host::HostDevice device;
  std::unique_ptr<CudaOps> ops;
};

TEST(CudaOps, MatchTheReference) {
  for (const bool plain : {false, true}) {
    const OnHost on(1, {.exact_rows = plain, .tensor_cores = !plain});
    std::string shares;
    for (const auto& failure :
         match_truth(*on.ops, plain ? 2 : 1, &shares, {.formats = kPlainFormats}))
      ADD_FAILURE() << failure;
    std::printf("%s", shares.c_str());
  }
}

TEST(CudaOps, RowsDoNotDependOnTheirCompany) {
  const OnHost on(3, {.exact_rows = true});
  for (const auto& failure : match_rows(*on.ops, 3, {.formats = kPlainFormats}))
    ADD_FAILURE() << failure;
}

TEST(CudaOps, OrdersOfThreadsAndBlocksDoNotMatter) {
  const OnHost a(4, {}), b(5, {});
  for (const auto& failure : match_bits(*a.ops, *b.ops, 4, {.formats = kPlainFormats}))
    ADD_FAILURE() << failure;
}

// A rotation may wait for the store of its keys; its pass may go before.
TEST(CudaOps, WhatWaitsIsDoneBeforeMemoryGoes) {
  const auto rotated = [](bool pass_goes_first) {
    OnHost on(6, {});
    Pass pass;
    pass.begin_sequence();
    for (int row = 0; row < 3; ++row) pass.add_row(0, 5 + row, {{0, row + 1}, {}}, Keep::scratch);
    std::unique_ptr<PreparedPass> prepared;
    on.ops->prepare(pass, nullptr, prepared);
    const double frequencies[] = {1, 0.5};
    const auto table = on.ops->make_rope(frequencies, 1, 10);
    std::vector<float> numbers(12, 1.0f);
    const Matrix host = {reinterpret_cast<std::byte*>(numbers.data()), DType::f32, 3, 4};
    const auto memory = on.ops->allocate(host.bytes());
    Matrix x = host;
    x.data = memory->data;
    on.ops->write(host, x);
    on.ops->rope(x, 1, *prepared, *table);
    if (pass_goes_first) prepared.reset();
    on.ops->read(x, host);
    return numbers;
  };
  EXPECT_EQ(rotated(true), rotated(false));
}

TEST(CudaOpsDeathTest, WhatThereIsNot) {
  const OnHost on(1, {});
  const float number = 1;
  const HostMatrix matrix = {reinterpret_cast<const std::byte*>(&number), DType::f32, 1, 1};
  EXPECT_DEATH(on.ops->pack(PackOrder::stacked, {&matrix, 1}, WeightFormat::w8),
               "weights on GPUs are f32 or bf16");
  EXPECT_DEATH(on.ops->make_kv({.layers = 1, .kv_heads = 1, .head_size = 256, .pages = 1}),
               "256 against 128");
}

}  // namespace
}  // namespace tidar::cuda
