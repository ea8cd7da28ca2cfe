// Proof that no accumulator overflows and that the law stays exact: the twin of holdfast/intnet/ranges.py.
#include <algorithm>
#include <cstdlib>

#include "failure.h"
#include "network.h"

namespace holdfast {
namespace {

constexpr std::int64_t kAccumulatorLimit = (std::int64_t{1} << 31) - 1, kProductLimit = std::int64_t{1} << 53;
constexpr std::int64_t kNoisyLow = -(1 << 15), kNoisyHigh = (1 << 15) - 1;

// Where an accumulator lies, and a bound on the magnitude of its partial sums.
struct Interval {
  std::int64_t low, high, bound;
};

[[noreturn]] void refuse(int position, const Op& op, std::size_t channel, const char* what) {
  throw Failure(HF_BAD_NETWORK, "operation %d: %s: %s of channel %zu could be exceeded", position, kind_name(op.kind),
                what, channel);
}

std::int8_t by_law(const Law& law, std::size_t channel, std::int64_t accumulator) {
  const std::int32_t shift = law.shift[channel];
  const std::int64_t y = (accumulator * law.multiplier[channel] + (std::int64_t{1} << (shift - 1))) >> shift;
  return static_cast<std::int8_t>(std::clamp<std::int64_t>(y, law.low, law.high));
}

void settle(int position, Op& op, std::size_t channel, const Interval& sum) {
  if (sum.bound > kAccumulatorLimit) refuse(position, op, channel, "the accumulator's limit 2^31 - 1");
  op.bound = std::max(op.bound, sum.bound);
  if (op.law.raw) return;
  const std::int64_t half = std::int64_t{1} << (op.law.shift[channel] - 1);
  if (sum.bound * op.law.multiplier[channel] + half > kProductLimit)
    refuse(position, op, channel, "the product's limit 2^53");
  op.low[channel] = by_law(op.law, channel, sum.low);
  op.high[channel] = by_law(op.law, channel, sum.high);
}

std::int64_t magnitude(const Op& value, std::size_t channel) {
  return std::max(std::abs(static_cast<int>(value.low[channel])), std::abs(static_cast<int>(value.high[channel])));
}

Interval weighted_sum(const Network& network, const Op& op, std::size_t output) {
  const Op& from = network.ops[static_cast<std::size_t>(op.sources[0])];
  const auto inputs = static_cast<std::size_t>(op.inputs);
  const auto taps = static_cast<std::size_t>(op.kernel[0] * op.kernel[1]);
  const std::size_t group = output / static_cast<std::size_t>(op.outputs / op.groups);
  const bool padded = op.padding[0] || op.padding[1] || op.padding[2] || op.padding[3];
  Interval sum{op.bias[output], op.bias[output], std::abs(static_cast<std::int64_t>(op.bias[output]))};
  const std::int8_t* weight = op.weight + output * inputs * taps;
  for (std::size_t input = 0; input < inputs; ++input) {
    const std::size_t channel = group * inputs + input;
    const std::int64_t low = from.low[channel], high = from.high[channel], most = magnitude(from, channel);
    for (std::size_t tap = 0; tap < taps; ++tap) {
      const std::int64_t w = *weight++;
      std::int64_t least = std::min(w * low, w * high), largest = std::max(w * low, w * high);
      if (padded) least = std::min<std::int64_t>(least, 0), largest = std::max<std::int64_t>(largest, 0);
      sum.low += least, sum.high += largest, sum.bound += std::abs(w) * most;
    }
  }
  if (op.residual) {
    const Op& added = network.ops[static_cast<std::size_t>(op.sources.back())];
    const std::int64_t factor = op.factor[output];
    sum.low += factor * added.low[output], sum.high += factor * added.high[output];
    sum.bound += factor * magnitude(added, output);
  }
  return sum;
}

void prove_add(const Network& network, int position, Op& op) {
  const Op &a = network.ops[static_cast<std::size_t>(op.sources[0])],
           &b = network.ops[static_cast<std::size_t>(op.sources[1])];
  const std::int64_t m = op.multipliers[0], n = op.multipliers[1];
  const int shift = op.law.shift[0];
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  for (std::size_t c = 0; c < op.low.size(); ++c) {
    if (magnitude(a, c) * m + magnitude(b, c) * n + half > kProductLimit)
      refuse(position, op, c, "the product's limit 2^53");
    const std::int64_t low = (a.low[c] * m + b.low[c] * n + half) >> shift,
                       high = (a.high[c] * m + b.high[c] * n + half) >> shift;
    op.low[c] = static_cast<std::int8_t>(std::clamp<std::int64_t>(low, op.law.low, op.law.high));
    op.high[c] = static_cast<std::int8_t>(std::clamp<std::int64_t>(high, op.law.low, op.law.high));
  }
}

void prove_average(int position, Op& op, const Op& from) {
  const std::int64_t area = op.kernel[0] * op.kernel[1];
  const bool padded = op.padding[0] || op.padding[1] || op.padding[2] || op.padding[3];
  for (std::size_t c = 0; c < from.low.size(); ++c) {
    Interval sum{from.low[c] * area, from.high[c] * area, magnitude(from, c) * area};
    if (padded) sum.low = std::min<std::int64_t>(sum.low, 0), sum.high = std::max<std::int64_t>(sum.high, 0);
    settle(position, op, c, sum);
  }
}

// The range of an operation that moves values without computing any.
void carry(const Network& network, Op& op) {
  const Op& from = network.ops[static_cast<std::size_t>(op.sources[0])];
  if (op.kind == Kind::kConcat) {
    std::size_t at = 0;
    for (int source : op.sources) {
      const Op& part = network.ops[static_cast<std::size_t>(source)];
      std::copy(part.low.begin(), part.low.end(), op.low.begin() + static_cast<std::ptrdiff_t>(at));
      std::copy(part.high.begin(), part.high.end(), op.high.begin() + static_cast<std::ptrdiff_t>(at));
      at += part.low.size();
    }
    return;
  }
  const std::size_t repeat =
      op.kind == Kind::kFlatten ? static_cast<std::size_t>(from.shape.height * from.shape.width) : 1;
  const auto offset = static_cast<std::size_t>(op.kind == Kind::kPad ? op.before[0] : 0);
  const bool around = op.before[1] || op.before[2] || op.after[1] || op.after[2];
  for (std::size_t c = 0; c < from.low.size(); ++c)
    for (std::size_t i = 0; i < repeat; ++i) {
      op.low[offset + c * repeat + i] = around ? std::min<std::int8_t>(from.low[c], 0) : from.low[c];
      op.high[offset + c * repeat + i] = around ? std::max<std::int8_t>(from.high[c], 0) : from.high[c];
    }
}

}  // namespace

void prove_ranges(const Network& network, int position, Op& op) {
  const bool from_raw = !op.sources.empty() && std::any_of(op.sources.begin(), op.sources.end(), [&](int source) {
    return network.ops[static_cast<std::size_t>(source)].law.raw;
  });
  if (from_raw && op.kind != Kind::kFlatten)
    throw Failure(HF_BAD_NETWORK, "operation %d: %s reads raw accumulators, which only the logits may be", position,
                  kind_name(op.kind));
  if (from_raw) {
    op.law.raw = true;
    return;
  }
  if (!op.law.raw) op.low.resize(static_cast<std::size_t>(op.shape.channels)), op.high.resize(op.low.size());
  const auto channels = static_cast<std::size_t>(op.shape.channels);
  switch (op.kind) {
    case Kind::kInput:
      for (std::size_t c = 0; c < channels; ++c) {
        const std::int64_t low = kNoisyLow - op.center[c], high = kNoisyHigh - op.center[c];
        settle(position, op, c, {low, high, std::max(std::abs(low), std::abs(high))});
      }
      break;
    case Kind::kConv:
    case Kind::kLinear:
      for (std::size_t c = 0; c < channels; ++c) settle(position, op, c, weighted_sum(network, op, c));
      break;
    case Kind::kAdd:
      prove_add(network, position, op);
      break;
    case Kind::kAvgPool:
      prove_average(position, op, network.ops[static_cast<std::size_t>(op.sources[0])]);
      break;
    case Kind::kRescale: {
      const Op& from = network.ops[static_cast<std::size_t>(op.sources[0])];
      for (std::size_t c = 0; c < channels; ++c)
        settle(position, op, c, {from.low[c], from.high[c], magnitude(from, c)});
      break;
    }
    default:
      carry(network, op);
  }
}

}  // namespace holdfast
