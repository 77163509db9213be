// Linked in the place of ops/cuda where a program is built without it.

#include "ops/cuda/open_cuda.h"

namespace tidar::cuda {

Result<std::unique_ptr<Ops>> open_cuda(int, const CudaOptions&) {
  return error(
      "this program was built without CUDA: configure it with "
      "-DTIDAR_CUDA=ON where nvcc is "
      "installed, or compute on the CPU");
}

}  // namespace tidar::cuda
