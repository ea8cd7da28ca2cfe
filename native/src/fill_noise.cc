#include <algorithm>

#include "holdfast/noise.h"
#include "philox.h"

// One source for every x86-64 level: the loader picks the best clone (GCC on Linux); elsewhere the baseline serves.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define HOLDFAST_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define HOLDFAST_CLONES
#endif

namespace holdfast {
namespace {

constexpr int kLanes = 64;

// Words of tie level 0 for blocks first .. first+kLanes-1 of a sample, and their guide entries; true if any is undecided.
HOLDFAST_CLONES bool guided_values(const std::int16_t* guide, PhiloxKey key, std::uint64_t sample, std::uint32_t first,
                                   std::uint32_t (&state)[4][kLanes], std::int16_t* values) {
  for (int i = 0; i < kLanes; ++i) {
    state[0][i] = first + static_cast<std::uint32_t>(i);
    state[1][i] = 0;
    state[2][i] = static_cast<std::uint32_t>(sample);
    state[3][i] = static_cast<std::uint32_t>(sample >> 32);
  }
  philox_rounds(state, key);
  bool undecided = false;
  for (int i = 0; i < kLanes; ++i)
    for (int word = 0; word < 4; ++word) {
      const std::int16_t value = guide[state[word][i] >> (32 - NoiseTable::kGuideBits)];
      values[4 * i + word] = value;
      undecided |= value == NoiseTable::kUndecided;
    }
  return undecided;
}

// All 128 bits of one coordinate: tie levels 1 to 3 give the lower words.
std::int16_t resolve_tie(const NoiseTable& table, PhiloxKey key, std::uint64_t sample, std::uint32_t block, int word,
                         std::uint32_t top) {
  Threshold u{top, 0, 0, 0};
  for (std::uint32_t level = 1; level <= 3; ++level) {
    std::uint32_t state[4][1] = {{block}, {level}, {static_cast<std::uint32_t>(sample)}, {static_cast<std::uint32_t>(sample >> 32)}};
    philox_rounds(state, key);
    u[level] = state[word][0];
  }
  return table.by_threshold(u);
}

void decide_rest(const NoiseTable& table, PhiloxKey key, std::uint64_t sample, std::uint32_t first,
                 const std::uint32_t (&state)[4][kLanes], std::int16_t* values) {
  for (int at = 0; at < 4 * kLanes; ++at) {
    if (values[at] != NoiseTable::kUndecided) continue;
    const int lane = at / 4, word = at % 4;
    values[at] = table.by_word(state[word][lane]);
    if (values[at] == NoiseTable::kUndecided)
      values[at] = resolve_tie(table, key, sample, first + static_cast<std::uint32_t>(lane), word, state[word][lane]);
  }
}

}  // namespace

void fill_noise(const NoiseTable& table, PhiloxKey key, std::uint64_t start, std::size_t count, std::size_t dimension,
                std::int16_t* out) {
  std::uint32_t state[4][kLanes];
  std::int16_t values[4 * kLanes];
  for (std::size_t row = 0; row < count; ++row) {
    const std::uint64_t sample = start + row;
    for (std::size_t at = 0; at < dimension; at += 4 * kLanes) {
      const auto first = static_cast<std::uint32_t>(at / 4);
      if (guided_values(table.guide(), key, sample, first, state, values))
        decide_rest(table, key, sample, first, state, values);
      std::copy_n(values, std::min(dimension - at, sizeof values / sizeof *values), out + row * dimension + at);
    }
  }
}

}  // namespace holdfast
