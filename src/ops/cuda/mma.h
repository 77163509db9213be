#pragma once
// The instructions that products in bf16 are made of, those of the tensor cores and those that
// bring them their operands, each with a twin for the CPU.

#ifndef __CUDACC__
#include <cstring>
#include <vector>
#endif

#include "ops/cuda/gpu.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

/// 8 bf16, as pairs of the lower index in the lower half: what one copy moves.
struct alignas(16) Words {
  uint32_t pairs[4];
};
inline constexpr int kWordElements = 8;

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

/// Copies of this thread from global to shared memory (cp.async), in groups.
class AsyncCopies {
 public:
  /// Both aligned to 16 bytes; zeros where there is nothing to be copied. `from` is not read then.
  __device__ void add(Words& to, const void* from, bool is_there) {
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(&to));
    const int bytes = is_there ? static_cast<int>(sizeof(Words)) : 0;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
                 "r"(bytes)
                 : "memory");
  }
  /// Ends a group, which may be empty.
  __device__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
  /// Until this thread's groups but for the last kLeft have arrived. For those of other threads a
  /// barrier must follow.
  template <int kLeft>
  __device__ void wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
  }
};

/// Four blocks of 8 x 8 bf16, transposed on their way into registers (ldmatrix.x4.trans): lane l
/// gives where row l % 8 of block l / 8 begins in shared memory, and gets of block i elements
/// (2 t, g) and (2 t + 1, g). All lanes of the warp call it.
__device__ inline Words load_transposed(const Words& row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(&row));
  Words loaded;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(loaded.pairs[0]), "=r"(loaded.pairs[1]), "=r"(loaded.pairs[2]),
                 "=r"(loaded.pairs[3])
               : "r"(address)
               : "memory");
  return loaded;
}

#else

/// The same; nothing arrives before it is waited for.
class AsyncCopies {
 public:
  void add(Words& to, const void* from, bool is_there) {
    if (groups_.empty()) groups_.emplace_back();
    groups_.back().push_back({&to, is_there ? from : nullptr});
  }
  void commit() {
    if (groups_.empty()) groups_.emplace_back();
    groups_.emplace_back();
  }
  template <int kLeft>
  void wait() {
    while (groups_.size() > kLeft + 1) {
      for (const Copy& copy : groups_.front()) {
        if (copy.from == nullptr) {
          *copy.to = {};
        } else {
          std::memcpy(copy.to, copy.from, sizeof(Words));
        }
      }
      groups_.erase(groups_.begin());
    }
  }

 private:
  struct Copy {
    Words* to;
    const void* from;
  };
  std::vector<std::vector<Copy> > groups_;  // the last is not yet committed
};

inline Words load_transposed(const Words& row,
                             std::source_location where = std::source_location::current()) {
  const host::LaneValues rows =
      host::meet(kAllLanes, "load_transposed()", reinterpret_cast<uintptr_t>(&row), where);
  const int g = lane_index() / 4, t = lane_index() % 4;
  const auto element = [&](int lane) {
    uint16_t bits = 0;
    const auto* const begin =
        std::bit_cast<const std::byte*>(uintptr_t{rows[static_cast<size_t>(lane)]});
    std::memcpy(&bits, begin + 2 * g, sizeof(bits));
    return uint32_t{bits};
  };
  Words loaded;
  for (int i = 0; i < 4; ++i)
    loaded.pairs[i] = element(8 * i + 2 * t) | element(8 * i + 2 * t + 1) << 16;
  return loaded;
}

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
