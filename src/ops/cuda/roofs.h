#pragma once
// What a GPU can do at most, measured: every speed on it is told as a share of these.

#include "base/result.h"

namespace tidar::cuda {

/// 10^9 bytes/s, and 10^9 operations/s.
struct GpuRoofs {
  double read_gbps = 0;    ///< reading memory that no cache holds
  double copy_gbps = 0;    ///< copying it; bytes read and bytes written both count
  double bf16_gflops = 0;  ///< a large product in bf16 by cuBLASLt; 0: the library was not found
};

/// Takes a second, and 4 GiB of the device's memory, or as much as is free, given back at the end.
/// Each rate is the best of several runs. An Error where there is no such GPU (open_cuda.h), or too
/// little memory that no cache holds.
Result<GpuRoofs> measure_gpu_roofs(int index);

}  // namespace tidar::cuda
