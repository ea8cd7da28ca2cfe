#include <algorithm>
#include <stdexcept>

#include "holdfast/noise.h"

namespace holdfast {

NoiseTable::NoiseTable(int low, std::vector<Threshold> thresholds) : low_(low), thresholds_(std::move(thresholds)) {
  if (low <= INT16_MIN || low + static_cast<long>(thresholds_.size()) > INT16_MAX)
    throw std::invalid_argument("noise table: values do not fit int16");
  if (!std::is_sorted(thresholds_.begin(), thresholds_.end()))
    throw std::invalid_argument("noise table: thresholds are not ascending");
  for (const Threshold& t : thresholds_) tops_.push_back(t[0]);
  for (std::uint32_t index = 0; index < 1u << kCellBits; ++index) cells_.push_back(cell(index));
}

std::uint32_t NoiseTable::cell(std::uint32_t index) const {
  constexpr int shift = 32 - kCellBits;
  const auto first = std::lower_bound(tops_.begin(), tops_.end(), index << shift);
  const auto end = std::upper_bound(first, tops_.end(), index << shift | ((1u << shift) - 1));
  if (end - first > 1) return static_cast<std::uint32_t>(static_cast<std::uint16_t>(kUndecided)) << 16 | 0xFFFF;
  const std::uint32_t field = end == first ? 0xFFFF : *first >> kFieldShift & 0xFFFF;
  return static_cast<std::uint32_t>(low_ + (first - tops_.begin())) << 16 | field;
}

std::int16_t NoiseTable::by_word(std::uint32_t word) const {
  const auto below = std::lower_bound(tops_.begin(), tops_.end(), word);
  if (below != tops_.end() && *below == word) return kUndecided;
  return static_cast<std::int16_t>(low_ + (below - tops_.begin()));
}

std::int16_t NoiseTable::by_threshold(const Threshold& u) const {
  return static_cast<std::int16_t>(low_ +
                                   (std::upper_bound(thresholds_.begin(), thresholds_.end(), u) - thresholds_.begin()));
}

}  // namespace holdfast
