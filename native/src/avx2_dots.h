// Dot products for AVX2. vpmaddubsw multiplies unsigned by signed bytes and adds pairs into int16 with saturation.
// With inputs in [0, 127] and weights in [-127, 127] a pair is at most 2 * 127 * 127 = 32258, so nothing saturates.
// Signed inputs lend their sign to the weights: |a| * (sign(a) w). The pairs of a run of steps are added in int16, see
// runs.cc, before vpmaddwd makes them int32.
#pragma once

#include <immintrin.h>

#include "steps.h"

namespace holdfast {
namespace {

#define UNROLL _Pragma("GCC unroll 32")
#define INLINE inline __attribute__((always_inline))

// Pixels of a tile. Registers hold the pairs of a long run and the weights of a step; where runs are short, the sums
// and the weights of two steps.
constexpr int kLongest = 6, kLongestShort = 4;

INLINE __m256i spread(const std::int8_t* four) {
  std::int32_t bytes;
  __builtin_memcpy(&bytes, four, sizeof bytes);
  return _mm256_set1_epi32(bytes);
}

template <bool kSigned>
INLINE __m256i products(__m256i inputs, __m256i weights) {
  if (kSigned) return _mm256_maddubs_epi16(_mm256_abs_epi8(inputs), _mm256_sign_epi8(weights, inputs));
  return _mm256_maddubs_epi16(inputs, weights);
}

INLINE __m256i load_weights(const std::int8_t* weights) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(weights));
}

INLINE __m256i load_sums(const std::int32_t* sums) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums));
}

INLINE void store_sums(std::int32_t* to, __m256i sums) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), sums); }

// The first byte of every pixel. Each stays in a register of its own, which GCC would save at the cost of additions.
template <int kPixels>
INLINE void find_pixels(const DotCall& call, const std::int8_t* (&in)[kPixels]) {
  UNROLL for (int p = 0; p < kPixels; ++p) {
    in[p] = call.in + p * call.in_pixel;
    __asm__("" : "+r"(in[p]));
  }
}

// sums += products in int16. Left to itself GCC loads the inputs of all pixels first, and moves or spills the sums.
INLINE void accumulate(__m256i& sums, __m256i products) {
  __asm__ volatile("vpaddw %1, %0, %0" : "+x"(sums) : "x"(products) : "memory");
}

// The products of one step, added to those of the run so far.
template <int kPixels, bool kSigned, bool kFirst>
INLINE void step(__m256i (&pairs)[kPixels][2], const std::int8_t* const (&in)[kPixels], std::ptrdiff_t offset,
                 const std::int8_t* weights) {
  const __m256i low = load_weights(weights), high = load_weights(weights + 32);
  UNROLL for (int p = 0; p < kPixels; ++p) {
    const __m256i four = spread(in[p] + offset);
    const __m256i lower = products<kSigned>(four, low), upper = products<kSigned>(four, high);
    if (kFirst) {
      pairs[p][0] = lower, pairs[p][1] = upper;
      __asm__ volatile("" : "+x"(pairs[p][0]), "+x"(pairs[p][1]) : : "memory");
    } else {
      accumulate(pairs[p][0], lower);
      accumulate(pairs[p][1], upper);
    }
  }
}

// The sums are in memory and are read and written once in a run.
template <int kPixels, bool kSigned>
void long_dot(const DotCall& call) {
  const __m256i ones = _mm256_set1_epi16(1);
  std::int32_t* const sums = call.sums;
  UNROLL for (int half = 0; half < 2; ++half) {
    const __m256i bias = load_sums(call.bias + 8 * half);
    UNROLL for (int p = 0; p < kPixels; ++p) store_sums(sums + p * kBlock + 8 * half, bias);
  }
  const std::int8_t *weights = call.weights, *in[kPixels];
  find_pixels(call, in);
  const std::uint8_t* run = call.runs;
  const std::int32_t *offset = call.offsets, *const end = call.end;
  while (offset < end) {
    const std::ptrdiff_t steps = *run;
    run += steps, offset += steps;
    __m256i pairs[kPixels][2];
    step<kPixels, kSigned, true>(pairs, in, offset[-steps], weights);
    weights += kBlock * kGroup;
    for (std::ptrdiff_t left = 1 - steps; left; ++left) {
      step<kPixels, kSigned, false>(pairs, in, offset[left], weights);
      weights += kBlock * kGroup;
    }
    UNROLL for (int p = 0; p < kPixels; ++p) UNROLL for (int half = 0; half < 2; ++half) {
      std::int32_t* const sum = sums + p * kBlock + 8 * half;
      store_sums(sum, _mm256_add_epi32(load_sums(sum), _mm256_madd_epi16(pairs[p][half], ones)));
    }
  }
}

