// Where values lie. Values of one layout share a few buffers, so that the zeros around them are written only once.
#include <algorithm>

#include "failure.h"
#include "plan.h"

namespace holdfast {
namespace {

constexpr std::size_t kLargestWorkspace = std::size_t{1} << 32;
constexpr std::size_t kLargestBatch = 16;
constexpr std::size_t kBatchBytes = 1 << 20;        // of the values of one step, for all images of a batch
constexpr std::size_t kHeavyBytes = 256 << 10;      // weights that do not stay in a cache from image to image
constexpr std::size_t kWorthwhileBytes = 16 << 10;  // weights for which a batch is made at all

std::size_t at(int position) { return static_cast<std::size_t>(position); }

// The input may keep up to four channels in four bytes where only dense convolutions read it.
bool may_be_narrow(const Plan& plan, int position) {
  const Op& op = plan.network.ops[at(position)];
  if (op.kind != Kind::kInput || op.shape.channels > kGroup || op.shape.height * op.shape.width == 1) return false;
  for (const Step& step : plan.steps) {
    const Op& reader = plan.network.ops[at(step.position)];
    for (std::size_t i = 0; i < step.sources.size(); ++i)
      if (step.sources[i] == position &&
          (reader.kind != Kind::kConv || i > 0 || is_depthwise(reader, op.shape.channels)))
        return false;
  }
  return true;
}

void shape_layouts(Plan& plan) {
  for (std::size_t position = 0; position < plan.values.size(); ++position) {
    const Op& op = plan.network.ops[position];
    Layout& layout = plan.values[position].layout;
    layout.height = op.shape.height, layout.width = op.shape.width, layout.raw = op.law.raw;
    layout.pixel = may_be_narrow(plan, static_cast<int>(position)) ? kGroup : round_up(op.shape.channels, kBlock);
  }
  for (const Step& step : plan.steps) {
    const Op& op = plan.network.ops[at(step.position)];
    if (op.kind != Kind::kConv) continue;
    Layout& layout = plan.values[at(plan.values[at(step.sources[0])].owner)].layout;
    for (int side = 0; side < 4; ++side) layout.border[side] = std::max(layout.border[side], op.padding[side]);
  }
  for (Value& value : plan.values) {
    if (value.owner < 0 || !value.stored) continue;
    value.layout = plan.values[at(value.owner)].layout;
    const Layout& layout = value.layout;
    const std::int64_t rows = layout.height + layout.border[0] + layout.border[1];
    if (rows * layout.row() >= (std::int64_t{1} << 31) / 4)
      throw Failure(HF_OUT_OF_MEMORY, "a value with its padding takes more than 2^29 elements");
  }
}

// One piece of the workspace; its layout never changes.
struct Buffer {
  Layout layout;
  std::size_t offset;
  int free_after;  // position of the last step that reads what is in it
};

// A residual that is read for the last time gives its memory to the result, which replaces it block by block.
const Buffer* residual_buffer(const Plan& plan, const Step& step, const std::vector<Buffer>& buffers) {
  const Op& op = plan.network.ops[at(step.position)];
  if (!op.residual) return nullptr;
  const Value& residual = plan.values[at(plan.values[at(step.sources[1])].owner)];
  const bool alone = plan.values[at(step.sources[0])].owner != residual.owner;
  if (!alone || residual.last_reader > step.position || !(residual.layout == plan.values[at(step.position)].layout))
    return nullptr;
  for (const Buffer& buffer : buffers)
    if (buffer.offset == residual.offset) return &buffer;
  return nullptr;
}

Buffer& find_buffer(const Plan& plan, const Step& step, std::vector<Buffer>& buffers, std::size_t& total) {
  if (const Buffer* found = residual_buffer(plan, step, buffers))
    return buffers[static_cast<std::size_t>(found - buffers.data())];
  const Layout& layout = plan.values[at(step.position)].layout;
  for (Buffer& buffer : buffers)
    if (buffer.free_after < step.position && buffer.layout == layout) return buffer;
  buffers.push_back({layout, total, -1});
  total += layout.bytes() * (layout.batched ? static_cast<std::size_t>(plan.batch) : 1);
  if (total > kLargestWorkspace) throw Failure(HF_OUT_OF_MEMORY, "the activations of one image take more than 4 GiB");
  return buffers.back();
}

void place(Plan& plan) {
  std::vector<Buffer> buffers;
  std::size_t total = 0;
  for (const Step& step : plan.steps) {
    Value& value = plan.values[at(step.position)];
    Buffer& buffer = find_buffer(plan, step, buffers, total);
    value.offset = buffer.offset;
    buffer.free_after = value.last_reader;
  }
  for (Value& value : plan.values)
    if (value.stored) value.offset = plan.values[at(value.owner)].offset;
  plan.scratch_offset = total;
  std::size_t scratch = 0;
  for (const Step& step : plan.steps) {
    const Op& op = plan.network.ops[at(step.position)];
    if (!plan.kernels->unsigned_only || (op.kind != Kind::kConv && op.kind != Kind::kLinear)) continue;
    const Layout& in = plan.values[at(step.sources[0])].layout;
    scratch = std::max(scratch, in.bytes() * (in.batched ? static_cast<std::size_t>(plan.batch) : 1));
  }
  plan.workspace_bytes = total + scratch + kCacheLine;
}

std::size_t bytes_of(const Plan& plan, const Step& step) {
  std::size_t bytes = plan.values[at(step.position)].layout.bytes();
  for (int source : step.sources) bytes += plan.values[at(source)].layout.bytes();
  return bytes;
}

// Whether a step's weights are better used for several images at a time; steps without weights follow the others.
bool wants_batch(const Plan& plan, const Step& step) {
  const Op& op = plan.network.ops[at(step.position)];
  if (op.weight_count == 0) return bytes_of(plan, step) <= kHeavyBytes;
  if (op.shape.height * op.shape.width == 1) return true;
  return op.weight_count >= std::max(kHeavyBytes, 2 * bytes_of(plan, step));
}

// Finds the last steps that all want a batch, and how large it may be.
void choose_batch(Plan& plan) {
  std::size_t first = plan.steps.size(), weights = 0, most = 1;
  plan.split = first;
  while (first > 0 && wants_batch(plan, plan.steps[first - 1])) {
    const Step& step = plan.steps[--first];
    weights += plan.network.ops[at(step.position)].weight_count;
    most = std::max(most, bytes_of(plan, step));
    if (plan.network.ops[at(step.position)].weight_count > 0) plan.split = first;
  }
  if (weights < kWorthwhileBytes) plan.split = plan.steps.size();
  if (plan.split == plan.steps.size()) return;
  plan.batch = static_cast<int>(std::clamp<std::size_t>(kBatchBytes / most, 1, kLargestBatch));
  for (std::size_t i = plan.split; i < plan.steps.size(); ++i) {
    plan.values[at(plan.steps[i].position)].layout.batched = true;
    for (int source : plan.steps[i].sources) plan.values[at(plan.values[at(source)].owner)].layout.batched = true;
  }
  for (Value& value : plan.values) value.layout.batched = plan.values[at(value.owner)].layout.batched;
}

}  // namespace

std::size_t Layout::bytes() const {
  const std::int64_t rows = height + border[0] + border[1];
  return static_cast<std::size_t>(round_up(rows * row() * static_cast<std::int64_t>(element()) + kSlack, kCacheLine));
}

bool Layout::operator==(const Layout& other) const {
  return pixel == other.pixel && std::equal(border, border + 4, other.border) && height == other.height &&
         width == other.width && raw == other.raw && batched == other.batched;
}

void lay_out(Plan& plan) {
  for (const Step& step : plan.steps)
    for (int source : step.sources) {
      Value& owner = plan.values[at(plan.values[at(source)].owner)];
      owner.last_reader = std::max(owner.last_reader, step.position);
    }
  Value& logits = plan.values[at(plan.values.back().owner)];
  logits.last_reader = static_cast<int>(plan.values.size());
  shape_layouts(plan);
  choose_batch(plan);
  place(plan);
}

}  // namespace holdfast
