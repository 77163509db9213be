#pragma once
// The instruction of the tensor cores that products in bf16 are made of, and its twin for the CPU.

#include "ops/cuda/gpu.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

// One mma.m16n8k16: A [16, 16] times B [16, 8], of bf16, added to D [16, 8], f32. Each lane holds a
// part of every matrix (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type").
// With g = lane / 4 and t = lane % 4:

/// Two elements each, of the lower k in the lower half: rows g, g + 8, g, g + 8, k = 2 t, 2 t + 1;
/// the latter two 8 further along k.
struct MmaA {
  uint32_t pairs[4];
};
/// Two elements each, of column g, k = 2 t, 2 t + 1; the latter 8 further.
struct MmaB {
  uint32_t pairs[2];
};
/// Row g, columns 2 t and 2 t + 1; then row g + 8.
struct MmaD {
  float sums[4];
};

#ifdef __CUDACC__

/// d += A B. All lanes of the warp call it.
__device__ inline void mma(const MmaA& a, const MmaB& b, MmaD& d) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d.sums[0]), "+f"(d.sums[1]), "+f"(d.sums[2]), "+f"(d.sums[3])
      : "r"(a.pairs[0]), "r"(a.pairs[1]), "r"(a.pairs[2]), "r"(a.pairs[3]), "r"(b.pairs[0]),
        "r"(b.pairs[1]));
}

#else

/// The same, each element in a chain of f32 along k. How a device rounds between the terms is its
/// own business.
inline void mma(const MmaA& a, const MmaB& b, MmaD& d,
                std::source_location where = std::source_location::current()) {
  const auto bring = [&](uint32_t low, uint32_t high) -> host::LaneValues {
    return host::meet(kAllLanes, "mma()", uint64_t{high} << 32 | low, where);
  };
  const host::LaneValues a_low = bring(a.pairs[0], a.pairs[1]);
  const host::LaneValues a_high = bring(a.pairs[2], a.pairs[3]);
  const host::LaneValues bs = bring(b.pairs[0], b.pairs[1]);
  // A quarter of what a lane has brought.
  const auto element = [](const host::LaneValues& values, int lane, int quarter) {
    return widen(Bf16{static_cast<uint16_t>(values[static_cast<size_t>(lane)] >> (16 * quarter))});
  };
  for (int i = 0; i < 4; ++i) {
    const int row = lane_index() / 4 + (i < 2 ? 0 : 8), column = lane_index() % 4 * 2 + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int t = k % 8 / 2;
      const float x = element(k < 8 ? a_low : a_high, row % 8 * 4 + t, (row < 8 ? 0 : 2) + k % 2);
      const float y = element(bs, column * 4 + t, (k < 8 ? 0 : 2) + k % 2);
      d.sums[i] = fmaf(x, y, d.sums[i]);
    }
  }
}

#endif

}  // namespace tidar::cuda
