#pragma once
// For tests: the backend for GPUs with its kernels on the CPU.

#include <memory>
#include <utility>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/host/host_device_testing.h"
#include "ops/wrap/forward_ops.h"

namespace tidar::cuda::host {

struct OwnsHostDevice {
  HostDevice device;
  std::unique_ptr<Ops> ops;
};

/// The backend and the device that it stands on. The seed says in what order threads go on.
class OpsOnHost final : private OwnsHostDevice, public ForwardOps {
 public:
  OpsOnHost(uint64_t seed, const CudaOptions& options)
      : OwnsHostDevice{HostDevice(seed), nullptr},
        ForwardOps(*(ops = make_cuda_ops(device, options))) {}
};

}  // namespace tidar::cuda::host
