// Linked in the place of ops/cuda where a program is built without it.

#include "ops/cuda/roofs.h"

#include "base/check.h"

namespace tidar::cuda {

Result<GpuRoofs> measure_gpu_roofs(int) {
  return error("this program was built without CUDA, and measures no GPU");
}

}  // namespace tidar::cuda
