// Kernels for aarch64 with the dot product extension: sdot multiplies 4 outputs by 4 signed inputs.
#include <arm_neon.h>

#include "noise_steps.h"
#include "values.h"

namespace holdfast {
namespace {

#define UNROLL _Pragma("GCC unroll 32")
#define INLINE inline __attribute__((always_inline))

constexpr int kLongest = 6;
constexpr int kQuarters = 4;  // registers of a block

INLINE int8x16_t spread(const std::int8_t* four) {
  std::int32_t bytes;
  __builtin_memcpy(&bytes, four, sizeof bytes);
  return vreinterpretq_s8_s32(vdupq_n_s32(bytes));
}

template <int kPixels>
void dot(const DotCall& call) {
  int32x4_t sums[kPixels][kQuarters];
  UNROLL for (int q = 0; q < kQuarters; ++q) {
    const int32x4_t bias = vld1q_s32(call.bias + 4 * q);
    UNROLL for (int p = 0; p < kPixels; ++p) sums[p][q] = bias;
  }
  const std::int8_t *weights = call.weights, *first = call.in;
  const std::int32_t* const end = call.end;
  const std::ptrdiff_t stride = call.in_pixel;
  for (const std::int32_t* offset = call.offsets; offset < end; ++offset, weights += kBlock * kGroup) {
    const std::int8_t* in = first + *offset;
    int8x16_t weight[kQuarters];
    UNROLL for (int q = 0; q < kQuarters; ++q) weight[q] = vld1q_s8(weights + 16 * q);
    UNROLL for (int p = 0; p < kPixels; ++p, in += stride) {
      const int8x16_t four = spread(in);
      UNROLL for (int q = 0; q < kQuarters; ++q) sums[p][q] = vdotq_s32(sums[p][q], weight[q], four);
    }
  }
  UNROLL for (int p = 0; p < kPixels; ++p) UNROLL for (int q = 0; q < kQuarters; ++q)
      vst1q_s32(call.sums + p * kBlock + 4 * q, sums[p][q]);
}

// The law on 4 sums whose law is narrow, not clamped. The multiply-add rounds to nearest, so the floor may be one too
// large; then the exact value lies below it, and the second multiply-add has the sign of that difference.
INLINE int32x4_t narrow_law(int32x4_t sums, float32x4_t ratio) {
  const float32x4_t sum = vcvtq_f32_s32(sums), half = vdupq_n_f32(0.5f);
  const float32x4_t floor = vrndmq_f32(vfmaq_f32(half, sum, ratio));
  const float32x4_t rest = vfmaq_f32(vsubq_f32(half, floor), sum, ratio);
  return vaddq_s32(vcvtq_s32_f32(floor), vreinterpretq_s32_u32(vcltzq_f32(rest)));
}

// The law on 2 sums, clamped. float64 holds every number of the law exactly.
INLINE int32x2_t wide_law(int32x2_t sums, const double* ratio, const Requant& law) {
  const float64x2_t value = vrndmq_f64(vfmaq_f64(vdupq_n_f64(0.5), vcvtq_f64_s64(vmovl_s32(sums)), vld1q_f64(ratio)));
  const float64x2_t clamped = vmaxq_f64(vdupq_n_f64(law.low), vminq_f64(vdupq_n_f64(law.high), value));
  return vmovn_s64(vcvtq_s64_f64(clamped));
}

// 16 results as clamped bytes.
INLINE void store_values(const int32x4_t (&values)[kQuarters], const Requant& law, std::int8_t* out) {
  const int16x8_t low = vcombine_s16(vqmovn_s32(values[0]), vqmovn_s32(values[1]));
  const int16x8_t high = vcombine_s16(vqmovn_s32(values[2]), vqmovn_s32(values[3]));
  int8x16_t bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
  bytes = vmaxq_s8(vdupq_n_s8(static_cast<std::int8_t>(law.low)), bytes);
  vst1q_s8(out, vminq_s8(vdupq_n_s8(static_cast<std::int8_t>(law.high)), bytes));
}

struct Neon {
  static int longest_tile(int, const Conv&) { return kLongest; }

  static Dot dot(int pixels, int, const Conv&, std::ptrdiff_t) {
    static constexpr Dot dots[] = {holdfast::dot<1>, holdfast::dot<2>, holdfast::dot<3>,
                                   holdfast::dot<4>, holdfast::dot<5>, holdfast::dot<6>};
    return dots[pixels - 1];
  }

  static bool fuses(const Conv&) { return false; }

