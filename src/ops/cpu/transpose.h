#pragma once
// Squares of 32-bit lanes turned on their diagonal, and floats rounded to pairs of bf16 in a lane:
// what layouts are made of. For *_kernel.cc only.

#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

#if defined(__AVX512F__)

inline Ints as_ints(Floats v) { return _mm512_castps_si512(v); }
inline Floats as_floats(Ints v) { return _mm512_castsi512_ps(v); }
inline void store_lanes(void* p, Ints v) { _mm512_storeu_si512(p, v); }

/// v[i] lane j becomes v[j] lane i.
inline void transpose(Ints (&v)[16]) {
  Ints pairs[16], quads[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  // quads[4 b + j] holds columns j, j + 4, j + 8, j + 12 of rows 4 b … 4 b + 3.
  for (int b = 0; b < 16; b += 4) {
    quads[b] = _mm512_unpacklo_epi64(pairs[b], pairs[b + 2]);
    quads[b + 1] = _mm512_unpackhi_epi64(pairs[b], pairs[b + 2]);
    quads[b + 2] = _mm512_unpacklo_epi64(pairs[b + 1], pairs[b + 3]);
    quads[b + 3] = _mm512_unpackhi_epi64(pairs[b + 1], pairs[b + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    const Ints low01 = _mm512_shuffle_i32x4(quads[j], quads[4 + j], 0x88);
    const Ints low23 = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], 0x88);
    const Ints high01 = _mm512_shuffle_i32x4(quads[j], quads[4 + j], 0xdd);
    const Ints high23 = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], 0xdd);
    v[j] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    v[4 + j] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    v[8 + j] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    v[12 + j] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}

#if defined(__AVX512BF16__)

/// Lane i: even[i] rounded to bf16 in the lower half, odd[i] in the upper one.
inline Ints interleaved_pairs(Floats even, Floats odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}
/// 32 floats in a row, rounded to bf16.
inline Ints adjacent_pairs(Floats first_half, Floats second_half) {
  return (__m512i)_mm512_cvtne2ps_pbh(second_half, first_half);
}

#else

inline Ints adjacent_pairs(Floats first_half, Floats second_half) {
  alignas(64) BFloat16 halves[32];
  store_bf16(halves, first_half);
  store_bf16(halves + 16, second_half);
  return _mm512_load_si512(halves);
}
inline Ints interleaved_pairs(Floats even, Floats odd) {
  alignas(64) BFloat16 halves[32];
  store_bf16(halves, even);
  store_bf16(halves + 16, odd);
  const auto widened = [&](int from) {
    return _mm512_cvtepu16_epi32(
        _mm256_load_si256(reinterpret_cast<const __m256i*>(halves + from)));
  };
  return _mm512_or_si512(widened(0), _mm512_slli_epi32(widened(16), 16));
}

#endif

#else

inline Ints as_ints(Floats v) { return _mm256_castps_si256(v); }
inline Floats as_floats(Ints v) { return _mm256_castsi256_ps(v); }
inline void store_lanes(void* p, Ints v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

inline void transpose(Ints (&v)[8]) {
  Ints pairs[8], quads[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
  }
  // quads[4 b + j] holds columns j, j + 4 of rows 4 b … 4 b + 3.
  for (int b = 0; b < 8; b += 4) {
    quads[b] = _mm256_unpacklo_epi64(pairs[b], pairs[b + 2]);
    quads[b + 1] = _mm256_unpackhi_epi64(pairs[b], pairs[b + 2]);
    quads[b + 2] = _mm256_unpacklo_epi64(pairs[b + 1], pairs[b + 3]);
    quads[b + 3] = _mm256_unpackhi_epi64(pairs[b + 1], pairs[b + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    v[j] = _mm256_permute2x128_si256(quads[j], quads[4 + j], 0x20);
    v[4 + j] = _mm256_permute2x128_si256(quads[j], quads[4 + j], 0x31);
  }
}

inline Ints adjacent_pairs(Floats first_half, Floats second_half) {
  alignas(32) BFloat16 halves[16];
  store_bf16(halves, first_half);
  store_bf16(halves + 8, second_half);
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(halves));
}
inline Ints interleaved_pairs(Floats even, Floats odd) {
  alignas(32) BFloat16 halves[16];
  store_bf16(halves, even);
  store_bf16(halves + 8, odd);
  const auto widened = [&](int from) {
    return _mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(halves + from)));
  };
  return _mm256_or_si256(widened(0), _mm256_slli_epi32(widened(8), 16));
}

#endif

/// The same of kLanes numbers each that are bf16 already.
inline Ints interleaved_pairs(const BFloat16* even, const BFloat16* odd) {
#if defined(__AVX512F__)
  const auto widened = [](const BFloat16* p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  };
  return _mm512_or_si512(widened(even), _mm512_slli_epi32(widened(odd), 16));
#else
  const auto widened = [](const BFloat16* p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  };
  return _mm256_or_si256(widened(even), _mm256_slli_epi32(widened(odd), 16));
#endif
}

/// How numbers of type T lie in 32-bit lanes: one float, or two of bf16.
template <class T>
inline constexpr int kPerLane = sizeof(T) == 2 ? 2 : 1;

/// kPerLane<T> * kLanes floats in a row, as T.
template <class T>
Ints load_run(const float* p) {
  if constexpr (sizeof(T) == 2) {
    return adjacent_pairs(load(p), load(p + kLanes));
  } else {
    return as_ints(load(p));
  }
}

/// The first `count` of them; the rest are 0.
template <class T>
Ints load_run(const float* p, int64_t count) {
  if (count >= kPerLane<T> * kLanes) return load_run<T>(p);
  const auto part = [&](int64_t from) {
    const int64_t left = count - from;
    return load_first(p + from, left > kLanes ? kLanes : static_cast<int>(left));
  };
  if constexpr (sizeof(T) == 2) {
    return adjacent_pairs(part(0), part(kLanes));
  } else {
    return as_ints(part(0));
  }
}

}  // namespace tidar::cpu::TIDAR_ISA
