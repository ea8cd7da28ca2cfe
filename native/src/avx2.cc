// Kernels for AVX2 with FMA. vpmaddubsw multiplies unsigned by signed bytes and adds pairs into int16 with saturation.
// With inputs in [0, 127] and weights in [-127, 127] a pair is at most 2 * 127 * 127 = 32258, so nothing saturates.
// Signed inputs lend their sign to the weights: |a| * (sign(a) w).
#include <immintrin.h>

#include "noise_steps.h"
#include "values.h"

namespace holdfast {
namespace {

#define UNROLL _Pragma("GCC unroll 32")
#define INLINE inline __attribute__((always_inline))

constexpr int kLongest = 4;  // pixels: as many as leave registers for the weights of two steps

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

template <int kPixels, bool kSigned>
INLINE void one_step(__m256i (&sums)[kPixels][2], const std::int8_t* in, std::ptrdiff_t stride,
                     const std::int8_t* weights, __m256i ones) {
  const __m256i low = load_weights(weights), high = load_weights(weights + 32);
  UNROLL for (int p = 0; p < kPixels; ++p, in += stride) {
    const __m256i four = spread(in);
    sums[p][0] = _mm256_add_epi32(sums[p][0], _mm256_madd_epi16(products<kSigned>(four, low), ones));
    sums[p][1] = _mm256_add_epi32(sums[p][1], _mm256_madd_epi16(products<kSigned>(four, high), ones));
  }
}

// Two steps whose products are added in int16.
template <int kPixels, bool kSigned>
INLINE void mild_steps(__m256i (&sums)[kPixels][2], const std::int8_t* first, const std::int8_t* second,
                       std::ptrdiff_t stride, const std::int8_t* weights, __m256i ones) {
  const __m256i low = load_weights(weights), high = load_weights(weights + 32);
  const __m256i next_low = load_weights(weights + 64), next_high = load_weights(weights + 96);
  UNROLL for (int p = 0; p < kPixels; ++p, first += stride, second += stride) {
    const __m256i a = spread(first), b = spread(second);
    const __m256i lower = _mm256_add_epi16(products<kSigned>(a, low), products<kSigned>(b, next_low));
    const __m256i upper = _mm256_add_epi16(products<kSigned>(a, high), products<kSigned>(b, next_high));
    sums[p][0] = _mm256_add_epi32(sums[p][0], _mm256_madd_epi16(lower, ones));
    sums[p][1] = _mm256_add_epi32(sums[p][1], _mm256_madd_epi16(upper, ones));
  }
}

template <int kPixels, bool kSigned>
void dot(const DotCall& call) {
  __m256i sums[kPixels][2];
  UNROLL for (int half = 0; half < 2; ++half) {
    const __m256i bias = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(call.bias + 8 * half));
    UNROLL for (int p = 0; p < kPixels; ++p) sums[p][half] = bias;
  }
  const __m256i ones = _mm256_set1_epi16(1);
  const std::int8_t *weights = call.weights, *first = call.in;
  const std::uint8_t* mild = call.mild;
  const std::int32_t *offset = call.offsets, *const end = call.end;
  const std::ptrdiff_t stride = call.in_pixel;
  for (; offset + 1 < end; offset += 2, mild += 2, weights += 2 * kBlock * kGroup) {
    if (*mild) {
      mild_steps<kPixels, kSigned>(sums, first + offset[0], first + offset[1], stride, weights, ones);
    } else {
      one_step<kPixels, kSigned>(sums, first + offset[0], stride, weights, ones);
      one_step<kPixels, kSigned>(sums, first + offset[1], stride, weights + kBlock * kGroup, ones);
    }
  }
  if (offset < end) one_step<kPixels, kSigned>(sums, first + *offset, stride, weights, ones);
  UNROLL for (int p = 0; p < kPixels; ++p) UNROLL for (int half = 0; half < 2; ++half)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(call.sums + p * kBlock + 8 * half), sums[p][half]);
}

// The law on 8 sums whose law is narrow, not clamped. The multiply-add rounds to nearest, so the floor may be one too
// large; then the exact value lies below it, and the second multiply-add has the sign of that difference.
INLINE __m256i narrow_law(__m256i sums, __m256 ratio) {
  const __m256 sum = _mm256_cvtepi32_ps(sums), half = _mm256_set1_ps(0.5f);
  const __m256 floor = _mm256_floor_ps(_mm256_fmadd_ps(sum, ratio, half));
  const __m256 rest = _mm256_fmadd_ps(sum, ratio, _mm256_sub_ps(half, floor));
  const __m256i below = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_setzero_ps(), _CMP_LT_OQ));
  return _mm256_add_epi32(_mm256_cvttps_epi32(floor), below);
}

// The law on 4 sums, clamped. float64 holds every number of the law exactly.
INLINE __m128i wide_law(__m128i sums, const double* ratio, const Requant& law) {
  __m256d value = _mm256_fmadd_pd(_mm256_cvtepi32_pd(sums), _mm256_loadu_pd(ratio), _mm256_set1_pd(0.5));
  value = _mm256_max_pd(_mm256_set1_pd(law.low), _mm256_min_pd(_mm256_set1_pd(law.high), _mm256_floor_pd(value)));
  return _mm256_cvttpd_epi32(value);
}

// 16 results as clamped bytes.
INLINE void store_values(__m256i a, __m256i b, const Requant& law, std::int8_t* out) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
  __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  bytes = _mm_max_epi8(_mm_set1_epi8(static_cast<char>(law.low)), bytes);
  bytes = _mm_min_epi8(_mm_set1_epi8(static_cast<char>(law.high)), bytes);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
}

