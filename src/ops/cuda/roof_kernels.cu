#include <cuda_runtime.h>

#include "ops/cuda/roof_kernels.h"

namespace tidar::cuda {
namespace {

constexpr int kThreads = 512;

// Would write where all bits that a thread has read are 0. They never are; but the compiler does
// not know, and so has it read them.
__global__ void read_kernel(const uint4* data, int64_t count, uint32_t* out) {
  uint32_t bits = 0;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
#pragma unroll 8
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const uint4 element = data[i];
    bits |= element.x | element.y | element.z | element.w;
  }
  if (bits == 0) *out = bits;
}

__global__ void fill_kernel(uint16_t* numbers, int64_t count, uint32_t seed) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    // Two rounds of a hash of 32 bits.
    uint32_t bits = (static_cast<uint32_t>(i) + seed) * 2654435761u;
    bits = (bits ^ (bits >> 15)) * 2246822519u;
    bits ^= bits >> 13;
    const float number = static_cast<float>(bits) * 0x1p-31f - 1;
    numbers[i] = static_cast<uint16_t>(__float_as_uint(number) >> 16);
  }
}

}  // namespace

void read_all(int blocks, const void* data, int64_t bytes, void* out) {
  read_kernel<<<static_cast<unsigned>(blocks), kThreads>>>(static_cast<const uint4*>(data),
                                                           bytes / 16, static_cast<uint32_t*>(out));
}

void fill_randomly(int blocks, void* numbers, int64_t count, uint32_t seed) {
  fill_kernel<<<static_cast<unsigned>(blocks), kThreads>>>(static_cast<uint16_t*>(numbers), count,
                                                           seed);
}

}  // namespace tidar::cuda
