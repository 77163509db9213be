#pragma once
// The way to a GPU. What stands behind it is linked: ops/cuda/runtime_device.cc, or where the
// program is built without CUDA, ops/no_cuda.

#include <memory>

#include "base/result.h"
#include "ops/cuda/cuda_ops.h"

namespace tidar::cuda {

/// The backend on GPU number `index`, counted from 0 as CUDA does. An Error says what to do where
/// there is none, or none that the kernels were compiled for, or where this program was built
/// without CUDA.
Result<std::unique_ptr<Ops>> open_cuda(int index, const CudaOptions& options);

}  // namespace tidar::cuda
