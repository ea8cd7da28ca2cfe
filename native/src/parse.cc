// From words to a network. The grammar, in 32-bit words:
//
//   program  = magic, law version, number of operations, operation ...
//   law      = number of pairs n (0: raw), [low, high, multiplier * n, shift * n]
//   Input    = 0, C, H, W, center * C, law
//   Conv     = 1, source, residual or -1, O, I per group, kH, kW, groups, stride * 2, padding * 4, dilation * 2,
//              bias * O, [factor * O], law                     and O * I * kH * kW bytes of weights
//   Linear   = 2, source, residual or -1, O, F, bias * O, [factor * O], law     and O * F bytes of weights
//   Add      = 3, a, b, multiplier a, multiplier b, shift, low, high
//   MaxPool  = 4, source, kernel * 2, stride * 2, padding * 4, dilation * 2
//   AvgPool  = 5, source, kernel * 2, stride * 2, padding * 4, law
//   Rescale  = 6, source, law
//   Concat   = 7, n, source * n
//   Flatten  = 8, source
//   Pad      = 9, source, before * 3, after * 3
//   Subsample = 10, source, stride * 2
//
// Weights lie one operation after the other in the second array. Nothing may be left over.
#include "failure.h"
#include "network.h"

namespace holdfast {
namespace {

constexpr std::int64_t kLargestOps = 1 << 14, kLargestSide = 1 << 16, kLargestValue = 1 << 28, kLargestWidth = 1 << 22,
                       kMostWeights = 1 << 30;

class Reader {
 public:
  Reader(const std::int32_t* words, std::size_t count, const std::int8_t* weights, std::size_t weight_count)
      : word_(words), end_(words + count), weight_(weights), weight_end_(weights + weight_count) {}

  std::int32_t take() {
    if (word_ == end_) throw Failure(HF_BAD_PROGRAM, "the program ends inside operation %d", position_);
    return *word_++;
  }

  std::int32_t take(std::int64_t low, std::int64_t high, const char* what) {
    const std::int32_t value = take();
    if (value < low || value > high)
      throw Failure(HF_BAD_NETWORK, "operation %d: %s must lie in [%lld, %lld], not %d", position_, what,
                    static_cast<long long>(low), static_cast<long long>(high), value);
    return value;
  }

  std::vector<std::int32_t> array(std::int64_t count, std::int64_t low, std::int64_t high, const char* what) {
    if (count > end_ - word_) throw Failure(HF_BAD_PROGRAM, "the program ends inside operation %d", position_);
    std::vector<std::int32_t> values(static_cast<std::size_t>(count));
    for (std::int32_t& value : values) value = take(low, high, what);
    return values;
  }

  void sides(std::int64_t* values, int count, std::int64_t low, const char* what) {
    for (int i = 0; i < count; ++i) values[i] = take(low, kLargestSide, what);
  }

  void weights(Op& op) {
    op.weight_count = static_cast<std::size_t>(op.outputs * op.inputs * op.kernel[0] * op.kernel[1]);
    if (op.weight_count > static_cast<std::size_t>(weight_end_ - weight_))
      throw Failure(HF_BAD_PROGRAM, "the weights end inside operation %d", position_);
    op.weight = weight_;
    weight_ += op.weight_count;
    for (std::size_t i = 0; i < op.weight_count; ++i)
      if (op.weight[i] == -128) throw Failure(HF_BAD_NETWORK, "operation %d: a weight is -128", position_);
  }

  int source() { return take(0, position_ - 1, "a source"); }
  void begin(int position) { position_ = position; }

  void finish() const {
    if (word_ != end_ || weight_ != weight_end_)
      throw Failure(HF_BAD_PROGRAM, "%lld words and %lld weights are left over", static_cast<long long>(end_ - word_),
                    static_cast<long long>(weight_end_ - weight_));
  }

