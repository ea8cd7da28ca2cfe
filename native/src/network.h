// The integer network as plain values: what a program says, once it has been parsed and proved to obey the law.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace holdfast {

constexpr int kLawVersion = 1;
constexpr std::int32_t kProgramMagic = 0x48464931;  // "HFI1"

enum class Kind : std::int32_t {
  kInput,
  kConv,
  kLinear,
  kAdd,
  kMaxPool,
  kAvgPool,
  kRescale,
  kConcat,
  kFlatten,
  kPad,
  kSubsample
};

const char* kind_name(Kind kind);

// (C, H, W) of a value; a flat value of F features is (F, 1, 1) with flat set.
struct Shape {
  std::int64_t channels = 0, height = 0, width = 0;
  bool flat = false;
  std::int64_t elements() const { return channels * height * width; }
  bool operator==(const Shape& other) const {
    return channels == other.channels && height == other.height && width == other.width && flat == other.flat;
  }
};

// y = clamp((acc * multiplier + 2^(shift-1)) >> shift, low, high), one pair per channel; raw: the accumulator itself.
struct Law {
  bool raw = false;
  std::vector<std::int32_t> multiplier, shift;
  std::int32_t low = 0, high = 0;
};

struct Op {
  Kind kind = Kind::kInput;
  std::vector<int> sources;  // values read; a residual comes last
  bool residual = false;
  std::int64_t outputs = 0, inputs = 0, groups = 1;  // inputs of one group
  std::int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, padding[4] = {0, 0, 0, 0}, dilation[2] = {1, 1};
  std::int64_t before[3] = {0, 0, 0}, after[3] = {0, 0, 0};
  const std::int8_t* weight = nullptr;  // (outputs, inputs, kernel rows, kernel columns)
  std::size_t weight_count = 0;
  std::vector<std::int32_t> bias, factor, center;
  Law law;
  std::int32_t multipliers[2] = {0, 0};  // of an addition, with law.shift[0]

  // Found by the checks.
  Shape shape;
  std::vector<std::int8_t> low, high;  // proved interval of every channel; empty for raw values
  std::int64_t bound = 0;              // proved bound of every partial sum behind the value
};

struct Network {
  std::vector<Op> ops;
};

// Reads a program; weights stay where they are. Throws Failure.
Network parse(const std::int32_t* program, std::size_t words, const std::int8_t* weights, std::size_t weight_count);

// Infers op.shape from the earlier operations; throws Failure where something does not fit.
void infer_shape(const Network& network, int position, Op& op);

// Proves that no accumulator leaves int32 and no product leaves 2^53; fills low, high and bound. Throws Failure.
void prove_ranges(const Network& network, int position, Op& op);

// Windows along a side: floor((size + before + after - dilation (kernel - 1) - 1) / stride) + 1, or less than 1.
std::int64_t windows(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t before,
                     std::int64_t after, std::int64_t dilation);

}  // namespace holdfast
