#pragma once
// A vector of floats as wide as the instruction set has it: the shim that kernels are written in.
// For *_kernel.cc only; everything is in a namespace of the instruction set.

#include <immintrin.h>

#include <cstdint>

#include "base/dtype.h"

#if defined(__AMX_BF16__)
#define TIDAR_ISA amx
#elif defined(__AVX512BF16__)
#define TIDAR_ISA avx512_bf16
#elif defined(__AVX512F__)
#define TIDAR_ISA avx512
#else
#define TIDAR_ISA avx2
#endif

namespace tidar::cpu::TIDAR_ISA {

#if defined(__AVX512F__)

inline constexpr int kLanes = 16;
using Floats = __m512;
using Ints = __m512i;
using Mask = __mmask16;

inline Floats zero() { return _mm512_setzero_ps(); }
inline Floats all(float value) { return _mm512_set1_ps(value); }
inline Floats load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats round(Floats a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/// a * 2^n for whole n.
inline Floats scale2(Floats a, Floats n) { return _mm512_scalef_ps(a, n); }
inline Mask first(int count) {
  return count >= kLanes ? Mask(0xffff) : count <= 0 ? Mask(0) : Mask((1u << count) - 1u);
}
/// Lanes from <= lane < to.
inline Mask lanes(int from, int to) { return Mask(first(to) & ~first(from)); }
inline Mask less(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline Floats select(Mask m, Floats yes, Floats no) { return _mm512_mask_blend_ps(m, no, yes); }
inline bool any(Mask m) { return m != 0; }
inline Floats load_first(const float* p, int count) {
  return _mm512_maskz_loadu_ps(first(count), p);
}
inline void store_first(float* p, Floats v, int count) {
  _mm512_mask_storeu_ps(p, first(count), v);
}
inline Floats load_bf16(const BFloat16* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
inline Floats load_i8(const int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}
/// 16 pairs of bf16: the first and the second of each, as floats.
struct Pairs {
  Floats even, odd;
};
inline Pairs load_pairs(const BFloat16* p) {
  const __m512i both = _mm512_loadu_si512(p);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(both, 16)),
          _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(int(0xffff0000u))))};
}
/// Rounds to nearest even; NaN stays NaN.
inline void store_bf16(BFloat16* p, Floats v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(
      _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
  const __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  const Mask nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(nan, rounded, quiet)));
}
inline float sum(Floats v) { return _mm512_reduce_add_ps(v); }
inline float largest(Floats v) { return _mm512_reduce_max_ps(v); }
inline Ints all_ints(int32_t value) { return _mm512_set1_epi32(value); }
inline Ints iota() {
  return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
inline Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints select(Mask m, Ints yes, Ints no) { return _mm512_mask_blend_epi32(m, no, yes); }
inline void store(int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }
inline Ints exclusive_or(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
/// Lower and upper halves of the 64-bit products of unsigned lanes.
struct Product {
  Ints low, high;
};
inline Product multiply_wide(Ints a, Ints b) {
  const __m512i even = _mm512_mul_epu32(a, b);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  return {_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)),
          _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd)};
}
/// Unsigned lanes as floats, rounded to nearest even.
inline Floats from_unsigned(Ints v) { return _mm512_cvtepu32_ps(v); }
/// Splits positive normal numbers: x = mantissa * 2^exponent, mantissa in [0.75, 1.5).
struct Parts {
  Floats mantissa, exponent;
};
inline Parts split(Floats x) {
  const Floats mantissa = _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_zero);
  const Mask halved = less(mantissa, all(1.0f));
  const Floats exponent = _mm512_getexp_ps(x);
  return {mantissa, select(halved, add(exponent, all(1.0f)), exponent)};
}
/// Four vectors of words w = 0 … 3 of counters whose order is counter_order(): returned vector q
/// holds the words of counters 4 q … 4 q + 3, counter by counter.
inline Ints counter_order() {
  return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}
