#pragma once
// AMX tile registers: eight of 16 rows by 64 bytes each, 16 x 32 bf16 or 16 x 16 float sums. For
// *_kernel.cc only, inside #if defined(__AMX_BF16__).

#include "ops/cpu/simd.h"

#if defined(__AMX_BF16__)

namespace tidar::cpu::TIDAR_ISA {

/// Shapes of the eight tiles, as LDTILECFG reads them (Intel SDM, "Intel AMX"); all as large as
/// they can be. A kernel with fewer rows says so in `rows`.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

/// Completes all stores: compilers do not know that tile instructions read memory.
inline void settle_memory() { asm volatile("" ::: "memory"); }

inline void configure(const TileConfig& config) {
  settle_memory();
  asm volatile("ldtilecfg %0" ::"m"(config));
}

}  // namespace tidar::cpu::TIDAR_ISA

#endif
