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
//
// Most words are decided by one look into a table of cells, by their leading bits. A cell holds a value in its upper
// half and, in its lower half, where its only threshold lies: the 16 bits of a word that follow the leading ones are
// compared with that. Above it the value is one more; at it, and in a cell of several thresholds, the word is
// undecided.
class NoiseTable {
 public:
  static constexpr int kCellBits = 13;
  static constexpr int kFieldShift = 32 - kCellBits - 16;
  static constexpr std::int16_t kUndecided = INT16_MIN;

  // Thresholds must be ascending and all values must fit int16 without kUndecided; throws std::invalid_argument.
  NoiseTable(int low, std::vector<Threshold> thresholds);

  const std::uint32_t* cells() const { return cells_.data(); }

  // The value of word, or kUndecided if it equals a threshold's top 32 bits.
  std::int16_t by_word(std::uint32_t word) const;

  // The value of all 128 bits.
  std::int16_t by_threshold(const Threshold& u) const;

 private:
  std::uint32_t cell(std::uint32_t index) const;

  int low_;
  std::vector<Threshold> thresholds_;
  std::vector<std::uint32_t> tops_, cells_;
};

struct Kernels;

// Noise of samples start .. start+count-1, dimension coordinates each, row-major.
// Counter (block, tie level, sample low, sample high); word j of block b is coordinate 4b + j.
void fill_noise(const Kernels& kernels, const NoiseTable& table, PhiloxKey key, std::uint64_t start, std::size_t count,
                std::size_t dimension, std::int16_t* out);

// The same with the best instruction set of this machine.
void fill_noise(const NoiseTable& table, PhiloxKey key, std::uint64_t start, std::size_t count, std::size_t dimension,
                std::int16_t* out);

}  // namespace holdfast
