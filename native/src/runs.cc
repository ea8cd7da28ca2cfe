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

using Run = std::vector<Place>;

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

bool fits(const Span& run, const Span& step, std::size_t pairs) {
  bool fits = true;
  for (std::size_t i = 0; i < pairs; ++i)
    fits &= run.low[i] + step.low[i] >= std::numeric_limits<std::int16_t>::min() &&
            run.high[i] + step.high[i] <= std::numeric_limits<std::int16_t>::max();
  return fits;
}

void add(Span& run, const Span& step, std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) run.low[i] += step.low[i], run.high[i] += step.high[i];
}

}  // namespace

std::vector<Place> in_runs(const Weighted& layer, const Row& row, const std::vector<Place>& places, std::size_t longest,
                           std::vector<std::uint8_t>& lengths) {
  const std::size_t pairs = index(row.blocks * kBlock * kGroup / 2);
  std::vector<Run> runs;
  Span open[kOpenRuns];  // of the last runs: that of run i is open[i % kOpenRuns]
  for (const Place& place : places) {
    const Span step = span_of(layer, row, place);
    std::size_t run = runs.size() - std::min(kOpenRuns, runs.size());
    while (run < runs.size() && !(runs[run].size() < longest && fits(open[run % kOpenRuns], step, pairs))) ++run;
    if (run == runs.size()) {
      runs.emplace_back();
      open[run % kOpenRuns] = Span{};
    }
    add(open[run % kOpenRuns], step, pairs);
    runs[run].push_back(place);
  }
  // Runs of one length side by side: a processor then foresees where they end.
  std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.size() > b.size(); });
  std::vector<Place> ordered;
  for (const Run& run : runs) {
    ordered.insert(ordered.end(), run.begin(), run.end());
    lengths.push_back(static_cast<std::uint8_t>(run.size()));
    lengths.insert(lengths.end(), run.size() - 1, 0);
  }
  return ordered;
}

}  // namespace holdfast
