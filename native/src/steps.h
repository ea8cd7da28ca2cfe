// Convolutions row by row and tile by tile, written once and compiled for every instruction set.
//
// An instruction set gives a class Isa with
//   static void requantise(const std::int32_t* sums, const Requant& law, std::int64_t channel, std::int8_t* out);
//     the law on one block of sums, channels channel .. channel + 15
//   static int longest_tile(int blocks, const Conv& conv);
//   static Dot dot(int pixels, int blocks, const Conv& conv, std::ptrdiff_t stride);
//     the function for tiles of so many pixels at this distance, at most longest_tile
//   static bool fuses(const Conv& conv);
//     whether that function applies the law and stores the values, or leaves sums
//   static void finish(const FinishCall& call);
// Everything here has internal linkage: see kernels.h.
#pragma once

#include "kernels.h"

namespace holdfast {
namespace {

constexpr std::int64_t kSegment = 64;  // pixels whose sums are kept before they are requantised

// Dot products of some pixels of a row with one panel.
struct DotCall {
  std::int32_t* sums;  // [pixel][block][16]; null where the law is fused
  const std::int8_t* in;
  std::ptrdiff_t in_pixel;
  const std::int32_t *offsets, *end;  // of the steps
  const std::int8_t* weights;
  const std::uint8_t* runs;  // of the steps, or null
  const std::int32_t* bias;
  bool signed_input, skip_left, skip_right;
  // Where the law is fused: as in FinishCall, for the same pixels.
  std::int8_t* out;
  std::ptrdiff_t out_pixel;
  const std::int8_t* residual;
  std::ptrdiff_t residual_pixel;
  const std::int32_t* factor;
  const float* ratio;
  std::int32_t low, high;
};

using Dot = void (*)(const DotCall& call);

// Sums of some pixels of a row become values.
struct FinishCall {
  const std::int32_t* sums;
  std::int64_t pixels;
  int blocks;
  std::int64_t channel;  // of the first sum
  std::int8_t* out;
  std::ptrdiff_t out_pixel;
  const std::int8_t* residual;
  std::ptrdiff_t residual_pixel;
  const std::int32_t* factor;
  bool small_factor;
  const Requant* law;
};

template <class T>
inline T smaller(T a, T b) {
  return a < b ? a : b;
}

// The part of a window that lies inside the value: kernel positions first .. end-1 along one side.
struct Inside {
  std::int64_t start, first, end;
  Inside(const Side& side, std::int64_t window)
      : start(window * side.stride - side.padding), first(0), end(side.kernel) {
    if (start < 0) first = (side.dilation - 1 - start) / side.dilation;
    if (side.size - start <= (side.kernel - 1) * side.dilation)
      end = start >= side.size ? 0 : (side.size - start + side.dilation - 1) / side.dilation;
    if (first > end) first = end;
  }
};

inline void store_raw(const FinishCall& call, std::int32_t* out) {
  for (std::int64_t p = 0; p < call.pixels; ++p)
    for (int i = 0; i < call.blocks * kBlock; ++i) {
      std::int32_t sum = call.sums[p * call.blocks * kBlock + i];
      if (call.residual) sum += call.residual[p * call.residual_pixel + i] * call.factor[i];
      out[p * call.out_pixel + i] = sum;
    }
}

// Adds the residual to the sums of one pixel's block, the readable way.
inline void add_residual(std::int32_t* sums, const std::int8_t* residual, const std::int32_t* factor) {
  for (int i = 0; i < kBlock; ++i) sums[i] += residual[i] * factor[i];
}

template <class Isa>
void finish_by_blocks(const FinishCall& call) {
  for (std::int64_t p = 0; p < call.pixels; ++p)
    for (int b = 0; b < call.blocks; ++b) {
      alignas(64) std::int32_t sums[kBlock];
      for (int i = 0; i < kBlock; ++i) sums[i] = call.sums[(p * call.blocks + b) * kBlock + i];
      if (call.residual)
        add_residual(sums, call.residual + p * call.residual_pixel + b * kBlock, call.factor + b * kBlock);
      Isa::requantise(sums, *call.law, call.channel + b * kBlock, call.out + p * call.out_pixel + b * kBlock);
    }
}

// What is the same for all rows of one panel.
template <class Isa>
struct PanelRun {
  const Conv& conv;
  ConvCall call;  // of the image that is computed now
  const Panel& panel;
  std::int64_t tiles, size, larger;  // a row is cut into tiles of size pixels, the first ones larger by one
  Dot dots[2];
  std::ptrdiff_t step_bytes;
  int channel, width;  // the panel's first output, and how many outputs it has
  bool fused;

  PanelRun(const Conv& conv, const ConvCall& call, const Panel& panel) : conv(conv), call(call), panel(panel) {
    const int longest = Isa::longest_tile(panel.blocks, conv);
    tiles = (call.width + longest - 1) / longest;
    size = call.width / tiles, larger = call.width % tiles;
    for (int i = 0; i < 2; ++i)
      dots[i] = Isa::dot(static_cast<int>(smaller<std::int64_t>(size + i, longest)), panel.blocks, conv, call.in_pixel);
    channel = panel.first * kBlock, width = panel.blocks * kBlock;
    step_bytes = width * kGroup * (conv.shared ? 3 : 1);
    fused = Isa::fuses(conv);
  }

