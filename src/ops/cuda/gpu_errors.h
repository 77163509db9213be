#pragma once
// For sources that call CUDA's runtime.

#include <cuda_runtime.h>

#include <source_location>

namespace tidar::cuda {

/// Stops the program unless `status` is success. A call that fails, or a kernel that has failed
/// before it, is a mistake of this program or of the machine: nothing on the device can be relied
/// on any more.
void check_cuda(cudaError_t status,
                const std::source_location& where = std::source_location::current());

}  // namespace tidar::cuda
