#pragma once
// Groups of weight codes in registers, and their products with groups of operand codes: whole
// numbers, exact on every instruction set. For *_kernel.cc only.
//
// A vector holds four inputs of kLanes columns, one column in 32 bits: a quad of inputs.

#include <cstring>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

inline constexpr int kQuads = kGroup / 4;

#if defined(__AVX512F__)
inline Ints load_ints(const void* p) { return _mm512_loadu_si512(p); }
inline Ints lower_halves(Ints bytes) { return _mm512_and_si512(bytes, _mm512_set1_epi8(0x0f)); }
inline Ints upper_halves(Ints bytes) { return lower_halves(_mm512_srli_epi16(bytes, 4)); }
inline Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
/// Rounded to nearest even.
inline Ints to_nearest(Floats v) { return _mm512_cvtps_epi32(v); }
inline Floats load_half(const Half* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
/// Sums of the four products of bytes of a column; no sum of two products may leave 16 bits.
inline Ints multiply_bytes(Ints weights, Ints operands) {
  return _mm512_maddubs_epi16(weights, operands);
}
inline Ints add_16(Ints a, Ints b) { return _mm512_add_epi16(a, b); }
/// Both 16-bit numbers of a column times `factor`, added.
inline Ints sum_16(Ints pairs, int factor) {
  return _mm512_madd_epi16(pairs, _mm512_set1_epi16(static_cast<int16_t>(factor)));
}
#else
inline Ints load_ints(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline Ints lower_halves(Ints bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f)); }
inline Ints upper_halves(Ints bytes) { return lower_halves(_mm256_srli_epi16(bytes, 4)); }
inline Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
inline Ints to_nearest(Floats v) { return _mm256_cvtps_epi32(v); }
inline Floats load_half(const Half* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Ints multiply_bytes(Ints weights, Ints operands) {
  return _mm256_maddubs_epi16(weights, operands);
}
inline Ints add_16(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
inline Ints sum_16(Ints pairs, int factor) {
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(static_cast<int16_t>(factor)));
}
#endif

/// Four operand codes in every column.
inline Ints all_quads(const int8_t* codes) {
  int32_t quad;
  std::memcpy(&quad, codes, sizeof(quad));
  return all_ints(quad);
}

// Groups of operands.

inline constexpr int kGroupVectors = kGroup / kLanes;

#if defined(__AVX512F__)
/// The bits of magnitudes: as whole numbers they are in the order of the numbers, infinity and then
/// NaN behind all others.
inline Ints magnitude_bits(Floats v) {
  return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff));
}
inline Ints larger(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
inline int32_t largest(Ints v) { return _mm512_reduce_max_epi32(v); }
inline int32_t sum(Ints v) { return _mm512_reduce_add_epi32(v); }
/// Numbers of at most 8 bits.
inline void store_bytes(int8_t* p, const Ints (&v)[kGroupVectors]) {
  for (int i = 0; i < kGroupVectors; ++i) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + i * kLanes), _mm512_cvtepi32_epi8(v[i]));
  }
}
#else
inline Ints magnitude_bits(Floats v) {
  return _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
}
inline Ints larger(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
template <class Op>
int32_t reduce(Ints v, Op op) {
  const __m128i half = op(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i quarter = op(half, _mm_shuffle_epi32(half, 0x0e));
  return _mm_cvtsi128_si32(op(quarter, _mm_shuffle_epi32(quarter, 0x01)));
}
inline int32_t largest(Ints v) {
  return reduce(v, [](__m128i a, __m128i b) { return _mm_max_epi32(a, b); });
}
inline int32_t sum(Ints v) {
  return reduce(v, [](__m128i a, __m128i b) { return _mm_add_epi32(a, b); });
}
inline void store_bytes(int8_t* p, const Ints (&v)[kGroupVectors]) {
  // Packing goes by halves of 128 bits, and leaves fours of numbers out of order.
  const __m256i bytes =
      _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permutevar8x32_epi32(bytes, order));
}
#endif

// How codes of a format lie in a panel, as quads of kLanes columns from `first` on.

/// [quad][16][4] bytes.
struct Codes8 {
  static constexpr int kBits = 8;
  static constexpr int64_t kGroupBytes = kPanel * kGroup;

  static void load(const uint8_t* group, int64_t column, Ints (&quads)[kQuads]) {
#pragma GCC unroll 8
    for (int q = 0; q < kQuads; ++q) quads[q] = load_ints(group + (q * kPanel + column) * 4);
  }

  /// use(q, quad q of one group, quad q of another), of their first kLanes columns.
  template <class Use>
  [[gnu::always_inline]] static void for_each_quad(const uint8_t* one, const uint8_t* other,
                                                   Use&& use) {
#pragma GCC unroll 8
    for (int q = 0; q < kQuads; ++q) {
      use(q, load_ints(one + q * kPanel * 4), load_ints(other + q * kPanel * 4));
    }
  }
};

/// [quad of the first half][16][4] bytes: quad q in the lower halves, quad q + 4 in the upper.
struct Codes4 {
  static constexpr int kBits = 4;
  static constexpr int64_t kGroupBytes = kPanel * kGroup / 2;

  static void load(const uint8_t* group, int64_t column, Ints (&quads)[kQuads]) {
#pragma GCC unroll 4
    for (int q = 0; q < kQuads / 2; ++q) {
      const Ints both = load_ints(group + (q * kPanel + column) * 4);
      quads[q] = lower_halves(both);
      quads[q + kQuads / 2] = upper_halves(both);
    }
  }

  template <class Use>
  [[gnu::always_inline]] static void for_each_quad(const uint8_t* one, const uint8_t* other,
                                                   Use&& use) {
#pragma GCC unroll 4
    for (int q = 0; q < kQuads / 2; ++q) {
      const Ints a = load_ints(one + q * kPanel * 4), b = load_ints(other + q * kPanel * 4);
      use(q, lower_halves(a), lower_halves(b));
      use(q + kQuads / 2, upper_halves(a), upper_halves(b));
    }
  }
};

#if defined(__AVX512VNNI__)

/// The weight codes of a group, kLanes columns of them.
template <class Codes>
class GroupWeights {
 public:
  GroupWeights(const uint8_t* group, int64_t column) { Codes::load(group, column, quads_); }

  /// sum + products with a group of operand codes. `vpdpbusd` adds four products in 32 bits.
  Ints add_products(Ints sum, const int8_t* operands) const {
#pragma GCC unroll 8
    for (int q = 0; q < kQuads; ++q) {
      sum = _mm512_dpbusd_epi32(sum, quads_[q], all_quads(operands + 4 * q));
    }
    return sum;
  }

 private:
  Ints quads_[kQuads];
};

#else

// Without it, two products are added in 16 bits, where a code of eight bits may be too large. Its
// halves are not: 8 sums of 2 * 15 * 127 are below 2^15, so that a whole group stays in 16 bits.
template <class Codes>
class GroupWeights {
 public:
  GroupWeights(const uint8_t* group, int64_t column) {
    Codes::load(group, column, lower_);
    if constexpr (Codes::kBits == 8) {
#pragma GCC unroll 8
      for (int q = 0; q < kQuads; ++q) {
        upper_[q] = upper_halves(lower_[q]);
        lower_[q] = lower_halves(lower_[q]);
      }
    }
  }

  Ints add_products(Ints sum, const int8_t* operands) const {
    Ints lower = all_ints(0), upper = all_ints(0);
#pragma GCC unroll 8
    for (int q = 0; q < kQuads; ++q) {
      const Ints quad = all_quads(operands + 4 * q);
      lower = add_16(lower, multiply_bytes(lower_[q], quad));
      if constexpr (Codes::kBits == 8) upper = add_16(upper, multiply_bytes(upper_[q], quad));
    }
    sum = add(sum, sum_16(lower, 1));
    if constexpr (Codes::kBits == 8) sum = add(sum, sum_16(upper, 16));
    return sum;
  }

 private:
  Ints lower_[kQuads];
  Ints upper_[Codes::kBits == 8 ? kQuads : 1];
};

#endif

}  // namespace tidar::cpu::TIDAR_ISA
