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
    for (const auto& failure : match_truth(*on.ops, plain ? 2 : 1, &shares, kPlainFormats))
      ADD_FAILURE() << failure;
    std::printf("%s", shares.c_str());
  }
}

TEST(CudaOps, RowsDoNotDependOnTheirCompany) {
  const OnHost on(3, {.exact_rows = true});
  for (const auto& failure : match_rows(*on.ops, 3, kPlainFormats)) ADD_FAILURE() << failure;
}

TEST(CudaOps, OrdersOfThreadsAndBlocksDoNotMatter) {
  const OnHost a(4, {}), b(5, {});
  for (const auto& failure : match_bits(*a.ops, *b.ops, 4, kPlainFormats)) ADD_FAILURE() << failure;
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