// Adds the products of one step to sums that stay in registers.
template <int kPixels, bool kSigned>
INLINE void one_step(__m256i (&sums)[kPixels][2], const std::int8_t* const (&in)[kPixels], const std::int32_t* offset,
                     const std::int8_t* weights, __m256i ones) {
  const __m256i low = load_weights(weights), high = load_weights(weights + 32);
  UNROLL for (int p = 0; p < kPixels; ++p) {
    const __m256i four = spread(in[p] + *offset);
    sums[p][0] = _mm256_add_epi32(sums[p][0], _mm256_madd_epi16(products<kSigned>(four, low), ones));
    sums[p][1] = _mm256_add_epi32(sums[p][1], _mm256_madd_epi16(products<kSigned>(four, high), ones));
  }
}

// The same for a run of two.
template <int kPixels, bool kSigned>
INLINE void two_steps(__m256i (&sums)[kPixels][2], const std::int8_t* const (&in)[kPixels], const std::int32_t* offset,
                      const std::int8_t* weights, __m256i ones) {
  const __m256i low = load_weights(weights), high = load_weights(weights + 32);
  const __m256i next_low = load_weights(weights + 64), next_high = load_weights(weights + 96);
  UNROLL for (int p = 0; p < kPixels; ++p) {
    const __m256i a = spread(in[p] + offset[0]), b = spread(in[p] + offset[1]);
    const __m256i lower = _mm256_add_epi16(products<kSigned>(a, low), products<kSigned>(b, next_low));
    const __m256i upper = _mm256_add_epi16(products<kSigned>(a, high), products<kSigned>(b, next_high));
    sums[p][0] = _mm256_add_epi32(sums[p][0], _mm256_madd_epi16(lower, ones));
    sums[p][1] = _mm256_add_epi32(sums[p][1], _mm256_madd_epi16(upper, ones));
  }
}

// Where runs are short.
template <int kPixels, bool kSigned>
void short_dot(const DotCall& call) {
  __m256i sums[kPixels][2];
  UNROLL for (int half = 0; half < 2; ++half) {
    const __m256i bias = load_sums(call.bias + 8 * half);
    UNROLL for (int p = 0; p < kPixels; ++p) sums[p][half] = bias;
  }
  const __m256i ones = _mm256_set1_epi16(1);
  const std::int8_t *weights = call.weights, *in[kPixels];
  find_pixels(call, in);
  const std::uint8_t* run = call.runs;
  const std::int32_t *offset = call.offsets, *const end = call.end;
  while (offset < end) {
    if (*run == 2) {
      two_steps<kPixels, kSigned>(sums, in, offset, weights, ones);
      run += 2, offset += 2, weights += 2 * kBlock * kGroup;
    } else {
      one_step<kPixels, kSigned>(sums, in, offset, weights, ones);
      ++run, ++offset, weights += kBlock * kGroup;
    }
  }
  UNROLL for (int p = 0; p < kPixels; ++p) UNROLL for (int half = 0; half < 2; ++half)
      store_sums(call.sums + p * kBlock + 8 * half, sums[p][half]);
}

template <bool kSigned>
Dot choose(int pixels, bool short_runs) {
  static constexpr Dot short_dots[] = {short_dot<1, kSigned>, short_dot<2, kSigned>, short_dot<3, kSigned>,
                                       short_dot<4, kSigned>};
  static constexpr Dot long_dots[] = {long_dot<1, kSigned>, long_dot<2, kSigned>, long_dot<3, kSigned>,
                                      long_dot<4, kSigned>, long_dot<5, kSigned>, long_dot<6, kSigned>};
  return (short_runs ? short_dots : long_dots)[pixels - 1];
}

}  // namespace
}  // namespace holdfast
