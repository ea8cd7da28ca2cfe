// Shapes of values, inferred operation by operation: the twin of holdfast/intnet/shapes.py.
#include <algorithm>

#include "failure.h"
#include "network.h"

namespace holdfast {
namespace {

constexpr std::int64_t kLargestSide = 1 << 16, kLargestValue = 1 << 28;

void require(bool holds, int position, const Op& op, const char* problem) {
  if (!holds) throw Failure(HF_BAD_NETWORK, "operation %d: %s %s", position, kind_name(op.kind), problem);
}

// One pair for all channels becomes a pair for each.
void spread(Law& law, int position, const Op& op, std::int64_t channels) {
  if (law.raw) return;
  const auto pairs = static_cast<std::int64_t>(law.multiplier.size());
  require(pairs == 1 || pairs == channels, position, op, "needs one multiplier, or one per channel");
  if (channels > kLargestValue) return;
  law.multiplier.resize(static_cast<std::size_t>(channels), law.multiplier[0]);
  law.shift.resize(static_cast<std::size_t>(channels), law.shift[0]);
}

void slide(int position, Op& op, const Shape& from) {
  op.shape.height = windows(from.height, op.kernel[0], op.stride[0], op.padding[0], op.padding[1], op.dilation[0]);
  op.shape.width = windows(from.width, op.kernel[1], op.stride[1], op.padding[2], op.padding[3], op.dilation[1]);
  require(op.shape.height >= 1 && op.shape.width >= 1, position, op, "has a window that does not fit");
  const std::int64_t rows = from.height + op.padding[0] + op.padding[1],
                     columns = from.width + op.padding[2] + op.padding[3];
  require(from.channels * rows <= kLargestValue && from.channels * rows * columns <= kLargestValue, position, op,
          "pads a value to more than 2^28 elements");
}

// Whether some window along a side touches no real value.
bool window_outside(std::int64_t size, std::int64_t count, std::int64_t kernel, std::int64_t stride,
                    std::int64_t before, std::int64_t dilation) {
  for (std::int64_t window = 0; window < count; ++window) {
    const std::int64_t start = window * stride - before;
    const std::int64_t tap = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
    if (tap >= kernel || start + tap * dilation >= size) return true;
  }
  return false;
}

void weighted(const Network& network, int position, Op& op, const Shape& from) {
  if (op.kind == Kind::kLinear) {
    require(from.flat && op.inputs == from.channels, position, op, "reads a value of another shape");
    op.shape = {op.outputs, 1, 1, true};
  } else {
    require(!from.flat, position, op, "reads a (C, H, W) value, not a flat one");
    require(op.outputs % op.groups == 0, position, op, "has outputs that do not split into its groups");
    require(op.inputs * op.groups == from.channels, position, op, "has weights for another number of channels");
    op.shape.channels = op.outputs;
    slide(position, op, from);
  }
  if (op.residual) {
    const Shape& added = network.ops[static_cast<std::size_t>(op.sources.back())].shape;
    require(added == op.shape, position, op, "adds a residual of another shape");
  }
}

void concatenated(const Network& network, int position, Op& op, const Shape& from) {
  op.shape = from;
  op.shape.channels = 0;
  for (int source : op.sources) {
    const Shape& part = network.ops[static_cast<std::size_t>(source)].shape;
    require(part.flat == from.flat && part.height == from.height && part.width == from.width, position, op,
            "joins values of different shapes");
    op.shape.channels += part.channels;
  }
}

void spatial(int position, Op& op, const Shape& from) {
  require(!from.flat, position, op, "reads a (C, H, W) value, not a flat one");
  op.shape = from;
  if (op.kind == Kind::kFlatten) {
    op.shape = {from.elements(), 1, 1, true};
  } else if (op.kind == Kind::kSubsample) {
    op.shape.height = (from.height + op.stride[0] - 1) / op.stride[0];
    op.shape.width = (from.width + op.stride[1] - 1) / op.stride[1];
  } else if (op.kind == Kind::kPad) {
    op.shape.channels += op.before[0] + op.after[0];
    op.shape.height += op.before[1] + op.after[1];
    op.shape.width += op.before[2] + op.after[2];
  } else {
    slide(position, op, from);
  }
  if (op.kind == Kind::kMaxPool) {
    const bool outside =
        window_outside(from.height, op.shape.height, op.kernel[0], op.stride[0], op.padding[0], op.dilation[0]) ||
        window_outside(from.width, op.shape.width, op.kernel[1], op.stride[1], op.padding[2], op.dilation[1]);
    require(!outside, position, op, "has a window wholly in the padding, where nothing can win");
  }
}

void infer(const Network& network, int position, Op& op) {
  if (op.kind == Kind::kInput) return;
  const Shape& from = network.ops[static_cast<std::size_t>(op.sources[0])].shape;
  switch (op.kind) {
    case Kind::kConv:
    case Kind::kLinear:
      weighted(network, position, op, from);
      break;
    case Kind::kAdd:
      op.shape = from;
      require(network.ops[static_cast<std::size_t>(op.sources[1])].shape == from, position, op,
              "adds values of different shapes");
      break;
    case Kind::kConcat:
      concatenated(network, position, op, from);
      break;
    case Kind::kRescale:
      op.shape = from;
      break;
    default:
      spatial(position, op, from);
  }
}

}  // namespace

std::int64_t windows(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t before,
                     std::int64_t after, std::int64_t dilation) {
  const std::int64_t room = size + before + after - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

void infer_shape(const Network& network, int position, Op& op) {
  infer(network, position, op);
  const Shape& shape = op.shape;
  const std::int64_t most = std::max({shape.channels, shape.height, shape.width});
  const bool sane = shape.flat ? shape.channels <= kLargestValue : most <= kLargestSide * 64;
  require(sane && shape.channels * shape.height <= kLargestValue && shape.elements() <= kLargestValue, position, op,
          "gives a value of more than 2^28 elements");
  const bool lawful = op.kind == Kind::kInput || op.kind == Kind::kConv || op.kind == Kind::kLinear ||
                      op.kind == Kind::kAvgPool || op.kind == Kind::kRescale;
  if (lawful) spread(op.law, position, op, shape.channels);
}

}  // namespace holdfast
