#pragma once
// For tests: the backend for GPUs, its kernels carried out on the CPU, as one that tests of
// networks run over. In programs of their own, since it is slow.

#include <memory>
#include <vector>

#include "net/network_testing.h"
#include "ops/cuda/host/host_backend_testing.h"

namespace tidar {

/// In float, and in bf16 throughout, for which tensor cores multiply.
inline std::vector<BackendUnderTest> kernels_on_host() {
  const auto seeded = [](uint64_t seed) {
    return [seed](Threads&) -> std::unique_ptr<Ops> {
      return std::make_unique<cuda::host::OpsOnHost>(seed, cuda::CudaOptions{.exact_rows = true});
    };
  };
  return {{"kernels_f32", seeded(1), WeightFormat::f32, DType::f32, false},
          {"kernels_bf16", seeded(2), WeightFormat::bf16, DType::bf16, true}};
}

}  // namespace tidar
