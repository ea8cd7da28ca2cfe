// What both packers of weights know of an operation.
#pragma once

#include <algorithm>

#include "plan.h"

namespace holdfast {

inline std::size_t index(std::int64_t position) { return static_cast<std::size_t>(position); }

// The kernel of an operation; a linear layer that looks through a flattening has that of the whole image.
struct Geometry {
  std::int64_t kernel[2], dilation[2], stride[2], padding[4];
  std::int64_t taps() const { return kernel[0] * kernel[1]; }
};

struct Channels {
  std::int64_t first, end;
  bool operator==(const Channels& other) const { return first == other.first && end == other.end; }
};

// A convolution or linear layer: its weights and where its inputs lie.
class Weighted {
 public:
  Weighted(const Plan& plan, const Step& step)
      : plan(plan),
        op(plan.network.ops[index(step.position)]),
        from(plan.network.ops[index(step.sources[0])]),
        in(plan.values[index(step.sources[0])].layout),
        geometry(op.kind == Kind::kConv ? Geometry{{op.kernel[0], op.kernel[1]},
                                                   {op.dilation[0], op.dilation[1]},
                                                   {op.stride[0], op.stride[1]},
                                                   {op.padding[0], op.padding[1], op.padding[2], op.padding[3]}}
                                        : Geometry{{in.height, in.width}, {1, 1}, {1, 1}, {0, 0, 0, 0}}),
        inputs(static_cast<std::int64_t>(op.weight_count) / (op.outputs * geometry.taps())) {}

  const Plan& plan;
  const Op &op, &from;
  const Layout& in;
  const Geometry geometry;
  const std::int64_t inputs;  // of one group

  bool one_window() const { return op.shape.height == 1 && op.shape.width == 1; }

  // Pixels that are computed together: of a row, or of the images of a batch where each has only one.
  std::int64_t row_pixels() const {
    if (!one_window()) return op.shape.width;
    return in.batched ? plan.batch : 1;
  }

  // 0 for outputs and channels that only fill a block.
  std::int8_t weight(std::int64_t output, std::int64_t channel, std::int64_t i, std::int64_t j) const {
    if (output >= op.outputs) return 0;
    const std::int64_t group = output / (op.outputs / op.groups), input = channel - group * inputs;
    if (input < 0 || input >= inputs) return 0;
    return op.weight[((output * inputs + input) * geometry.kernel[0] + i) * geometry.kernel[1] + j];
  }

  // From a window's first byte to a channel at a kernel position.
  std::int64_t offset(std::int64_t i, std::int64_t j, std::int64_t channel) const {
    return i * geometry.dilation[0] * in.row() + j * geometry.dilation[1] * in.pixel + channel;
  }

  // Input channels that a block of outputs reads, in whole groups of four.
  Channels channels_of(std::int64_t block) const {
    const std::int64_t per_group = op.outputs / op.groups, last = std::min((block + 1) * kBlock, op.outputs) - 1;
    return {block * kBlock / per_group * inputs / kGroup * kGroup, round_up((last / per_group + 1) * inputs, kGroup)};
  }
};

// Where a step of a kernel row reads: kernel column, and the first of its channels.
struct Place {
  std::int64_t column, channel;
};

// A kernel row of the weights of some blocks.
struct Row {
  std::int64_t first_block;
  int blocks;
  std::int64_t row;
};

constexpr std::size_t kLongestRun = 255;

// The steps of a kernel row in runs of at most `longest` whose products add up in int16; appends the length of each run
// at its first step, and 0 at its others.
std::vector<Place> in_runs(const Weighted& layer, const Row& row, const std::vector<Place>& places, std::size_t longest,
                           std::vector<std::uint8_t>& lengths);

}  // namespace holdfast
