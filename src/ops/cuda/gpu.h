#pragma once
// What kernels are written in: CUDA C++, or the part of it that host/dialect.h gives to another
// compiler, so that the same source is carried out on the CPU. Every .cu file begins with this
// header; only here, and in the few wrappers of instructions, does it matter which compiler reads.
//
// Arithmetic is what the source says, on both: no compiler makes one operation of two (-fmad=false,
// -ffp-contract=off); fmaf() stands where one is meant.

#include <cfloat>
#include <cstdint>
#include <source_location>

#include "ops/cuda/kernels.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include "ops/cuda/gpu_launch.h"

/// The block's own `name` of type Type, which is trivial: nothing is constructed.
#define TIDAR_SHARED(Type, name) __shared__ Type name
/// The same for a type that may be larger than 48 KiB; Grid::shared of the launch is its size.
#define TIDAR_LARGE_SHARED(Type, name)                            \
  extern __shared__ __align__(128) unsigned char large_shared_[]; \
  Type& name = *reinterpret_cast<Type*>(large_shared_)
/// Before a loop whose turns are known: arrays that it indexes stay in registers.
#define TIDAR_UNROLL _Pragma("unroll")
#else
#define TIDAR_UNROLL
#include "ops/cuda/host/dialect.h"
#endif

namespace tidar::cuda {

inline constexpr int kLanes = 32;  // of a warp

/// What a kernel is launched on: x · y · z blocks of `threads` threads each.
struct Grid {
  int64_t x = 1, y = 1, z = 1;
  int threads = kLanes;
  int64_t shared = 0;  ///< bytes of what TIDAR_LARGE_SHARED names
  std::source_location where = std::source_location::current();
};

#ifdef __CUDACC__
__device__ inline void check_index(int64_t, int) {}
#endif

/// Queues kernel(arguments…). The arguments are copied; there must be a block at least.
template <class... Parameters, class... Arguments>
void launch(Stream stream, const Grid& grid, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
  const auto x = static_cast<unsigned>(grid.x), y = static_cast<unsigned>(grid.y),
             z = static_cast<unsigned>(grid.z), threads = static_cast<unsigned>(grid.threads);
#ifdef __CUDACC__
  const auto queue = [&](const Parameters&... converted) {
    const void* const pointers[] = {&converted...};
    constexpr size_t kSizes[] = {sizeof(Parameters)...};
    queue_launch(stream.handle,
                 {reinterpret_cast<const void*>(kernel), x, y, z, threads, grid.shared, grid.where,
                  pointers, kSizes, static_cast<int>(sizeof...(Parameters))});
  };
  queue(arguments...);
#else
  host::enqueue(stream.handle, {{x, y, z}, threads, grid.where, static_cast<size_t>(grid.shared)},
                [kernel, arguments...] { kernel(arguments...); });
#endif
}

/// Every kernel calls both. A device may begin a kernel while the one before it is still at work,
/// so that weights are on their way when their turn comes (Hopper and later; others never do).
///
/// Lets the next kernel of the queue begin as soon as there is room beside this one.
__device__ inline void let_next_begin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
/// Waits for all that was queued before this kernel. What a kernel reads before it has been there
/// since before the kernel that stands before it in the queue: weights, and the lists of a pass.
__device__ inline void wait_for_earlier() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// A fixed number of elements, in shared memory or in registers. Trivial. On the CPU every index is
/// checked.
template <class T, int kCount>
struct Array {
  T elements[kCount];

  __device__ T& operator[](int64_t index) {
    check_index(index, kCount);
    return elements[index];
  }
  __device__ const T& operator[](int64_t index) const {
    check_index(index, kCount);
    return elements[index];
  }
};

// ---- Numbers ----

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(Bf16 value) {
#ifdef __CUDACC__
  return __uint_as_float(static_cast<uint32_t>(value.bits) << 16);
#else
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
#endif
}

/// The nearest T, ties to even; NaN stays NaN.
template <class T>
__device__ T narrow(float value);
template <>
__device__ inline float narrow<float>(float value) {
  return value;
}
template <>
__device__ inline Bf16 narrow<Bf16>(float value) {
#ifdef __CUDACC__
  Bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
#else
  const uint32_t wide = std::bit_cast<uint32_t>(value);
  // The instruction makes every NaN this one.
  if ((wide & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16)};
#endif
}

/// exp(x) for x <= 0, good to a few units of the 20th bit: for what is rounded to bf16.
__device__ inline float fast_exp(float x) {
#ifdef __CUDACC__
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.4426950408889634f));
  return result;
#else
  return expf(x);
#endif
}

/// Calls f with a null pointer to the element type: with_element(x.type, [&]<class T>(T*) { … }).
template <class F>
void with_element(Element type, F&& f) {
  if (type == Element::bf16) {
    f(static_cast<Bf16*>(nullptr));
  } else {
    f(static_cast<float*>(nullptr));
  }
}

/// How many blocks of `size` hold `count`.
constexpr int64_t blocks_for(int64_t count, int64_t size) { return (count + size - 1) / size; }

}  // namespace tidar::cuda
