// Runs of steps whose products stay within int16, for kernels that add pairs of products there before they widen them.
//
// A pair of products of one step is at most 2 * 127 * 127 = 32258. What a longer run adds up to in one int16 is bounded
// by the weights and the proved intervals of the inputs. Additions wrap, so only the sum of the whole run counts. The
// order of a kernel row's steps is free: large weights are put together with small ones.
#include <algorithm>
#include <limits>

#include "packing.h"

namespace holdfast {
namespace {

constexpr std::size_t kOpenRuns = 8;  // to which a step may be added: bounds the search where rows are long
constexpr std::size_t kMostPairs = kMaxBlocks * kBlock * kGroup / 2;

// The extremes of what is in each int16.
struct Span {
  std::int32_t low[kMostPairs], high[kMostPairs];
};

struct Run {
  Span span;
  std::vector<Place> places;
};

Span span_of(const Weighted& layer, const Row& row, const Place& place) {
  Span span{};
  for (int i = 0; i < row.blocks * kBlock * kGroup; ++i) {
    const std::int64_t channel = place.channel + i % kGroup;
    const int weight = layer.weight(row.first_block * kBlock + i / kGroup, channel, row.row, place.column);
    if (weight == 0) continue;
    const int ends[] = {weight * layer.from.low[index(channel)], weight * layer.from.high[index(channel)]};
    span.low[i / 2] += std::min({ends[0], ends[1], 0});
    span.high[i / 2] += std::max({ends[0], ends[1], 0});
  }
  return span;
}

bool fits(const Run& run, const Span& span, std::size_t pairs) {
  bool fits = true;
  for (std::size_t i = 0; i < pairs; ++i)
    fits &= run.span.low[i] + span.low[i] >= std::numeric_limits<std::int16_t>::min() &&
            run.span.high[i] + span.high[i] <= std::numeric_limits<std::int16_t>::max();
  return fits;
}

void add(Run& run, const Span& span, const Place& place, std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) run.span.low[i] += span.low[i], run.span.high[i] += span.high[i];
  run.places.push_back(place);
}

}  // namespace

std::vector<Place> in_runs(const Weighted& layer, const Row& row, const std::vector<Place>& places, std::size_t longest,
                           std::vector<std::uint8_t>& lengths) {
  const std::size_t pairs = index(row.blocks * kBlock * kGroup / 2);
  std::vector<Run> runs;
  for (const Place& place : places) {
    const Span span = span_of(layer, row, place);
    const auto open = runs.end() - static_cast<std::ptrdiff_t>(std::min(kOpenRuns, runs.size()));
    auto run = std::find_if(open, runs.end(),
                            [&](const Run& to) { return to.places.size() < longest && fits(to, span, pairs); });
    if (run == runs.end()) run = runs.insert(run, Run{});
    add(*run, span, place, pairs);
  }
  // Runs of one length side by side: a processor then foresees where they end.
  std::stable_sort(runs.begin(), runs.end(),
                   [](const Run& a, const Run& b) { return a.places.size() > b.places.size(); });
  std::vector<Place> ordered;
  for (const Run& run : runs) {
    ordered.insert(ordered.end(), run.places.begin(), run.places.end());
    lengths.push_back(static_cast<std::uint8_t>(run.places.size()));
    lengths.insert(lengths.end(), run.places.size() - 1, 0);
  }
  return ordered;
}

}  // namespace holdfast
