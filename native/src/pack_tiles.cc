// Weights for matrix instructions: a step multiplies a run of up to 64 contiguous input bytes of 16 windows. Channels
// lie beside each other, and so do the pixels of a row: a run may span several columns of the kernel.
//
// Where pixels are short, `together` of them count as one with as many times the outputs. Their windows overlap, so
// that a run is used better and less often read; weights where one pixel's window does not reach are 0.
#include "packing.h"

namespace holdfast {
namespace {

// A run of inputs: where it begins, from the first channel of a kernel row's first column, and its length.
struct Run {
  std::int64_t start, bytes;
};

class TilePacker : Weighted {
 public:
  TilePacker(const Plan& plan, Step& step)
      : Weighted(plan, step), step_(step), out_(step.conv), out_pixel_(round_up(op.outputs, kBlock)) {}

  bool pack() {
    double least = vector_cycles();
    for (int together = 1; together <= (in.pixel <= kBlock ? 2 : 1); ++together) {
      const double cycles = tile_cycles(together);
      if (cycles < least) least = cycles, out_.together = together, out_.tiled = true;
    }
    if (!out_.tiled) return false;
    pack_channels();
    pack_panels();
    return true;
  }

 private:
  std::int64_t pixels() const { return one_window() ? row_pixels() : op.shape.height * op.shape.width; }

  std::int64_t blocks(std::int64_t together) const { return together * out_pixel_ / kBlock; }

  // Channels of the blocks of a panel that starts at a block, and how many blocks it takes.
  Channels panel_channels(std::int64_t block, std::int64_t together, int& taken) const {
    taken = 1;
    if (together > 1 || op.groups == 1) {
      taken = static_cast<int>(std::min<std::int64_t>(kTileBlocks, blocks(together) - block));
      return {0, round_up(inputs, kGroup)};
    }
    const Channels channels = channels_of(block);
    while (taken < kTileBlocks && block + taken < blocks(1) && channels_of(block + taken) == channels) ++taken;
    return channels;
  }

