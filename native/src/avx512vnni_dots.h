// Dot products for AVX-512 with VNNI: tiles of pixels and blocks of outputs whose sums stay in registers, and the law
// on them. Included by avx512vnni.cc alone.
#pragma once

#include <utility>

#include "avx512_law.h"

namespace holdfast {
namespace {

// Four channels of a pixel, for all 16 outputs.
INLINE __m512i spread(const std::int8_t* four) {
  std::int32_t bytes;
  __builtin_memcpy(&bytes, four, sizeof bytes);
  return _mm512_set1_epi32(bytes);
}

// sums += inputs * weights, in place. As an instruction and not as an intrinsic, because GCC then moves no sum from one
// register to another.
INLINE void add_dot(__m512i& sums, __m512i inputs, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(inputs), "v"(weights));
}

// Addresses of pixels at a stride: one register for all if the stride is known, else one for every three pixels, so
// that the stride is a factor of 0, 1 or 2.
template <int kPixels, int kStride>
struct Pixels {
  const std::int8_t* first;
  INLINE Pixels(const std::int8_t* first, std::ptrdiff_t) : first(first) {}
  INLINE const std::int8_t* operator[](int pixel) const { return first + pixel * kStride; }
};

template <int kPixels>
struct Pixels<kPixels, 0> {
  const std::int8_t* third[(kPixels + 2) / 3];
  std::ptrdiff_t stride;
  INLINE Pixels(const std::int8_t* first, std::ptrdiff_t stride) : stride(stride) {
    UNROLL for (int i = 0; i < (kPixels + 2) / 3; ++i) third[i] = i == 0 ? first : third[i - 1] + 3 * stride;
  }
  INLINE const std::int8_t* operator[](int pixel) const { return third[pixel / 3] + pixel % 3 * stride; }
};

// The law at the end of a tile, block by block of outputs.
template <int kPixels, int kBlocks, End kEnd>
class Finish {
 public:
  explicit INLINE Finish(const DotCall& call)
      : out_(call.out),
        stride_(call.out_pixel),
        residual_(call.residual),
        residual_stride_(call.residual_pixel),
        low_(_mm512_set1_epi8(static_cast<char>(call.low))),
        high_(_mm512_set1_epi8(static_cast<char>(call.high))) {}

  INLINE void block(const DotCall& call, const __m512i (&sums)[kPixels][kBlocks], int b) const {
    const __m512 ratio = _mm512_loadu_ps(call.ratio + b * kBlock);
    const __m512i factor = kEnd == End::kValues ? _mm512_setzero_si512() : _mm512_loadu_si512(call.factor + b * kBlock);
    UNROLL for (int p = 0; p < kPixels; p += 4) {
      __m512i values[4];
      UNROLL for (int i = 0; i < 4; ++i) values[i] =
          p + i < kPixels ? narrow_law(with_residual(sums[p + i][b], p + i, b, factor), ratio) : values[i - 1];
      store(in_order(pack_four(values[0], values[1], values[2], values[3], low_, high_)), p, b);
    }
  }

 private:
  INLINE __m512i with_residual(__m512i sums, int pixel, int b, __m512i factor) const {
    if (kEnd == End::kValues) return sums;
    return add_factored<kEnd>(sums, residual_ + pixel * residual_stride_ + b * kBlock, factor);
  }

  template <int kLane>
  INLINE void store_lane(__m512i blocks, std::int8_t* out) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_extracti32x4_epi32(blocks, kLane));
  }

  INLINE void store(__m512i blocks, int p, int b) const {
    std::int8_t* out = out_ + p * stride_ + b * kBlock;
    if (p + 4 <= kPixels && stride_ == kBlock) {
      _mm512_storeu_si512(out, blocks);
      return;
    }
    store_lane<0>(blocks, out);
    if (p + 1 < kPixels) store_lane<1>(blocks, out + stride_);
    if (p + 2 < kPixels) store_lane<2>(blocks, out + 2 * stride_);
    if (p + 3 < kPixels) store_lane<3>(blocks, out + 3 * stride_);
  }

  std::int8_t* out_;
  std::ptrdiff_t stride_;
  const std::int8_t* residual_;
  std::ptrdiff_t residual_stride_;
  __m512i low_, high_;
};

template <int kPixels, int kBlocks, End kEnd>
INLINE void end_tile(const DotCall& call, const __m512i (&sums)[kPixels][kBlocks]) {
  if (kEnd == End::kSums) {
    std::int32_t* out = call.sums;
    UNROLL for (int p = 0; p < kPixels; ++p) UNROLL for (int b = 0; b < kBlocks; ++b)
        _mm512_store_si512(out + (p * kBlocks + b) * kBlock, sums[p][b]);
  } else {
    const Finish<kPixels, kBlocks, kEnd> finish(call);
    UNROLL for (int b = 0; b < kBlocks; ++b) finish.block(call, sums, b);
  }
}