INLINE __m256i load_sums(const std::int32_t* sums) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums));
}

struct Avx2 {
  static int longest_tile(int, bool) { return kLongest; }

  static Dot dot(int pixels, int, const Conv& conv, std::ptrdiff_t) {
    static constexpr Dot positive[] = {holdfast::dot<1, false>, holdfast::dot<2, false>, holdfast::dot<3, false>,
                                       holdfast::dot<4, false>};
    static constexpr Dot any[] = {holdfast::dot<1, true>, holdfast::dot<2, true>, holdfast::dot<3, true>,
                                  holdfast::dot<4, true>};
    return (conv.signed_input ? any : positive)[pixels - 1];
  }

  static bool fuses(const Conv&) { return false; }

  static void requantise(const std::int32_t* sums, const Requant& law, std::int64_t channel, std::int8_t* out) {
    if (law.narrow) {
      const __m256i a = narrow_law(load_sums(sums), _mm256_loadu_ps(law.ratio + channel));
      const __m256i b = narrow_law(load_sums(sums + 8), _mm256_loadu_ps(law.ratio + channel + 8));
      return store_values(a, b, law, out);
    }
    __m128i values[4];
    UNROLL for (int i = 0; i < 4; ++i) values[i] = wide_law(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(sums + 4 * i)), law.wide_ratio + channel + 4 * i, law);
    store_values(_mm256_set_m128i(values[1], values[0]), _mm256_set_m128i(values[3], values[2]), law, out);
  }

  static void finish(const FinishCall& call) {
    if (!call.law->narrow) return finish_by_blocks<Avx2>(call);
    for (int b = 0; b < call.blocks; ++b) {
      const __m256 ratio[2] = {_mm256_loadu_ps(call.law->ratio + call.channel + b * kBlock),
                               _mm256_loadu_ps(call.law->ratio + call.channel + b * kBlock + 8)};
      for (std::int64_t p = 0; p < call.pixels; ++p) {
        __m256i values[2];
        UNROLL for (int half = 0; half < 2; ++half) {
          values[half] = load_sums(call.sums + (p * call.blocks + b) * kBlock + 8 * half);
          if (call.residual) {
            const std::int8_t* residual = call.residual + p * call.residual_pixel + b * kBlock + 8 * half;
            const __m256i added = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(residual)));
            values[half] = _mm256_add_epi32(values[half],
                                            _mm256_mullo_epi32(added, load_sums(call.factor + b * kBlock + 8 * half)));
          }
          values[half] = narrow_law(values[half], ratio[half]);
        }
        store_values(values[0], values[1], *call.law, call.out + p * call.out_pixel + b * kBlock);
      }
    }
  }
};

int panel_blocks(std::int64_t, std::int64_t, bool) { return 1; }

// One block of channels at a time, four kernel positions in one step.
void depthwise(const Depthwise& conv, const ConvCall& call) {
  const __m128i ones = _mm_set1_epi16(1);
  for (std::int64_t y = 0; y < call.height; ++y)
    for (std::int64_t x = 0; x < call.width; ++x)
      for (int b = 0; b < conv.blocks; ++b) {
        const std::int8_t* in = call.in + y * call.in_row + x * call.in_pixel + b * kBlock;
        alignas(64) std::int32_t sums[kBlock];
        __m128i quarter[4];
        UNROLL for (int q = 0; q < 4; ++q) quarter[q] =
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(conv.bias + b * kBlock + 4 * q));
        for (int t = 0; t < conv.positions; t += kGroup) {
          __m128i at[4];
          UNROLL for (int i = 0; i < 4; ++i) at[i] =
              _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + conv.offsets[t + i]));
          const __m128i a = _mm_unpacklo_epi8(at[0], at[1]), c = _mm_unpacklo_epi8(at[2], at[3]);
          const __m128i e = _mm_unpackhi_epi8(at[0], at[1]), g = _mm_unpackhi_epi8(at[2], at[3]);
          const __m128i fours[4] = {_mm_unpacklo_epi16(a, c), _mm_unpackhi_epi16(a, c), _mm_unpacklo_epi16(e, g),
                                    _mm_unpackhi_epi16(e, g)};
          UNROLL for (int q = 0; q < 4; ++q) {
            const std::int8_t* from = conv.weights + depthwise_index(b * kBlock + 4 * q, t, conv.positions);
            const __m128i weights = _mm_load_si128(reinterpret_cast<const __m128i*>(from));
            const __m128i pairs = _mm_maddubs_epi16(_mm_abs_epi8(fours[q]), _mm_sign_epi8(weights, fours[q]));
            quarter[q] = _mm_add_epi32(quarter[q], _mm_madd_epi16(pairs, ones));
          }
        }
        UNROLL for (int q = 0; q < 4; ++q) _mm_store_si128(reinterpret_cast<__m128i*>(sums + 4 * q), quarter[q]);
        Avx2::requantise(sums, conv.law, b * kBlock,
                         static_cast<std::int8_t*>(call.out) + y * call.out_row + x * call.out_pixel + b * kBlock);
      }
}

}  // namespace

const Kernels kAvx2 = {"avx2",
                       false,
                       panel_blocks,
                       false,
                       true,
                       conv_rows<Avx2>,
                       nullptr,
                       nullptr,
                       depthwise,
                       input_by_channels<Avx2>,
                       add_values,
                       rescale_by_blocks<Avx2>,
                       max_pool_by_blocks,
                       average_pool_by_blocks<Avx2>,
                       noise_by_groups,
                       add_image_by_pixels,
                       shift_all_signs};

}  // namespace holdfast
