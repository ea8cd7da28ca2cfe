// The steps without dot products, written once and compiled for every instruction set: the input, additions, pools.
// For class Isa see steps.h. Internal linkage: see kernels.h.
#pragma once

#include "steps.h"

namespace holdfast {
namespace {

// The law of one channel, for 16 pixels of it.
struct SpreadLaw {
  alignas(64) std::int32_t multiplier[kBlock], shift[kBlock];
  alignas(64) float ratio[kBlock];
  alignas(64) double wide_ratio[kBlock];
  Requant law;

  SpreadLaw(const Requant& of, std::int64_t channel) : law(of) {
    for (int i = 0; i < kBlock; ++i) {
      multiplier[i] = of.multiplier[channel], shift[i] = of.shift[channel];
      ratio[i] = of.ratio[channel], wide_ratio[i] = of.wide_ratio[channel];
    }
    law.multiplier = multiplier, law.shift = shift, law.ratio = ratio, law.wide_ratio = wide_ratio;
  }
};

// Channels come one after the other, and so they are computed; the pixels take one byte of each.
template <class Isa>
void input_by_channels(const InputCall& call) {
  const View& out = call.out;
  for (std::int64_t c = 0; c < call.channels; ++c) {
    const SpreadLaw spread(call.law, c);
    for (std::int64_t y = 0; y < out.height; ++y)
      for (std::int64_t x = 0; x < out.width; x += kBlock) {
        const std::int64_t pixels = smaller<std::int64_t>(kBlock, out.width - x);
        const std::int16_t* from = call.pixels + (c * out.height + y) * out.width + x;
        alignas(64) std::int32_t sums[kBlock] = {};
        std::int8_t values[kBlock];
        std::int8_t* const to = out.data + y * out.row + x * out.pixel + c;
        if (pixels == kBlock)  // the compiler knows how many
          for (int i = 0; i < kBlock; ++i) sums[i] = from[i] - call.center[c];
        else
          for (std::int64_t i = 0; i < pixels; ++i) sums[i] = from[i] - call.center[c];
        Isa::requantise(sums, spread.law, 0, values);
        for (std::int64_t i = 0; i < pixels; ++i) to[i * out.pixel] = values[i];
      }
  }
}

inline void add_values(const AddCall& call, const View& a, const View& b, const View& out) {
  const std::int64_t half = std::int64_t{1} << (call.shift - 1), channels = out.blocks * kBlock;
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x) {
      const std::int8_t *from_a = a.data + y * a.row + x * a.pixel, *from_b = b.data + y * b.row + x * b.pixel;
      std::int8_t* to = out.data + y * out.row + x * out.pixel;
      for (std::int64_t c = 0; c < channels; ++c) {
        std::int64_t sum = static_cast<std::int64_t>(from_a[c]) * call.multipliers[0] +
                           static_cast<std::int64_t>(from_b[c]) * call.multipliers[1];
        sum = (sum + half) >> call.shift;
        sum = sum < call.low ? call.low : sum;
        to[c] = static_cast<std::int8_t>(sum > call.high ? call.high : sum);
      }
    }
}

template <class Isa>
void rescale_by_blocks(const Requant& law, const View& in, const View& out) {
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x)
      for (std::int64_t c = 0; c < out.blocks * kBlock; c += kBlock) {
        alignas(64) std::int32_t sums[kBlock];
        for (int i = 0; i < kBlock; ++i) sums[i] = in.data[y * in.row + x * in.pixel + c + i];
        Isa::requantise(sums, law, c, out.data + y * out.row + x * out.pixel + c);
      }
}

// A block of values in a register, in the compiler's own vectors.
typedef std::int8_t Bytes __attribute__((vector_size(kBlock)));
typedef std::int16_t Words __attribute__((vector_size(2 * kBlock)));

inline Bytes load_block(const std::int8_t* from) {
  Bytes values;
  __builtin_memcpy(&values, from, sizeof values);
  return values;
}

// One block of channels under one window of a pool, within the value.
struct Window {
  const std::int8_t* first;
  std::ptrdiff_t row, pixel;
  std::int64_t rows, columns;

  Window(const Pool& pool, const View& in, std::int64_t y, std::int64_t x, std::int64_t channel) {
    const Inside down(pool.rows, y), along(pool.columns, x);
    first = in.data + (down.start + down.first * pool.rows.dilation) * in.row +
            (along.start + along.first * pool.columns.dilation) * in.pixel + channel;
    row = pool.rows.dilation * in.row, pixel = pool.columns.dilation * in.pixel;
    rows = down.end - down.first, columns = along.end - along.first;
  }
};

inline Bytes most_of(const Window& window) {
  Bytes most = load_block(window.first);
  for (std::int64_t i = 0; i < window.rows; ++i)
    for (std::int64_t j = 0; j < window.columns; ++j) {
      const Bytes values = load_block(window.first + i * window.row + j * window.pixel);
      most = most > values ? most : values;
    }
  return most;
}

// Sums in int16, of at most 256 values at a time.
inline void sum_of(const Window& window, std::int32_t* sums) {
  Words small{};
  int taken = 0;
  const auto empty = [&] {
    for (int i = 0; i < kBlock; ++i) sums[i] += small[i];
    small = Words{}, taken = 0;
  };
  for (std::int64_t i = 0; i < window.rows; ++i)
    for (std::int64_t j = 0; j < window.columns; ++j) {
      small += __builtin_convertvector(load_block(window.first + i * window.row + j * window.pixel), Words);
      if (++taken == 256) empty();
    }
  empty();
}

inline void max_pool_by_blocks(const Pool& pool, const View& in, const View& out) {
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x)
      for (std::int64_t c = 0; c < out.blocks * kBlock; c += kBlock) {
        const Bytes most = most_of(Window(pool, in, y, x, c));
        __builtin_memcpy(out.data + y * out.row + x * out.pixel + c, &most, sizeof most);
      }
}

template <class Isa>
void average_pool_by_blocks(const Pool& pool, const View& in, const View& out) {
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x)
      for (std::int64_t c = 0; c < out.blocks * kBlock; c += kBlock) {
        alignas(64) std::int32_t sums[kBlock] = {};
        sum_of(Window(pool, in, y, x, c), sums);
        const std::int64_t at = y * out.row + x * out.pixel + c;
        if (pool.raw)
          for (int i = 0; i < kBlock; ++i) reinterpret_cast<std::int32_t*>(out.data)[at + i] = sums[i];
        else
          Isa::requantise(sums, pool.law, c, out.data + at);
      }
}

inline void shift_all_signs(const std::int8_t* in, std::int8_t* out, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::int8_t>(in[i] ^ -128);
}

}  // namespace
}  // namespace holdfast