template <int kPixels, int kBlocks>
INLINE void begin_tile(const DotCall& call, __m512i (&sums)[kPixels][kBlocks]) {
  UNROLL for (int b = 0; b < kBlocks; ++b) {
    const __m512i bias = _mm512_loadu_si512(call.bias + b * kBlock);
    UNROLL for (int p = 0; p < kPixels; ++p) sums[p][b] = bias;
  }
}

// Every step: four channels at one kernel position.
template <int kPixels, int kBlocks, End kEnd>
void dot_plain(const DotCall& call) {
  __m512i sums[kPixels][kBlocks];
  begin_tile(call, sums);
  const std::int8_t *weights = call.weights, *first = call.in;
  const std::int32_t* const end = call.end;
  const std::ptrdiff_t stride = call.in_pixel;
  for (const std::int32_t* offset = call.offsets; offset < end; ++offset, weights += 64 * kBlocks) {
    const Pixels<kPixels, 0> in(first + *offset, stride);
    __m512i weight[kBlocks];
    UNROLL for (int b = 0; b < kBlocks; ++b) weight[b] = _mm512_loadu_si512(weights + 64 * b);
    UNROLL for (int p = 0; p < kPixels; ++p) {
      const __m512i four = spread(in[p]);
      UNROLL for (int b = 0; b < kBlocks; ++b) add_dot(sums[p][b], four, weight[b]);
    }
  }
  end_tile<kPixels, kBlocks, kEnd>(call, sums);
}

// Every step: four channels in all three columns of a kernel row; each pixel is read once for the windows it is in.
template <int kPixels, int kBlocks, End kEnd, int kStride>
void dot_shared(const DotCall& call) {
  __m512i sums[kPixels][kBlocks];
  begin_tile(call, sums);
  const std::int8_t *weights = call.weights, *first = call.in;
  const std::int32_t* const end = call.end;
  const std::ptrdiff_t stride = call.in_pixel;
  const bool left = !call.skip_left, right = !call.skip_right;
  for (const std::int32_t* offset = call.offsets; offset < end; ++offset, weights += 3 * 64 * kBlocks) {
    const Pixels<kPixels + 2, kStride> in(first + *offset, stride);
    __m512i weight[3][kBlocks];
    UNROLL for (int j = 0; j < 3; ++j) UNROLL for (int b = 0; b < kBlocks; ++b) weight[j][b] =
        _mm512_loadu_si512(weights + 64 * (j * kBlocks + b));
    // Every third pixel first, so that no sum is needed again at once.
    UNROLL for (int third = 0; third < 3; ++third) UNROLL for (int x = third; x < kPixels + 2; x += 3) {
      if ((x == 0 && !left) || (x == kPixels + 1 && !right)) continue;
      const __m512i four = spread(in[x]);
      UNROLL for (int j = 0; j < 3; ++j) if (x - j >= 0 && x - j < kPixels) UNROLL for (int b = 0; b < kBlocks; ++b)
          add_dot(sums[x - j][b], four, weight[j][b]);
    }
  }
  end_tile<kPixels, kBlocks, kEnd>(call, sums);
}

// As many pixels as leave registers for the weights and the inputs.
constexpr int kLongestPlain[kMaxBlocks + 1] = {0, 24, 12, 8, 6}, kLongestShared[kMaxBlocks + 1] = {0, 24, 10, 0, 0};

template <int kBlocks, End kEnd, int... kIndex>
Dot plain(int pixels, std::integer_sequence<int, kIndex...>) {
  static constexpr Dot dots[] = {dot_plain<kIndex + 1, kBlocks, kEnd>...};
  return dots[pixels - 1];
}

template <int kBlocks, End kEnd, int kStride, int... kIndex>
Dot shared(int pixels, std::integer_sequence<int, kIndex...>) {
  static constexpr Dot dots[] = {dot_shared<kIndex + 1, kBlocks, kEnd, kStride>...};
  return dots[pixels - 1];
}

// Values of one block of channels are the most frequent ones at which registers for addresses are worth saving.
template <int kBlocks, End kEnd>
Dot shared(int pixels, std::ptrdiff_t stride) {
  constexpr auto sizes = std::make_integer_sequence<int, kLongestShared[kBlocks]>();
  return kBlocks == 1 && stride == kBlock ? shared<kBlocks, kEnd, kBlock>(pixels, sizes)
                                          : shared<kBlocks, kEnd, 0>(pixels, sizes);
}

template <int kBlocks, End kEnd>
Dot plain(int pixels) {
  return plain<kBlocks, kEnd>(pixels, std::make_integer_sequence<int, kLongestPlain[kBlocks]>());
}

// The function for tiles of so many pixels at a stride, and so many blocks of outputs.
template <End kEnd>
Dot choose(int pixels, int blocks, bool share, std::ptrdiff_t stride) {
  if (share) return blocks == 1 ? shared<1, kEnd>(pixels, stride) : shared<2, kEnd>(pixels, stride);
  return blocks == 1   ? plain<1, kEnd>(pixels)
         : blocks == 2 ? plain<2, kEnd>(pixels)
         : blocks == 3 ? plain<3, kEnd>(pixels)
                       : plain<4, kEnd>(pixels);
}

}  // namespace
}  // namespace holdfast
