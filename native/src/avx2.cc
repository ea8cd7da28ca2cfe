// Kernels for AVX2 with FMA: the law, and what else runs on it.
#include "avx2_dots.h"
#include "noise_steps.h"
#include "values.h"

namespace holdfast {
namespace {

// The law on 8 sums whose law is narrow, not clamped. The multiply-add rounds to nearest, so the floor may be one too
// large; then the exact value lies below it, and the second multiply-add has the sign of that difference.
INLINE __m256i narrow_law(__m256i sums, __m256 ratio) {
  const __m256 sum = _mm256_cvtepi32_ps(sums), half = _mm256_set1_ps(0.5f);
  const __m256 floor = _mm256_floor_ps(_mm256_fmadd_ps(sum, ratio, half));
  const __m256 rest = _mm256_fmadd_ps(sum, ratio, _mm256_sub_ps(half, floor));
  const __m256i below = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_setzero_ps(), _CMP_LT_OQ));
  return _mm256_add_epi32(_mm256_cvttps_epi32(floor), below);
}

// The same where floats are rounded down: the floor of the exact value, see Requant::narrow.
INLINE __m256i rounded_down_law(__m256i sums, __m256 ratio) {
  return _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), ratio, _mm256_set1_ps(0.5f)));
}

// While it lives, floats are rounded down. Functions that rely on it are not inlined, so that nothing moves out of it.
class RoundingDown {
 public:
  RoundingDown() : before_(_mm_getcsr()) { _mm_setcsr((before_ & ~_MM_ROUND_MASK) | _MM_ROUND_DOWN); }
  RoundingDown(const RoundingDown&) = delete;
  RoundingDown& operator=(const RoundingDown&) = delete;
  ~RoundingDown() { _mm_setcsr(before_); }

 private:
  unsigned before_;
};

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

// A residual with factors below 2^15, with larger ones, or none.
enum class Added { kNothing, kSmall, kLarge };

// 8 sums of a block with the residual added.
template <Added kAdded>
INLINE __m256i whole_sums(const FinishCall& call, std::int64_t pixel, int from) {
  const __m256i sums = load_sums(call.sums + pixel * call.blocks * kBlock + from);
  if (kAdded == Added::kNothing) return sums;
  const auto* residual = reinterpret_cast<const __m128i*>(call.residual + pixel * call.residual_pixel + from);
  const __m256i added = _mm256_cvtepi8_epi32(_mm_loadl_epi64(residual)), factor = load_sums(call.factor + from);
  return _mm256_add_epi32(
      sums, kAdded == Added::kSmall ? _mm256_madd_epi16(added, factor) : _mm256_mullo_epi32(added, factor));
}

// Where floats are rounded down.
template <Added kAdded, bool kNarrow>
__attribute__((noinline)) void finish_all(const FinishCall& call) {
  for (int from = 0; from < call.blocks * kBlock; from += kBlock) {
    const float* const narrow = call.law->ratio + call.channel + from;
    const double* const wide = call.law->wide_ratio + call.channel + from;
    const __m256 ratio[2] = {_mm256_loadu_ps(narrow), _mm256_loadu_ps(narrow + 8)};
    for (std::int64_t p = 0; p < call.pixels; ++p) {
      __m256i values[2];
      UNROLL for (int half = 0; half < 2; ++half) {
        const __m256i sums = whole_sums<kAdded>(call, p, from + 8 * half);
        if (kNarrow)
          values[half] = rounded_down_law(sums, ratio[half]);
        else
          values[half] = _mm256_set_m128i(
              wide_law(_mm256_extracti128_si256(sums, 1), wide + 8 * half + 4, *call.law),
              wide_law(_mm256_castsi256_si128(sums), wide + 8 * half, *call.law));
      }
      store_values(values[0], values[1], *call.law, call.out + p * call.out_pixel + from);
    }
  }
}

template <bool kNarrow>
void finish_with(const FinishCall& call) {
  if (!call.residual) return finish_all<Added::kNothing, kNarrow>(call);
  call.small_factor ? finish_all<Added::kSmall, kNarrow>(call) : finish_all<Added::kLarge, kNarrow>(call);
}

struct Avx2 {
  static int longest_tile(int, const Conv& conv) { return conv.short_runs ? kLongestShort : kLongest; }

  static Dot dot(int pixels, int, const Conv& conv, std::ptrdiff_t) {
    return conv.signed_input ? choose<true>(pixels, conv.short_runs) : choose<false>(pixels, conv.short_runs);
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
    call.law->narrow ? finish_with<true>(call) : finish_with<false>(call);
  }
};

void conv(const Conv& conv, const ConvCall& call) {
  const RoundingDown rounding;
  conv_rows<Avx2>(conv, call);
}

int panel_blocks(std::int64_t, std::int64_t, bool) { return 1; }

constexpr double kLongRuns = 2.5;  // measured on Sapphire Rapids

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
                       kLongRuns,
                       conv,
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
