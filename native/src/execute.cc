// One batch of images through all steps, on one thread.
#include <algorithm>
#include <cstring>

#include "run.h"

namespace holdfast {
namespace {

std::size_t at(int position) { return static_cast<std::size_t>(position); }

// What a step needs to find its values.
struct Batch {
  const Plan& plan;
  std::int8_t* workspace;
  int first, images;  // of the batch

  const Layout& layout(int position) const { return plan.values[at(position)].layout; }

  std::int8_t* image(int position, int index) const {
    return workspace + plan.values[at(position)].offset +
           (layout(position).batched ? static_cast<std::size_t>(first + index) * layout(position).bytes() : 0);
  }

  // The first element of an image; int32 elements for raw values.
  std::int8_t* origin(int position, int index) const {
    return image(position, index) + layout(position).origin() * static_cast<std::int64_t>(layout(position).element());
  }

  View view(int position, int index) const {
    const Layout& in = layout(position);
    return {origin(position, index), in.row(), in.pixel, in.height, in.width, in.pixel / kBlock};
  }
};

void run_input(const Batch& batch, const Step& step, const Op& op, const std::int16_t* pixels) {
  for (int i = 0; i < batch.images; ++i)
    batch.plan.kernels->input({pixels + i * op.shape.elements(), op.shape.channels, op.center.data(),
                               batch.view(step.position, i), step.law.view()});
}

// The input of a convolution, with 128 added where its kernels want that.
const std::int8_t* dot_input(const Batch& batch, const Step& step) {
  const int source = step.sources[0];
  const std::size_t bytes = batch.layout(source).bytes();
  if (!step.conv.shifted) return batch.image(source, 0);
  std::int8_t* shifted = batch.workspace + batch.plan.scratch_offset;
  batch.plan.kernels->shift_signs(batch.image(source, 0), shifted, bytes * static_cast<std::size_t>(batch.images));
  return shifted;
}

ConvCall conv_call(const Batch& batch, const Step& step, const Op& op, const std::int8_t* in) {
  const Layout &from = batch.layout(step.sources[0]), &to = batch.layout(step.position);
  ConvCall call{};
  call.in = in + from.origin() - op.padding[0] * from.row() - op.padding[2] * from.pixel;
  call.in_row = op.stride[0] * from.row(), call.in_pixel = op.stride[1] * from.pixel;
  call.out = batch.origin(step.position, 0);
  call.out_row = to.row(), call.out_pixel = to.pixel;
  call.height = op.shape.height, call.width = op.shape.width;
  call.rows = step.conv.rows;
  call.skip_left = step.conv.skip_left, call.skip_right = step.conv.skip_right;
  if (op.residual) {
    const Layout& added = batch.layout(step.sources[1]);
    call.residual = batch.origin(step.sources[1], 0);
    call.residual_row = added.row(), call.residual_pixel = added.pixel;
  }
  return call;
}

void run_conv(const Batch& batch, const Step& step, const Op& op) {
  const PackedConv& packed = step.conv;
  const Layout& to = batch.layout(step.position);
  ConvCall call = conv_call(batch, step, op, dot_input(batch, step));
  call.images = batch.images;
  call.in_image = static_cast<std::ptrdiff_t>(batch.layout(step.sources[0]).bytes());
  call.out_image = static_cast<std::ptrdiff_t>(to.bytes() / to.element());
  call.residual_image = op.residual ? static_cast<std::ptrdiff_t>(batch.layout(step.sources[1]).bytes()) : 0;
  if (packed.depthwise) {
    const Depthwise conv{packed.offsets.data(),
                         packed.positions,
                         packed.weights.data(),
                         packed.bias.data(),
                         static_cast<int>(to.pixel / kBlock),
                         packed.signed_input,
                         step.law.view()};
    for (int i = 0; i < batch.images; ++i) {
      batch.plan.kernels->depthwise(conv, call);
      call.in += call.in_image, call.out = static_cast<std::int8_t*>(call.out) + call.out_image;
    }
    return;
  }
  if (call.height == 1 && call.width == 1) {  // the images are the pixels of one row
    call.images = 1, call.width = batch.images;
    call.in_pixel = call.in_image, call.out_pixel = call.out_image, call.residual_pixel = call.residual_image;
  }
  const Conv conv{packed.panels.data(), static_cast<int>(packed.panels.size()),
                  packed.bias.data(),   op.residual ? packed.factor.data() : nullptr,
                  packed.small_factor,  packed.shared,
                  packed.signed_input,  packed.short_runs,
                  op.law.raw,           packed.step_bytes,
                  packed.step_rows,     packed.mixed,
                  packed.lift.empty() ? nullptr : packed.lift.data(),
                  step.law.view()};
  if (!packed.tiled) return batch.plan.kernels->conv(conv, call);
  call.width /= packed.together, call.in_pixel *= packed.together;
  call.out_pixel *= packed.together, call.residual_pixel *= packed.together;
  batch.plan.kernels->conv_by_tiles(conv, call);
}

void run_pool(const Batch& batch, const Step& step, const Op& op) {
  const Layout& from = batch.layout(step.sources[0]);
  const Pool pool{{op.kernel[0], op.stride[0], op.padding[0], op.dilation[0], from.height},
                  {op.kernel[1], op.stride[1], op.padding[2], op.dilation[1], from.width},
                  op.law.raw,
                  step.law.view()};
  const auto kernel = op.kind == Kind::kMaxPool ? batch.plan.kernels->max_pool : batch.plan.kernels->average_pool;
  for (int i = 0; i < batch.images; ++i) kernel(pool, batch.view(step.sources[0], i), batch.view(step.position, i));
}

void run_rest(const Batch& batch, const Step& step, const Op& op) {
  const Kernels& kernels = *batch.plan.kernels;
  for (int i = 0; i < batch.images; ++i) {
    const View in = batch.view(step.sources[0], i), out = batch.view(step.position, i);
    if (op.kind == Kind::kRescale) {
      kernels.rescale(step.law.view(), in, out);
    } else {
      const AddCall call{{op.multipliers[0], op.multipliers[1]}, op.law.shift[0], op.law.low, op.law.high};
      kernels.add(call, in, batch.view(step.sources[1], i), out);
    }
  }
}

// Operations that only move values.

// So many bytes, most of them in blocks, which needs no call of memcpy.
inline void copy(std::int8_t* to, const std::int8_t* from, std::int64_t bytes) {
  std::int64_t at = 0;
  for (; at + kBlock <= bytes; at += kBlock) std::memcpy(to + at, from + at, kBlock);
  for (; at < bytes; ++at) to[at] = from[at];
}

void concatenate(const Batch& batch, const Step& step, const Op& op, int image) {
  const View out = batch.view(step.position, image);
  std::int64_t channel = 0;
  for (int source : step.sources) {
    const View in = batch.view(source, image);
    const std::int64_t channels = batch.plan.network.ops[at(source)].shape.channels;
    for (std::int64_t y = 0; y < op.shape.height; ++y)
      for (std::int64_t x = 0; x < op.shape.width; ++x)
        copy(out.data + y * out.row + x * out.pixel + channel, in.data + y * in.row + x * in.pixel, channels);
    channel += channels;
  }
}

void pad(const Batch& batch, const Step& step, const Op& op, int image) {
  const View in = batch.view(step.sources[0], image), out = batch.view(step.position, image);
  const std::int64_t channels = batch.plan.network.ops[at(step.sources[0])].shape.channels;
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x) {
      std::int8_t* to = out.data + y * out.row + x * out.pixel;
      for (std::int64_t c = 0; c < out.pixel; c += kBlock) std::memset(to + c, 0, kBlock);
      const std::int64_t from_y = y - op.before[1], from_x = x - op.before[2];
      if (from_y >= 0 && from_y < in.height && from_x >= 0 && from_x < in.width)
        copy(to + op.before[0], in.data + from_y * in.row + from_x * in.pixel, channels);
    }
}

void subsample(const Batch& batch, const Step& step, const Op& op, int image) {
  const View in = batch.view(step.sources[0], image), out = batch.view(step.position, image);
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x)
      copy(out.data + y * out.row + x * out.pixel, in.data + y * op.stride[0] * in.row + x * op.stride[1] * in.pixel,
           out.pixel);
}