inline void interleave(Ints (&words)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(words[0], words[1]);
  const __m512i b = _mm512_unpackhi_epi32(words[0], words[1]);
  const __m512i c = _mm512_unpacklo_epi32(words[2], words[3]);
  const __m512i d = _mm512_unpackhi_epi32(words[2], words[3]);
  words[0] = _mm512_unpacklo_epi64(a, c);
  words[1] = _mm512_unpackhi_epi64(a, c);
  words[2] = _mm512_unpacklo_epi64(b, d);
  words[3] = _mm512_unpackhi_epi64(b, d);
}

#else

inline constexpr int kLanes = 8;
using Floats = __m256;
using Ints = __m256i;
using Mask = __m256;  // all bits of a lane set or clear

inline Floats zero() { return _mm256_setzero_ps(); }
inline Floats all(float value) { return _mm256_set1_ps(value); }
inline Floats load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats round(Floats a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/// a * 2^n for whole n in [-252, 254]: in two steps, so that results below 2^-126 are right too.
inline Floats scale2(Floats a, Floats n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i low = _mm256_srai_epi32(whole, 1);
  const __m256i high = _mm256_sub_epi32(whole, low);
  const auto power = [](__m256i e) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
  };
  return _mm256_mul_ps(_mm256_mul_ps(a, power(low)), power(high));
}
inline Ints iota() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
inline Mask first(int count) {
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), iota()));
}
inline Mask lanes(int from, int to) { return _mm256_andnot_ps(first(from), first(to)); }
inline Mask less(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
inline Floats select(Mask m, Floats yes, Floats no) { return _mm256_blendv_ps(no, yes, m); }
inline bool any(Mask m) { return _mm256_movemask_ps(m) != 0; }
inline Floats load_first(const float* p, int count) {
  return _mm256_maskload_ps(p, _mm256_castps_si256(first(count)));
}
inline void store_first(float* p, Floats v, int count) {
  _mm256_maskstore_ps(p, _mm256_castps_si256(first(count)), v);
}
inline Floats load_bf16(const BFloat16* p) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
inline Floats load_i8(const int8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
struct Pairs {
  Floats even, odd;
};
inline Pairs load_pairs(const BFloat16* p) {
  const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(both, 16)),
          _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32(int(0xffff0000u))))};
}
inline void store_bf16(BFloat16* p, Floats v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(
      _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i chosen = _mm256_blendv_epi8(rounded, quiet, nan);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(chosen, chosen), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}
inline float sum(Floats v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
}
inline float largest(Floats v) {
  const __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
}
inline Ints all_ints(int32_t value) { return _mm256_set1_epi32(value); }
inline Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
inline Ints select(Mask m, Ints yes, Ints no) {
  return _mm256_castps_si256(
      _mm256_blendv_ps(_mm256_castsi256_ps(no), _mm256_castsi256_ps(yes), m));
}
inline void store(int32_t* p, Ints v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
inline Ints exclusive_or(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
struct Product {
  Ints low, high;
};
inline Product multiply_wide(Ints a, Ints b) {
  const __m256i even = _mm256_mul_epu32(a, b);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
  return {_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa),
          _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa)};
}
inline Floats from_unsigned(Ints v) {
  // Both halves of 16 bits are exact, so the one addition rounds once.
  const __m256 high = _mm256_cvtepi32_ps(_mm256_srli_epi32(v, 16));
  const __m256 low = _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(0xffff)));
  return _mm256_fmadd_ps(high, _mm256_set1_ps(65536.0f), low);
}
struct Parts {
  Floats mantissa, exponent;
};
inline Parts split(Floats x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff));
  const Floats mantissa =
      _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f800000)));
  const Floats exponent =
      _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127)));
  const Mask large = _mm256_cmp_ps(mantissa, all(1.5f), _CMP_GE_OQ);
  return {select(large, mul(mantissa, all(0.5f)), mantissa),
          select(large, add(exponent, all(1.0f)), exponent)};
}
inline Ints counter_order() { return _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7); }
inline void interleave(Ints (&words)[4]) {
  const __m256i a = _mm256_unpacklo_epi32(words[0], words[1]);
  const __m256i b = _mm256_unpackhi_epi32(words[0], words[1]);
  const __m256i c = _mm256_unpacklo_epi32(words[2], words[3]);
  const __m256i d = _mm256_unpackhi_epi32(words[2], words[3]);
  words[0] = _mm256_unpacklo_epi64(a, c);
  words[1] = _mm256_unpackhi_epi64(a, c);
  words[2] = _mm256_unpacklo_epi64(b, d);
  words[3] = _mm256_unpackhi_epi64(b, d);
}

