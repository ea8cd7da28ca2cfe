// Weights in the order in which kernels read them.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "packing.h"

namespace holdfast {
namespace {

// Packs one convolution: what it needs to know while it does.
class Packer : Weighted {
 public:
  Packer(const Plan& plan, Step& step) : Weighted(plan, step), out_(step.conv) {}

  void pack() {
    out_.depthwise = op.kind == Kind::kConv && is_depthwise(op, from.shape.channels);
    out_.signed_input = std::any_of(from.low.begin(), from.low.end(), [](std::int8_t low) { return low < 0; });
    out_.shifted = out_.signed_input && plan.kernels->unsigned_only;
    out_.shared = plan.kernels->shares_columns && geometry.kernel[1] == 3 && geometry.stride[1] == 1 &&
                  geometry.dilation[1] == 1 && !one_window() && !out_.depthwise;
    pack_bias();
    if (out_.depthwise)
      pack_depthwise();
    else
      pack_panels();
    find_edges();
  }

 private:
  void pack_bias() {
    const std::int64_t padded = round_up(op.outputs, 4 * kBlock), each = inputs * geometry.taps();
    out_.bias.assign(index(padded), 0);
    for (std::int64_t o = 0; o < op.outputs; ++o) {
      std::int64_t sum = 0;
      for (std::int64_t i = 0; out_.shifted && i < each; ++i) sum += op.weight[o * each + i];
      out_.bias[index(o)] = static_cast<std::int32_t>(static_cast<std::uint32_t>(op.bias[index(o)] - 128 * sum));
    }
    if (!op.residual) return;
    out_.factor.assign(index(padded), 0);
    std::copy(op.factor.begin(), op.factor.end(), out_.factor.begin());
    out_.small_factor = *std::max_element(op.factor.begin(), op.factor.end()) < 1 << 15;
  }

  void pack_depthwise() {
    const std::int64_t taps = geometry.taps();
    out_.positions = static_cast<int>(round_up(taps, kGroup));
    for (std::int64_t t = 0; t < out_.positions; ++t) {
      const std::int64_t tap = t < taps ? t : 0;
      out_.offsets.push_back(static_cast<std::int32_t>(offset(tap / geometry.kernel[1], tap % geometry.kernel[1], 0)));
    }
    out_.weights.assign(index(round_up(op.outputs, 4 * kBlock) * out_.positions), 0);
    for (std::int64_t o = 0; o < op.outputs; ++o)
      for (std::int64_t t = 0; t < taps; ++t)
        out_.weights[index(depthwise_index(o, t, out_.positions))] = op.weight[o * taps + t];
  }

  void pack_panels() {
    const std::int64_t blocks = round_up(op.outputs, kBlock) / kBlock;
    std::vector<std::size_t> offsets_at, weights_at;
    out_.panels.clear(), out_.offsets.clear(), out_.weights.clear(), out_.runs.clear();
    for (std::int64_t block = 0; block < blocks;) {
      const Channels channels = channels_of(block);
      std::int64_t alike = 1;
      while (block + alike < blocks && channels_of(block + alike) == channels) ++alike;
      for (const std::int64_t end = block + alike; block < end;) {
        const int taken = std::min(plan.kernels->panel_blocks(end - block, row_pixels(), out_.shared), kMaxBlocks);
        offsets_at.push_back(out_.offsets.size());
        weights_at.push_back(out_.weights.size());
        pack_panel(block, static_cast<int>(std::min<std::int64_t>(taken, end - block)), channels);
        block += out_.panels.back().blocks;
      }
    }
    if (plan.kernels->long_runs > 0 && !out_.short_runs && !runs_are_long()) {
      out_.short_runs = true;
      return pack_panels();
    }
    for (std::size_t i = 0; i < out_.panels.size(); ++i) {
      out_.panels[i].offsets = out_.offsets.data() + offsets_at[i];
      out_.panels[i].weights = out_.weights.data() + weights_at[i];
      out_.panels[i].runs = out_.runs.empty() ? nullptr : out_.runs.data() + offsets_at[i];
    }
  }