  void next_image() {
    call.in += call.in_image;
    call.out = conv.raw ? static_cast<void*>(static_cast<std::int32_t*>(call.out) + call.out_image)
                        : static_cast<void*>(static_cast<std::int8_t*>(call.out) + call.out_image);
    if (call.residual) call.residual += call.residual_image;
  }

  const std::int8_t* residual(std::int64_t y, std::int64_t x) const {
    return call.residual ? call.residual + y * call.residual_row + x * call.residual_pixel + channel : nullptr;
  }

  DotCall first_tile(std::int64_t y, std::int32_t* sums) const {
    const Inside inside(call.rows, y);
    const std::int64_t first = inside.first * panel.row_steps;
    return {sums,
            call.in + y * call.in_row,
            call.in_pixel,
            panel.offsets + first,
            panel.offsets + inside.end * panel.row_steps,
            panel.weights + first * step_bytes,
            panel.runs ? panel.runs + first : nullptr,
            conv.bias + channel,
            conv.signed_input,
            call.skip_left,
            false,
            static_cast<std::int8_t*>(call.out) + y * call.out_row + channel,
            call.out_pixel,
            residual(y, 0),
            call.residual_pixel,
            conv.factor ? conv.factor + channel : nullptr,
            conv.law.ratio + channel,
            conv.law.low,
            conv.law.high};
  }

  void fused_row(std::int64_t y) const {
    DotCall dot = first_tile(y, nullptr);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t here = size + (tile < larger);
      dot.skip_right = call.skip_right && tile + 1 == tiles;
      dots[tile < larger](dot);
      dot.in += here * call.in_pixel, dot.out += here * call.out_pixel, dot.skip_left = false;
      if (dot.residual) dot.residual += here * call.residual_pixel;
    }
  }

  void row(std::int64_t y, std::int32_t* sums) const {
    DotCall dot = first_tile(y, sums);
    std::int64_t pixels = 0, x = 0;  // pixels whose sums are kept, and the first of them
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t here = size + (tile < larger);
      dot.skip_right = call.skip_right && tile + 1 == tiles;
      dots[tile < larger](dot);
      dot.in += here * call.in_pixel, dot.sums += here * width, dot.skip_left = false;
      pixels += here;
      if (pixels + size + 1 <= kSegment && tile + 1 < tiles) continue;
      finish(y, x, pixels, sums);
      x += pixels, pixels = 0, dot.sums = sums;
    }
  }

  void finish(std::int64_t y, std::int64_t x, std::int64_t pixels, const std::int32_t* sums) const {
    const std::int64_t at = y * call.out_row + x * call.out_pixel + channel;
    const FinishCall finish{sums,
                            pixels,
                            panel.blocks,
                            channel,
                            static_cast<std::int8_t*>(call.out) + at,
                            call.out_pixel,
                            residual(y, x),
                            call.residual_pixel,
                            conv.factor ? conv.factor + channel : nullptr,
                            conv.small_factor,
                            &conv.law};
    if (conv.raw)
      store_raw(finish, static_cast<std::int32_t*>(call.out) + at);
    else
      Isa::finish(finish);
  }
};

template <class Isa>
void conv_rows(const Conv& conv, const ConvCall& call) {
  alignas(64) std::int32_t sums[kSegment * kMaxBlocks * kBlock];
  for (int i = 0; i < conv.panel_count; ++i) {
    PanelRun<Isa> run(conv, call, conv.panels[i]);
    for (std::int64_t image = 0; image < call.images; ++image, run.next_image())
      for (std::int64_t y = 0; y < call.height; ++y) run.fused ? run.fused_row(y) : run.row(y, sums);
  }
}

// Not for kernels that are unsigned_only.
template <class Isa>
void depthwise_by_blocks(const Depthwise& conv, const ConvCall& call) {
  for (std::int64_t y = 0; y < call.height; ++y)
    for (std::int64_t x = 0; x < call.width; ++x)
      for (int b = 0; b < conv.blocks; ++b) {
        alignas(64) std::int32_t sums[kBlock];
        const std::int8_t* in = call.in + y * call.in_row + x * call.in_pixel + b * kBlock;
        for (int i = 0; i < kBlock; ++i) sums[i] = conv.bias[b * kBlock + i];
        for (int t = 0; t < conv.positions; ++t)
          for (int i = 0; i < kBlock; ++i)
            sums[i] += in[conv.offsets[t] + i] * conv.weights[depthwise_index(b * kBlock + i, t, conv.positions)];
        std::int8_t* out = static_cast<std::int8_t*>(call.out) + y * call.out_row + x * call.out_pixel + b * kBlock;
        Isa::requantise(sums, conv.law, b * kBlock, out);
      }
}

}  // namespace
}  // namespace holdfast
