// Noise and the sum with the image, written once and compiled for every instruction set. Internal linkage: see
// kernels.h.
#pragma once

#include "kernels.h"
#include "philox.h"

namespace holdfast {
namespace {

constexpr int kCellShift = 19, kFieldShift = 3;  // of a word: NoiseTable::kCellBits leading bits, 16 bits, 3 bits
constexpr std::int16_t kUndecidedCell = -32768;

inline void noise_by_groups(const NoiseCall& call) {
  constexpr int lanes = kNoiseGroup / 4;
  for (std::int64_t group = 0; group < call.groups; ++group) {
    const std::int64_t first = call.first + group * kNoiseGroup;
    std::uint32_t state[4][lanes];
    for (int i = 0; i < lanes; ++i) {
      state[0][i] = static_cast<std::uint32_t>(first / 4) + static_cast<std::uint32_t>(i);
      state[1][i] = 0;
      state[2][i] = static_cast<std::uint32_t>(call.sample);
      state[3][i] = static_cast<std::uint32_t>(call.sample >> 32);
    }
    philox_rounds(state, call.k0, call.k1);
    std::int16_t* out = call.out + group * kNoiseGroup;
    for (int i = 0; i < lanes; ++i)
      for (int word = 0; word < 4; ++word) {
        const std::uint32_t cell = call.cells[state[word][i] >> kCellShift],
                            field = state[word][i] >> kFieldShift & 0xFFFF;
        const auto value = static_cast<std::int16_t>(cell >> 16);
        const std::uint32_t edge = cell & 0xFFFF;
        out[4 * i + word] = static_cast<std::int16_t>(value + (field > edge));
        if (value == kUndecidedCell || field == edge)
          out[4 * i + word] = decide(call, first + 4 * i + word, state[word][i]);
      }
  }
}

inline void add_image_by_pixels(const std::uint8_t* image, std::int64_t dimension, bool clip, std::int16_t* pixels) {
  const std::int32_t low = clip ? 0 : INT16_MIN, high = clip ? 255 : INT16_MAX;
  for (std::int64_t i = 0; i < dimension; ++i) {
    std::int32_t z = pixels[i] + image[i];
    z = z < low ? low : z;
    pixels[i] = static_cast<std::int16_t>(z > high ? high : z);
  }
}

}  // namespace
}  // namespace holdfast
