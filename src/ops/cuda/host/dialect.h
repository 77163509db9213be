#pragma once
// The words of CUDA C++ that our kernels are written in, for a compiler that does not know them:
// the same source then runs on the CPU (grid.h). What is not here is not used by any kernel.
//
// Within kernels: threadIdx, blockIdx, blockDim, gridDim, __syncthreads(), and of a warp
// __syncwarp(), __shfl_sync(), __shfl_xor_sync(), __ballot_sync(). Shared memory is one struct a
// kernel, of numbers and Arrays, declared with TIDAR_SHARED(Type, name) or TIDAR_LARGE_SHARED.

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <string>
#include <type_traits>

#include "ops/cuda/host/grid.h"
#include "ops/cuda/host/queue.h"

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): they are CUDA's names.
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

#define threadIdx (::tidar::cuda::host::place.thread)
#define blockIdx (::tidar::cuda::host::place.block)
#define blockDim (::tidar::cuda::host::place.threads)
#define gridDim (::tidar::cuda::host::place.blocks)

/// The block's own `name` of type Type, which is trivial: nothing is constructed.
#define TIDAR_SHARED(Type, name) Type& name = ::tidar::cuda::host::shared_memory<Type>()
#define TIDAR_LARGE_SHARED(Type, name) TIDAR_SHARED(Type, name)

namespace tidar::cuda::host {

/// How a value of up to 8 bytes travels between lanes.
template <class T>
uint64_t bits_of(T value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <class T>
T value_of(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <class T>
T from_lane(uint32_t mask, const char* purpose, T value, unsigned lane,
            const std::source_location& where) {
  const LaneValues& values = meet(mask, purpose, bits_of(value), where);
  if (lane >= kWarp || (mask >> lane & 1) == 0) {
    stop_thread(where, std::string(purpose) + " takes a value from lane " + std::to_string(lane) +
                           ", which its mask does not name");
  }
  return value_of<T>(values[lane]);
}

template <class T>
T& shared_memory(std::source_location where = std::source_location::current()) {
  static_assert(std::is_trivially_default_constructible_v<T> &&
                std::is_trivially_destructible_v<T> && alignof(T) <= 128);
  static const char key = 0;  // its address names the type
  return *reinterpret_cast<T*>(block_memory(&key, sizeof(T), where));
}

}  // namespace tidar::cuda::host

inline void __syncthreads(std::source_location where = std::source_location::current()) {
  tidar::cuda::host::sync_threads(where);
}

inline void __syncwarp(uint32_t mask = 0xffffffffu,
                       std::source_location where = std::source_location::current()) {
  tidar::cuda::host::meet(mask, "__syncwarp()", 0, where);
}

template <class T>
T __shfl_sync(uint32_t mask, T value, int lane,
              std::source_location where = std::source_location::current()) {
  return tidar::cuda::host::from_lane(mask, "__shfl_sync()", value, static_cast<unsigned>(lane),
                                      where);
}

template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int lane_bits,
                  std::source_location where = std::source_location::current()) {
  const unsigned own = threadIdx.x % tidar::cuda::host::kWarp;
  return tidar::cuda::host::from_lane(mask, "__shfl_xor_sync()", value,
                                      own ^ static_cast<unsigned>(lane_bits), where);
}

inline uint32_t __ballot_sync(uint32_t mask, bool predicate,
                              std::source_location where = std::source_location::current()) {
  const auto& votes = tidar::cuda::host::meet(mask, "__ballot_sync()", predicate, where);
  uint32_t ballot = 0;
  for (unsigned lane = 0; lane < tidar::cuda::host::kWarp; ++lane)
    ballot |= static_cast<uint32_t>(votes[lane]) << lane;
  return ballot;
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace tidar::cuda {

/// Arrays call it with every index: on the CPU, a step past the end of one member of a struct would
/// be a step into the next.
inline void check_index(int64_t index, int count) {
  if (index >= 0 && index < count) return;
  host::stop_thread(std::source_location::current(),
                    "index " + std::to_string(index) + " of an Array of " + std::to_string(count));
}

}  // namespace tidar::cuda
