// Loops that do nothing but reach a roof.

#include "ops/cpu/codes.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"
#include "ops/cpu/tiles.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

// As many sums as hide the latency of a multiply-add, and fit the registers.
constexpr int kSums = 12;

// Hides a value from the optimizer, so that a loop is carried out as often as it says.
template <class T>
void keep(T& value) {
  asm volatile("" : "+x"(value));
}

}  // namespace

double spin_f32(int64_t rounds) {
  Floats sums[kSums];
  for (auto& s : sums) s = zero();
  Floats factor = all(0.5f);
  for (int64_t i = 0; i < rounds; ++i) {
    for (auto& s : sums) s = fma(s, factor, factor);
    keep(factor);
  }
  for (auto& s : sums) keep(s);
  return 2.0 * kSums * kLanes * static_cast<double>(rounds);
}

#if defined(__AMX_BF16__)

double spin_bf16(int64_t rounds) {
  configure(TileConfig());
  alignas(64) static const std::byte zeros[1024] = {};
  _tile_loadd(4, zeros, 64);
  _tile_loadd(5, zeros, 64);
  _tile_loadd(6, zeros, 64);
  _tile_loadd(7, zeros, 64);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 4 * 2.0 * 16 * 16 * 32 * static_cast<double>(rounds);
}

#elif defined(__AVX512BF16__)

double spin_bf16(int64_t rounds) {
  Floats sums[kSums];
  for (auto& s : sums) s = zero();
  __m512i factor = _mm512_set1_epi16(0x3f00);
  for (int64_t i = 0; i < rounds; ++i) {
    for (auto& s : sums) s = _mm512_dpbf16_ps(s, (__m512bh)factor, (__m512bh)factor);
    keep(factor);
  }
  for (auto& s : sums) keep(s);
  return 2.0 * kSums * 2 * kLanes * static_cast<double>(rounds);
}

#else

double spin_bf16(int64_t rounds) { return spin_f32(rounds); }

#endif

// Whole numbers of a byte as products of codes add them up (codes.h), and as few other instructions
// as that takes.
double spin_i8(int64_t rounds) {
  Ints sums[kSums];
  for (auto& s : sums) s = all_ints(0);
  Ints factor = all_ints(0x01010101);
  for (int64_t i = 0; i < rounds; ++i) {
#if defined(__AVX512VNNI__)
    for (auto& s : sums) s = _mm512_dpbusd_epi32(s, factor, factor);
#else
    for (auto& s : sums) s = add_16(s, multiply_bytes(factor, factor));
#endif
    keep(factor);
  }
  for (auto& s : sums) keep(s);
  return 2.0 * kSums * 4 * kLanes * static_cast<double>(rounds);
}

void read_memory(const std::byte* from, int64_t bytes) {
  const auto* floats = reinterpret_cast<const float*>(from);
  Floats sums[4] = {zero(), zero(), zero(), zero()};
  const int64_t count = bytes / static_cast<int64_t>(sizeof(float));
  for (int64_t i = 0; i + 4 * kLanes <= count; i += 4 * kLanes) {
    for (int v = 0; v < 4; ++v) sums[v] = add(sums[v], load(floats + i + v * kLanes));
  }
  for (auto& s : sums) keep(s);
}

}  // namespace tidar::cpu::TIDAR_ISA