template <class T>
void flatten(const View& in, std::int64_t channels, T* out) {
  const T* from = reinterpret_cast<const T*>(in.data);
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = 0; y < in.height; ++y)
      for (std::int64_t x = 0; x < in.width; ++x) *out++ = from[y * in.row + x * in.pixel + c];
}

void move(const Batch& batch, const Step& step, const Op& op, int image) {
  if (op.kind == Kind::kConcat) return concatenate(batch, step, op, image);
  if (op.kind == Kind::kPad) return pad(batch, step, op, image);
  if (op.kind == Kind::kSubsample) return subsample(batch, step, op, image);
  const View in = batch.view(step.sources[0], image);
  const std::int64_t channels = batch.plan.network.ops[at(step.sources[0])].shape.channels;
  if (op.law.raw)
    flatten(in, channels, reinterpret_cast<std::int32_t*>(batch.origin(step.position, image)));
  else
    flatten(in, channels, batch.origin(step.position, image));
}

void run_step(const Batch& batch, const Step& step, const std::int16_t* pixels) {
  const Op& op = batch.plan.network.ops[at(step.position)];
  switch (op.kind) {
    case Kind::kInput:
      return run_input(batch, step, op, pixels);
    case Kind::kConv:
    case Kind::kLinear:
      return run_conv(batch, step, op);
    case Kind::kMaxPool:
    case Kind::kAvgPool:
      return run_pool(batch, step, op);
    case Kind::kAdd:
    case Kind::kRescale:
      return run_rest(batch, step, op);
    default:
      for (int i = 0; i < batch.images; ++i) move(batch, step, op, i);
  }
}

}  // namespace

void execute(const Plan& plan, std::int8_t* workspace, const std::int16_t* pixels, int images) {
  const std::int64_t dimension = plan.network.ops[0].shape.elements();
  for (int i = 0; i < images; ++i)
    for (std::size_t at = 0; at < plan.split; ++at)
      run_step({plan, workspace, i, 1}, plan.steps[at], pixels + i * dimension);
  for (std::size_t at = plan.split; at < plan.steps.size(); ++at)
    run_step({plan, workspace, 0, images}, plan.steps[at], pixels);
}

}  // namespace holdfast
