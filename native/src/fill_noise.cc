// Noise at addresses: whole samples by the kernels of an instruction set, ties by all 128 bits.
#include <algorithm>

#include "dispatch.h"
#include "holdfast/noise.h"
#include "philox.h"

namespace holdfast {

std::int16_t decide(const NoiseCall& call, std::int64_t coordinate, std::uint32_t word) {
  const std::int16_t value = call.table->by_word(word);
  if (value != NoiseTable::kUndecided) return value;
  Threshold u{word, 0, 0, 0};  // a tie: levels 1 to 3 give the lower words
  for (std::uint32_t level = 1; level <= 3; ++level) {
    std::uint32_t state[4][1] = {{static_cast<std::uint32_t>(coordinate / 4)},
                                 {level},
                                 {static_cast<std::uint32_t>(call.sample)},
                                 {static_cast<std::uint32_t>(call.sample >> 32)}};
    philox_rounds(state, call.k0, call.k1);
    u[level] = state[coordinate % 4][0];
  }
  return call.table->by_threshold(u);
}

void fill_noise(const Kernels& kernels, const NoiseTable& table, PhiloxKey key, std::uint64_t start, std::size_t count,
                std::size_t dimension, std::int16_t* out) {
  const std::size_t groups = dimension / kNoiseGroup, whole = groups * kNoiseGroup;
  for (std::size_t row = 0; row < count; ++row, out += dimension) {
    NoiseCall call{&table, table.cells(), key.k0, key.k1, start + row, 0, static_cast<std::int64_t>(groups), out};
    kernels.noise(call);
    if (whole == dimension) continue;
    std::int16_t rest[kNoiseGroup];
    call.first = static_cast<std::int64_t>(whole), call.groups = 1, call.out = rest;
    kernels.noise(call);
    std::copy_n(rest, dimension - whole, out + whole);
  }
}

void fill_noise(const NoiseTable& table, PhiloxKey key, std::uint64_t start, std::size_t count, std::size_t dimension,
                std::int16_t* out) {
  fill_noise(best_kernels(), table, key, start, count, dimension, out);
}

}  // namespace holdfast