  static void requantise(const std::int32_t* sums, const Requant& law, std::int64_t channel, std::int8_t* out) {
    int32x4_t values[kQuarters];
    UNROLL for (int q = 0; q < kQuarters; ++q) {
      const int32x4_t four = vld1q_s32(sums + 4 * q);
      const double* wide = law.wide_ratio + channel + 4 * q;
      values[q] = law.narrow ? narrow_law(four, vld1q_f32(law.ratio + channel + 4 * q))
                             : vcombine_s32(wide_law(vget_low_s32(four), wide, law),
                                            wide_law(vget_high_s32(four), wide + 2, law));
    }
    store_values(values, law, out);
  }

  static void finish(const FinishCall& call) {
    if (!call.law->narrow) return finish_by_blocks<Neon>(call);
    for (std::int64_t p = 0; p < call.pixels; ++p)
      for (int b = 0; b < call.blocks; ++b) {
        int32x4_t values[kQuarters];
        UNROLL for (int q = 0; q < kQuarters; ++q) {
          values[q] = vld1q_s32(call.sums + (p * call.blocks + b) * kBlock + 4 * q);
          if (call.residual) {
            std::int32_t bytes;
            __builtin_memcpy(&bytes, call.residual + p * call.residual_pixel + b * kBlock + 4 * q, sizeof bytes);
            const int16x8_t words = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(bytes)));
            values[q] =
                vmlaq_s32(values[q], vmovl_s16(vget_low_s16(words)), vld1q_s32(call.factor + b * kBlock + 4 * q));
          }
          values[q] = narrow_law(values[q], vld1q_f32(call.law->ratio + call.channel + b * kBlock + 4 * q));
        }
        store_values(values, *call.law, call.out + p * call.out_pixel + b * kBlock);
      }
  }
};

int panel_blocks(std::int64_t, std::int64_t, bool) { return 1; }

INLINE int8x16_t pairs(int8x16_t a, int8x16_t b, bool upper) {
  const int16x8_t x = vreinterpretq_s16_s8(a), y = vreinterpretq_s16_s8(b);
  return vreinterpretq_s8_s16(upper ? vzip2q_s16(x, y) : vzip1q_s16(x, y));
}

// One block of channels at a time, four kernel positions in one step.
void depthwise(const Depthwise& conv, const ConvCall& call) {
  for (std::int64_t y = 0; y < call.height; ++y)
    for (std::int64_t x = 0; x < call.width; ++x)
      for (int b = 0; b < conv.blocks; ++b) {
        const std::int8_t* in = call.in + y * call.in_row + x * call.in_pixel + b * kBlock;
        int32x4_t quarter[kQuarters];
        UNROLL for (int q = 0; q < kQuarters; ++q) quarter[q] = vld1q_s32(conv.bias + b * kBlock + 4 * q);
        for (int t = 0; t < conv.positions; t += kGroup) {
          int8x16_t at[4];
          UNROLL for (int i = 0; i < 4; ++i) at[i] = vld1q_s8(in + conv.offsets[t + i]);
          const int8x16_t a = vzip1q_s8(at[0], at[1]), c = vzip1q_s8(at[2], at[3]);
          const int8x16_t e = vzip2q_s8(at[0], at[1]), g = vzip2q_s8(at[2], at[3]);
          const int8x16_t fours[kQuarters] = {pairs(a, c, false), pairs(a, c, true), pairs(e, g, false),
                                              pairs(e, g, true)};
          UNROLL for (int q = 0; q < kQuarters; ++q) {
            const std::int8_t* weights = conv.weights + depthwise_index(b * kBlock + 4 * q, t, conv.positions);
            quarter[q] = vdotq_s32(quarter[q], vld1q_s8(weights), fours[q]);
          }
        }
        alignas(64) std::int32_t sums[kBlock];
        UNROLL for (int q = 0; q < kQuarters; ++q) vst1q_s32(sums + 4 * q, quarter[q]);
        Neon::requantise(sums, conv.law, b * kBlock,
                         static_cast<std::int8_t*>(call.out) + y * call.out_row + x * call.out_pixel + b * kBlock);
      }
}

}  // namespace

const Kernels kNeon = {"neon",
                       false,
                       panel_blocks,
                       false,
                       0,
                       conv_rows<Neon>,
                       nullptr,
                       nullptr,
                       depthwise,
                       input_by_channels<Neon>,
                       add_values,
                       rescale_by_blocks<Neon>,
                       max_pool_by_blocks,
                       average_pool_by_blocks<Neon>,
                       noise_by_groups,
                       add_image_by_pixels,
                       shift_all_signs};

}  // namespace holdfast
