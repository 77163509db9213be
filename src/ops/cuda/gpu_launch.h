#pragma once
// A launch as a queue for a device takes it over.

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace tidar::cuda {

struct KernelLaunch {
  const void* kernel = nullptr;
  unsigned x = 1, y = 1, z = 1;  ///< blocks
  unsigned threads = 1;
  int64_t shared = 0;
  std::source_location where;
  const void* const* arguments = nullptr;
  const size_t* sizes = nullptr;  ///< of the arguments
  int count = 0;
};

/// The arguments are copied. What `queue` is, the device knows.
void queue_launch(void* queue, const KernelLaunch& launch);

}  // namespace tidar::cuda