 private:
  const std::int32_t *word_, *end_;
  const std::int8_t *weight_, *weight_end_;
  int position_ = 0;
};

Law read_law(Reader& from) {
  Law law;
  const std::int32_t pairs = from.take(0, kLargestValue, "the number of multipliers");
  law.raw = pairs == 0;
  if (law.raw) return law;
  law.low = from.take(-127, 127, "a clamp");
  law.high = from.take(law.low, 127, "a clamp");
  law.multiplier = from.array(pairs, 0, (1 << 22) - 1, "a multiplier");
  law.shift = from.array(pairs, 1, 52, "a shift");
  return law;
}

Law read_clamped_law(Reader& from, int position) {
  Law law = read_law(from);
  if (law.raw) throw Failure(HF_BAD_NETWORK, "operation %d: must requantise", position);
  return law;
}

void read_weighted(Reader& from, Op& op) {
  op.sources.push_back(from.source());
  const std::int32_t residual = from.take(-1, kLargestOps, "a residual");
  op.outputs = from.take(1, kLargestValue, "the number of outputs");
  op.inputs = from.take(1, kLargestValue, "the number of inputs");
  if (op.kind == Kind::kConv) {
    from.sides(op.kernel, 2, 1, "a kernel");
    op.groups = from.take(1, kLargestValue, "the number of groups");
    from.sides(op.stride, 2, 1, "a stride");
    from.sides(op.padding, 4, 0, "padding");
    from.sides(op.dilation, 2, 1, "a dilation");
  }
  if (op.outputs * op.inputs > kMostWeights || op.outputs * op.inputs * op.kernel[0] * op.kernel[1] > kMostWeights)
    throw Failure(HF_BAD_NETWORK, "an operation has more than 2^30 weights");
  op.bias = from.array(op.outputs, INT32_MIN, INT32_MAX, "a bias");
  op.residual = residual >= 0;
  if (op.residual) {
    op.sources.push_back(residual);
    op.factor = from.array(op.outputs, 0, INT32_MAX, "a residual factor");
  }
  op.law = read_law(from);
  from.weights(op);
}

void read_pool(Reader& from, Op& op) {
  op.sources.push_back(from.source());
  from.sides(op.kernel, 2, 1, "a kernel");
  from.sides(op.stride, 2, 1, "a stride");
  from.sides(op.padding, 4, 0, "padding");
  if (op.kind == Kind::kMaxPool)
    from.sides(op.dilation, 2, 1, "a dilation");
  else
    op.law = read_law(from);
}

void read_add(Reader& from, Op& op) {
  op.sources = {from.source(), from.source()};
  for (std::int32_t& multiplier : op.multipliers) multiplier = from.take(0, (1 << 22) - 1, "a multiplier");
  op.law.shift = {from.take(1, 52, "a shift")};
  op.law.low = from.take(-127, 127, "a clamp");
  op.law.high = from.take(op.law.low, 127, "a clamp");
}

void read_input(Reader& from, Op& op) {
  op.shape.channels = from.take(1, 64 * kLargestSide, "the number of channels");
  op.shape.height = from.take(1, 64 * kLargestSide, "the height");
  op.shape.width = from.take(1, 64 * kLargestSide, "the width");
  op.center = from.array(op.shape.channels, -32767, 32767, "a center");
  op.law = read_clamped_law(from, 0);
}

Op read_op(Reader& from, int position) {
  from.begin(position);
  Op op;
  op.kind = static_cast<Kind>(from.take(0, static_cast<int>(Kind::kSubsample), "the kind"));
  if ((op.kind == Kind::kInput) != (position == 0))
    throw Failure(HF_BAD_NETWORK, "operation %d: the first operation, and no other, is the input", position);
  switch (op.kind) {
    case Kind::kInput:
      read_input(from, op);
      break;
    case Kind::kConv:
    case Kind::kLinear:
      read_weighted(from, op);
      break;
    case Kind::kAdd:
      read_add(from, op);
      break;
    case Kind::kMaxPool:
    case Kind::kAvgPool:
      read_pool(from, op);
      break;
    case Kind::kConcat:
      for (int left = from.take(1, kLargestWidth, "the number of sources"); left > 0; --left)
        op.sources.push_back(from.source());
      break;
    default:
      op.sources.push_back(from.source());
  }
  if (op.kind == Kind::kRescale) op.law = read_clamped_law(from, position);
  if (op.kind == Kind::kPad) {
    from.sides(op.before, 3, 0, "padding");
    from.sides(op.after, 3, 0, "padding");
  }
  if (op.kind == Kind::kSubsample) from.sides(op.stride, 2, 1, "a stride");
  return op;
}

}  // namespace

const char* kind_name(Kind kind) {
  static const char* const names[] = {"Input",   "Conv",   "Linear",  "Add", "MaxPool",  "AvgPool",
                                      "Rescale", "Concat", "Flatten", "Pad", "Subsample"};
  return names[static_cast<int>(kind)];
}

Network parse(const std::int32_t* program, std::size_t words, const std::int8_t* weights, std::size_t weight_count) {
  Reader from(program, words, weights, weight_count);
  if (from.take() != kProgramMagic) throw Failure(HF_BAD_PROGRAM, "these words are no program");
  const std::int32_t law = from.take();
  if (law != kLawVersion) throw Failure(HF_BAD_PROGRAM, "law version %d is unknown; this engine runs version 1", law);
  const std::int32_t count = from.take(2, kLargestOps, "the number of operations");
  Network network;
  std::int64_t channels = 0;
  for (int position = 0; position < count; ++position) {
    Op op = read_op(from, position);
    for (int source : op.sources)
      if (source >= position)
        throw Failure(HF_BAD_NETWORK, "operation %d reads value %d, which is not an earlier one", position, source);
    infer_shape(network, position, op);
    if ((channels += op.shape.channels) > kLargestWidth)
      throw Failure(HF_BAD_NETWORK, "the network has more than 2^22 channels and features up to operation %d",
                    position);
    prove_ranges(network, position, op);
    network.ops.push_back(std::move(op));
  }
  from.finish();
  std::vector<bool> read(network.ops.size(), false);
  for (const Op& op : network.ops)
    for (int source : op.sources) read[static_cast<std::size_t>(source)] = true;
  for (int position = 0; position + 1 < count; ++position)
    if (!read[static_cast<std::size_t>(position)]) throw Failure(HF_BAD_NETWORK, "value %d is never read", position);
  const Shape& last = network.ops.back().shape;
  if (!last.flat || last.channels < 2 || last.channels > 1 << 16)
    throw Failure(HF_BAD_NETWORK, "the logits must be one flat value of 2 to 65536 numbers");
  return network;
}

}  // namespace holdfast
