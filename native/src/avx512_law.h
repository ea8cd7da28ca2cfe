// The law for AVX-512, in registers: shared by avx512vnni.cc and amxint8.cc.
#pragma once

#include <immintrin.h>

#include "steps.h"

namespace holdfast {
namespace {

#define UNROLL _Pragma("GCC unroll 32")
#define INLINE inline __attribute__((always_inline))

constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;

// What becomes of the sums of a tile: they are stored, or the narrow law makes them values, with or without a residual.
enum class End { kSums, kValues, kSmallResidual, kLargeResidual };

// The law on 16 sums whose law is narrow, still as int32 and not clamped: see Requant::narrow.
INLINE __m512i narrow_law(__m512i sums, __m512 ratio) {
  const __m512 value = _mm512_fmadd_round_ps(_mm512_cvtepi32_ps(sums), ratio, _mm512_set1_ps(0.5f), kDown);
  return _mm512_cvt_roundps_epi32(value, kDown);
}

// The same for sums that are lifted: see Conv::lift.
INLINE __m512i lifted_law(__m512i sums, __m512 ratio, __m512 lift) {
  return _mm512_cvt_roundps_epi32(_mm512_fmadd_round_ps(_mm512_castsi512_ps(sums), ratio, lift, kDown), kDown);
}

// The law on 16 sums, clamped. float64 holds every number of the law exactly.
INLINE __m512i wide_law(__m512i sums, const double* ratio, double low, double high) {
  __m256i halves[2] = {_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1)};
  UNROLL for (int i = 0; i < 2; ++i) {
    __m512d value = _mm512_fmadd_pd(_mm512_cvtepi32_pd(halves[i]), _mm512_loadu_pd(ratio + 8 * i), _mm512_set1_pd(0.5));
    value = _mm512_max_pd(_mm512_set1_pd(low), _mm512_min_pd(_mm512_set1_pd(high), value));
    halves[i] = _mm512_cvt_roundpd_epi32(value, kDown);
  }
  return _mm512_inserti64x4(_mm512_castsi256_si512(halves[0]), halves[1], 1);
}

// Four vectors of results as bytes, none above 127; lane i holds four bytes of each vector.
INLINE __m512i pack_four(__m512i a, __m512i b, __m512i c, __m512i d, __m512i low) {
  return _mm512_max_epi8(low, _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)));
}

INLINE __m512i pack_four(__m512i a, __m512i b, __m512i c, __m512i d, __m512i low, __m512i high) {
  return _mm512_min_epi8(high, pack_four(a, b, c, d, low));
}

// Bytes of pack_four, vector after vector.
INLINE __m512i in_order(__m512i bytes) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}

// sums + residual * factor, for one block.
template <End kEnd>
INLINE __m512i add_factored(__m512i sums, const std::int8_t* residual, __m512i factor) {
  const __m512i value = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(residual)));
  // A small factor is a pair (factor, 0) of 16-bit numbers, and the value a pair (value, its sign).
  if (kEnd == End::kSmallResidual) return _mm512_dpwssd_epi32(sums, value, factor);
  return _mm512_add_epi32(sums, _mm512_mullo_epi32(value, factor));
}

// The law on one block, whatever its range.
struct Avx512Law {
  static void requantise(const std::int32_t* sums, const Requant& law, std::int64_t channel, std::int8_t* out) {
    const __m512i values = wide_law(_mm512_loadu_si512(sums), law.wide_ratio + channel, law.low, law.high);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(values));
  }
};

}  // namespace
}  // namespace holdfast
