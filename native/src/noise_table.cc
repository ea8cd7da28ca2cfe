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
  guide_.resize(std::size_t{1} << kGuideBits);
  constexpr int shift = 32 - kGuideBits;
  for (std::uint32_t cell = 0; cell < guide_.size(); ++cell) {
    const auto below = std::lower_bound(tops_.begin(), tops_.end(), cell << shift);
    const bool crossed = below != tops_.end() && *below >> shift == cell;
    guide_[cell] = crossed ? kUndecided : static_cast<std::int16_t>(low_ + (below - tops_.begin()));
  }
}

std::int16_t NoiseTable::by_word(std::uint32_t word) const {
  const auto below = std::lower_bound(tops_.begin(), tops_.end(), word);
  if (below != tops_.end() && *below == word) return kUndecided;
  return static_cast<std::int16_t>(low_ + (below - tops_.begin()));
}

std::int16_t NoiseTable::by_threshold(const Threshold& u) const {
  return static_cast<std::int16_t>(low_ + (std::upper_bound(thresholds_.begin(), thresholds_.end(), u) - thresholds_.begin()));
}

}  // namespace holdfast