  // The columns that the windows of the pixels together read, in order.
  std::vector<std::int64_t> columns(std::int64_t together) const {
    std::vector<std::int64_t> found;
    for (std::int64_t pixel = 0; pixel < together; ++pixel)
      for (std::int64_t j = 0; j < geometry.kernel[1]; ++j)
        found.push_back(pixel * geometry.stride[1] + j * geometry.dilation[1]);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  // The runs of a kernel row: over all columns, or each column by itself if that makes fewer.
  std::vector<Run> runs(const Channels& channels, std::int64_t together) const {
    const std::vector<std::int64_t> read = columns(together);
    const auto count = static_cast<std::int64_t>(read.size());
    const std::int64_t each = channels.end - channels.first, all = read.back() * in.pixel + each;
    const bool across = round_up(all, kTileBytes) <= count * round_up(each, kTileBytes);
    std::vector<Run> found;
    for (const std::int64_t column : read) {
      if (column > 0 && across) break;
      const std::int64_t bytes = across ? all : each;
      for (std::int64_t at = 0; at < bytes; at += kTileBytes)
        found.push_back({column * in.pixel + channels.first + at, std::min<std::int64_t>(kTileBytes, bytes - at)});
    }
    return found;
  }

  // Rough costs in cycles, of what differs: dot products, and what is read for them.
  double vector_cycles() const {
    double steps = 0;
    for (std::int64_t block = 0; block < blocks(1); ++block) {
      const Channels channels = channels_of(block);
      steps += static_cast<double>((channels.end - channels.first) / kGroup * geometry.taps());
    }
    return 0.6 * steps * static_cast<double>(pixels());
  }

  double tile_cycles(std::int64_t together) const {
    const std::int64_t width = one_window() ? row_pixels() : op.shape.width,
                       height = one_window() ? 1 : op.shape.height;
    const std::int64_t stride = together * geometry.stride[1] * in.pixel, row = geometry.stride[0] * in.row();
    if (together > 1 && (op.groups > 1 || width % together != 0 || one_window())) return 1e300;
    const std::int64_t across = width / together;
    std::int64_t tiles = height * (round_up(across, kTileRows) / kTileRows);
    if (row % stride == 0)
      tiles = std::min(tiles, round_up((height - 1) * (row / stride) + across, kTileRows) / kTileRows);
    constexpr double kMultiply = 16, kLoad = 8, kSplit = 43, kTile = 20;
    double cycles = 0;
    for (std::int64_t block = 0; block < blocks(together);) {
      int taken;
      const Channels channels = panel_channels(block, together, taken);
      const std::vector<Run> found = runs(channels, together);
      const double steps = static_cast<double>(geometry.kernel[0]) * static_cast<double>(found.size());
      const bool whole = found.size() > 1 || found[0].bytes > kTileBytes / 4;
      const double split =
          whole ? static_cast<double>((kTileBytes - stride % kTileBytes) % kTileBytes) / kTileBytes : 0;
      const double multiply = kMultiply * taken, load = kLoad * (1 + 0.5 * taken) + kSplit * split;
      cycles += steps * (std::max(multiply, load) + 0.1 * load) + kTile * taken;
      block += taken;
    }
    return cycles * static_cast<double>(tiles);
  }

  template <class T>
  void repeat(Lines<T>& numbers) const {
    const Lines<T> once = numbers;
    numbers.assign(index(round_up(out_.together * out_pixel_, 4 * kBlock)), T{});
    for (std::int64_t i = 0; i < out_.together * op.outputs && !once.empty(); ++i)
      numbers[index(i / op.outputs * out_pixel_ + i % op.outputs)] = once[index(i % op.outputs)];
  }

  void pack_channels() {
    out_.bias.assign(op.bias.begin(), op.bias.end());
    repeat(out_.bias);
    if (op.residual) {
      out_.factor.assign(op.factor.begin(), op.factor.end());
      repeat(out_.factor);
      out_.small_factor = *std::max_element(op.factor.begin(), op.factor.end()) < 1 << 15;
    }
    if (op.law.raw) return;
    repeat(step_.law.multiplier), repeat(step_.law.shift), repeat(step_.law.ratio), repeat(step_.law.wide_ratio);
    out_.mixed = step_.law.narrow && step_.law.high == INT8_MAX && (!op.residual || out_.small_factor);
    if (out_.mixed && op.bound < 1 << 22) lift();
  }

  // Adds kLift to the biases where float32 holds what makes up for it.
  void lift() {
    Lines<float> found;
    for (const double ratio : step_.law.wide_ratio) {
      const double exact = 0.5 - kLiftedZero * ratio;
      found.push_back(static_cast<float>(exact));
      if (static_cast<double>(found.back()) != exact) return;
    }
    out_.lift = std::move(found);
    for (std::int32_t& bias : out_.bias) bias += kLift;
  }

  void pack_panels() {
    std::vector<std::size_t> offsets_at, weights_at;
    const std::int64_t count = blocks(out_.together);
    std::int64_t longest = 0;
    for (std::int64_t block = 0; block < count;) {
      int taken;
      for (const Run& run : runs(panel_channels(block, out_.together, taken), out_.together))
        longest = std::max(longest, run.bytes);
      block += taken;
    }
    out_.step_bytes = longest <= kTileBytes / 4 ? kTileBytes / 4 : kTileBytes;
    out_.step_rows = geometry.kernel[0] == 3 ? geometry.dilation[0] * in.row() : 0;
    for (std::int64_t block = 0; block < count; block += out_.panels.back().blocks) {
      offsets_at.push_back(out_.offsets.size());
      weights_at.push_back(out_.weights.size());
      pack_panel(block);
    }
    for (std::size_t i = 0; i < out_.panels.size(); ++i) {
      out_.panels[i].offsets = out_.offsets.data() + offsets_at[i];
      out_.panels[i].weights = out_.weights.data() + weights_at[i];
    }
  }

  void pack_panel(std::int64_t first) {
    int taken;
    const Channels channels = panel_channels(first, out_.together, taken);
    const std::vector<Run> found = runs(channels, out_.together);
    for (const Run& run : found)
      for (std::int64_t i = 0; i < geometry.kernel[0]; ++i) {
        out_.offsets.push_back(static_cast<std::int32_t>(i * geometry.dilation[0] * in.row() + run.start));
        for (std::int64_t block = first; block < first + taken; ++block) pack_step(block, i, run);
      }
    const int steps = static_cast<int>(geometry.kernel[0] * static_cast<std::int64_t>(found.size()));
    out_.panels.push_back({static_cast<int>(first), taken, steps, nullptr, nullptr, nullptr});
  }

  void pack_step(std::int64_t block, std::int64_t i, const Run& run) {
    const std::size_t first = out_.weights.size();
    out_.weights.resize(first + index(out_.step_bytes * kBlock), 0);
    std::int8_t* to = out_.weights.data() + first;
    for (std::int64_t byte = 0; byte < run.bytes; ++byte) {
      const std::int64_t pixel = (run.start + byte) / in.pixel, channel = (run.start + byte) % in.pixel;
      for (std::int64_t o = 0; o < kBlock; ++o)
        to[(byte / kGroup * kBlock + o) * kGroup + byte % kGroup] = weight_at(block * kBlock + o, i, pixel, channel);
    }
  }

  // Of an output of the pixels that are together.
  std::int8_t weight_at(std::int64_t output, std::int64_t i, std::int64_t pixel, std::int64_t channel) const {
    const std::int64_t column = pixel - output / out_pixel_ * geometry.stride[1], d = geometry.dilation[1];
    if (column < 0 || column % d != 0 || column / d >= geometry.kernel[1]) return 0;
    return weight(output % out_pixel_, channel, i, column / d);
  }

  Step& step_;
  PackedConv& out_;
  const std::int64_t out_pixel_;
};

}  // namespace

bool pack_tiles(const Plan& plan, Step& step) {
  const Op& op = plan.network.ops[index(step.position)];
  const Op& from = plan.network.ops[index(step.sources[0])];
  if (!plan.kernels->conv_by_tiles || (op.kind == Kind::kConv && is_depthwise(op, from.shape.channels))) return false;
  return TilePacker(plan, step).pack();
}

}  // namespace holdfast