  bool runs_are_long() const {
    const auto runs = std::count_if(out_.runs.begin(), out_.runs.end(), [](std::uint8_t steps) { return steps > 0; });
    return static_cast<double>(out_.runs.size()) >= plan.kernels->long_runs * static_cast<double>(runs);
  }

  void pack_panel(std::int64_t first, int blocks, const Channels& channels) {
    const std::int64_t columns = out_.shared ? 1 : geometry.kernel[1], together = out_.shared ? 3 : 1;
    std::vector<Place> places;
    for (std::int64_t j = 0; j < columns; ++j)
      for (std::int64_t c = channels.first; c < channels.end; c += kGroup) places.push_back({j, c});
    const auto row_steps = static_cast<int>(places.size());
    for (std::int64_t i = 0; i < geometry.kernel[0]; ++i) {
      if (plan.kernels->long_runs > 0)
        places = in_runs(*this, {first, blocks, i}, places, out_.short_runs ? 2 : kLongestRun, out_.runs);
      for (const auto& [j, c] : places) {
        out_.offsets.push_back(static_cast<std::int32_t>(offset(i, j, c)));
        for (std::int64_t t = 0; t < together; ++t) pack_step(first, blocks, c, i, j + t);
      }
    }
    out_.panels.push_back({static_cast<int>(first), blocks, row_steps, nullptr, nullptr, nullptr});
  }

  void pack_step(std::int64_t first, int blocks, std::int64_t channel, std::int64_t i, std::int64_t j) {
    for (std::int64_t o = first * kBlock; o < (first + blocks) * kBlock; ++o)
      for (std::int64_t k = 0; k < kGroup; ++k) out_.weights.push_back(weight(o, channel + k, i, j));
  }

  // What lies in the padding is left out, unless 128 was added to its zeros: then the value has no end.
  void find_edges() {
    out_.rows = {geometry.kernel[0], geometry.stride[0], geometry.padding[0], geometry.dilation[0], in.height};
    if (out_.shifted) out_.rows.padding = 0, out_.rows.size = std::numeric_limits<std::int64_t>::max();
    out_.skip_left = !out_.shifted && geometry.padding[2] > 0;
    out_.skip_right = !out_.shifted && op.shape.width + 1 - geometry.padding[2] >= in.width;
  }

  PackedConv& out_;
};

}  // namespace

bool is_depthwise(const Op& op, std::int64_t channels) {
  return op.groups == channels && op.inputs == 1 && op.outputs == channels && channels > 1 && !op.residual &&
         !op.law.raw;
}

void pack_conv(const Plan& plan, Step& step) {
  if (!pack_tiles(plan, step)) Packer(plan, step).pack();
}

PackedLaw pack_law(const Op& op) {
  PackedLaw law;
  if (op.law.raw || op.law.multiplier.empty()) return law;
  const auto channels = static_cast<std::size_t>(round_up(op.shape.channels, 4 * kBlock));
  law.multiplier.assign(channels, 0), law.shift.assign(channels, 1);
  law.ratio.assign(channels, 0), law.wide_ratio.assign(channels, 0);
  law.low = op.law.low, law.high = op.law.high;
  law.narrow = op.bound <= 1 << 24;
  for (std::size_t c = 0; c < op.law.multiplier.size(); ++c) {
    law.multiplier[c] = op.law.multiplier[c], law.shift[c] = op.law.shift[c];
    law.wide_ratio[c] = std::ldexp(op.law.multiplier[c], -op.law.shift[c]);
    law.ratio[c] = static_cast<float>(law.wide_ratio[c]);
    law.narrow = law.narrow && static_cast<double>(op.bound) * law.wide_ratio[c] < 1 << 29;
  }
  return law;
}

}  // namespace holdfast
