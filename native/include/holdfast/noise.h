// Integer noise from addresses: the native twin of holdfast/noise/sampler.py, equal to it bit for bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace holdfast {

// A 128-bit threshold, most significant word first.
using Threshold = std::array<std::uint32_t, 4>;

struct PhiloxKey {
  std::uint32_t k0, k1;
};

// Inverse cumulative distribution table of a symmetric law: value = low + #{thresholds <= u} for a 128-bit uniform u.
class NoiseTable {
 public:
  static constexpr int kGuideBits = 16;
  static constexpr std::int16_t kUndecided = INT16_MIN;

  // Thresholds must be ascending and all values must fit int16 without kUndecided; throws std::invalid_argument.
  NoiseTable(int low, std::vector<Threshold> thresholds);

  // The value for each 16-bit prefix of a word, or kUndecided where a threshold shares the prefix.
  const std::int16_t* guide() const { return guide_.data(); }

  // The value of word, or kUndecided if it equals a threshold's top 32 bits.
  std::int16_t by_word(std::uint32_t word) const;

  // The value of all 128 bits.
  std::int16_t by_threshold(const Threshold& u) const;

 private:
  int low_;
  std::vector<Threshold> thresholds_;
  std::vector<std::uint32_t> tops_;
  std::vector<std::int16_t> guide_;
};

// Noise of samples start .. start+count-1, dimension coordinates each, row-major.
// Counter (block, tie level, sample low, sample high); word j of block b is coordinate 4b + j.
void fill_noise(const NoiseTable& table, PhiloxKey key, std::uint64_t start, std::size_t count, std::size_t dimension,
                std::int16_t* out);

}  // namespace holdfast