#endif

/// How many of `count` elements a vector holds that starts at element `at`.
inline int lanes_left(int64_t count, int64_t at) {
  return static_cast<int>(count - at < kLanes ? count - at : kLanes);
}
/// The first `count` lanes, rounded to bf16.
inline void store_first(BFloat16* p, Floats v, int count) {
  if (count >= kLanes) return store_bf16(p, v);
  BFloat16 whole[kLanes];
  store_bf16(whole, v);
  for (int i = 0; i < count; ++i) p[i] = whole[i];
}
/// The first `count` lanes at element `at` of floats or of bf16, to which they are rounded.
inline void store_first(void* out, DType dtype, int64_t at, Floats v, int count) {
  if (dtype == DType::f32) {
    store_first(static_cast<float*>(out) + at, v, count);
  } else {
    store_first(static_cast<BFloat16*>(out) + at, v, count);
  }
}

/// Vectors that make up a panel of 16 columns.
inline constexpr int kPanelVectors = 16 / kLanes;

/// e^x, relative error below 2 units in the last place for x in [-87, 88]; exactly 1 at 0, exactly
/// 0 at -infinity. Cody-Waite reduction by log 2, then a polynomial of degree 6 (Taylor's, of which
/// the rest at |r| <= log(2)/2 is below 2^-25 of the result).
inline Floats exp(Floats x) {
  const Floats low = all(-104.0f);
  // In this order of operands NaN passes through.
  const Floats clamped = min(all(88.7f), max(low, x));
  const Floats n = round(mul(clamped, all(1.44269504088896341f)));
  Floats r = fma(n, all(-0.693359375f), clamped);
  r = fma(n, all(2.12194440054690583e-4f), r);
  Floats p = all(1.0f / 720);
  p = fma(p, r, all(1.0f / 120));
  p = fma(p, r, all(1.0f / 24));
  p = fma(p, r, all(1.0f / 6));
  p = fma(p, r, all(0.5f));
  p = fma(p, r, all(1.0f));
  p = fma(p, r, all(1.0f));
  return select(less(x, low), zero(), scale2(p, n));
}

/// Natural logarithm of positive normal numbers, relative error below 4 units in the last place
/// away from 1, absolute error below 2^-24 near 1. With m in [0.75, 1.5) and t = (m - 1) / (m + 1),
/// |t| <= 1/5, log m = 2 atanh t = 2 (t + t³/3 + t⁵/5 + …); the terms from t¹¹ on are below 2^-27.
inline Floats log(Floats x) {
  const Parts parts = split(x);
  const Floats t = div(sub(parts.mantissa, all(1.0f)), add(parts.mantissa, all(1.0f)));
  const Floats t2 = mul(t, t);
  Floats p = all(2.0f / 9);
  p = fma(p, t2, all(2.0f / 7));
  p = fma(p, t2, all(2.0f / 5));
  p = fma(p, t2, all(2.0f / 3));
  p = mul(p, mul(t2, t));
  const Floats log_mantissa = fma(all(2.0f), t, p);
  return fma(parts.exponent, all(0.693147180559945309f), log_mantissa);
}

/// x / (1 + e^-x).
inline Floats silu(Floats x) { return div(x, add(all(1.0f), exp(sub(zero(), x)))); }

}  // namespace tidar::cpu::TIDAR_ISA
