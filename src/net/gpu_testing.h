#pragma once
// For tests: the backend for GPUs on the first GPU of this machine, as one that tests of networks
// run over. In programs of their own, which are linked with the kernels for devices.

#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "net/network_testing.h"
#include "ops/cuda/open_cuda.h"

namespace tidar {

/// In float, and in bf16 throughout, for which tensor cores multiply. None, and a line that says
/// why, where there is no GPU: tests over them then pass.
inline std::vector<BackendUnderTest> gpu_backends(const cuda::CudaOptions& options) {
  if (const auto found = cuda::open_cuda(0, options); !found.ok()) {
    std::printf("    not run on a GPU: %s\n", found.error().message.c_str());
    return {};
  }
  const auto make = [options](Threads&) { return cuda::open_cuda(0, options).value(); };
  const std::string name = options.exact_rows ? "gpu_exact" : "gpu";
  return {{name + "_f32", make, WeightFormat::f32, DType::f32, false},
          {name + "_bf16", make, WeightFormat::bf16, DType::bf16, true}};
}

}  // namespace tidar
