#include "selftest.h"

#include <initializer_list>

#include "dispatch.h"
#include "failure.h"
#include "plan.h"
#include "run.h"

namespace holdfast {
namespace {

// Writes the program: numbers from a linear congruential generator, laws that keep activations alive.
class Writer {
 public:
  explicit Writer(SelfTest& test) : test_(test) {}

  int uniform(int low, int high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + static_cast<int>((state_ >> 33) % static_cast<std::uint64_t>(high - low + 1));
  }

  Writer& words(std::initializer_list<int> values) {
    for (int value : values) test_.program.push_back(value);
    return *this;
  }

  Writer& array(int count, int low, int high) {
    for (; count > 0; --count) test_.program.push_back(uniform(low, high));
    return *this;
  }

  // One pair per channel around multiplier / 2^shift.
  Writer& law(int channels, int multiplier, int shift, int low, int high) {
    words({channels, low, high}).array(channels, multiplier / 2, multiplier + multiplier / 2);
    for (; channels > 0; --channels) test_.program.push_back(shift);
    return *this;
  }

  Writer& weights(int count) {
    for (; count > 0; --count) test_.weights.push_back(static_cast<std::int8_t>(uniform(-127, 127)));
    return *this;
  }

 private:
  SelfTest& test_;
  std::uint64_t state_ = 20240607;
};

constexpr int kInput = 0, kConv = 1, kLinear = 2, kAdd = 3, kMaxPool = 4, kAvgPool = 5, kRescale = 6, kConcat = 7,
              kFlatten = 8, kPad = 9, kSubsample = 10;

void write_convolutions(Writer& to) {
  // 1: 3 to 20 channels, ReLU; 2: the same with a large residual (wide law), signed; 3: depthwise, stride 2, of signed
  // values
  to.words({kConv, 0, -1, 20, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1})
      .array(20, -9999, 9999)
      .law(20, 3400, 20, 0, 127)
      .weights(540);
  to.words({kConv, 1, 1, 20, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1})
      .array(20, -(1 << 25), 1 << 25)
      .array(20, 1 << 18, 1 << 19);
  to.law(20, 8, 21, -127, 127).weights(3600);
  to.words({kConv, 2, -1, 20, 1, 3, 3, 20, 2, 2, 1, 1, 1, 1, 1, 1})
      .array(20, -999, 999)
      .law(20, 5000, 20, 0, 127)
      .weights(180);
  // 4: groups, dilation and uneven padding; 5: 64 and more channels, a small residual; 6: the same, once more
  to.words({kConv, 3, -1, 40, 10, 2, 3, 2, 1, 1, 1, 1, 2, 2, 2, 2})
      .array(40, -999, 999)
      .law(40, 2000, 20, 0, 127)
      .weights(2400);
  to.words({kConv, 4, -1, 70, 40, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1})
      .array(70, -999, 999)
      .law(70, 2500, 20, 0, 127)
      .weights(2800);
  to.words({kConv, 5, 5, 70, 70, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}).array(70, -999, 999).array(70, 0, 900);
  to.law(70, 700, 20, 0, 127).weights(44100);
}

void write_rest(Writer& to) {
  to.words({kMaxPool, 6, 3, 2, 2, 1, 1, 1, 0, 1, 1, 1});                       // 7
  to.words({kAvgPool, 6, 3, 3, 2, 1, 1, 1, 1, 1, 1, -127, 127, 1 << 19, 22});  // 8
  to.words({kSubsample, 6, 2, 2});                                             // 9
  to.words({kPad, 9, 3, 0, 0, 5, 0, 0});                                       // 10: 78 channels
  to.words({kRescale, 9}).law(70, 900, 10, -100, 90);                          // 11
  to.words({kConcat, 2, 10, 11});                                              // 12: 148 channels
  to.words({kConv, 12, -1, 70, 148, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1})
      .array(70, -99, 99)
      .law(70, 900, 20, -127, 127)
      .weights(10360);
  to.words({kConv, 8, -1, 33, 70, 3, 3, 1, 2, 2, 1, 1, 1, 1, 1, 1})
      .array(33, -99, 99)
      .law(33, 700, 20, 0, 127)
      .weights(20790);
  to.words({kFlatten, 13});  // 15
  to.words({kFlatten, 14});  // 16
  to.words({kFlatten, 7});   // 17
}

}  // namespace

SelfTest::SelfTest() {
  Writer to(*this);
  to.words({kProgramMagic, kLawVersion, 23, kInput, kChannels, kHeight, kWidth}).array(kChannels, 100, 140);
  to.law(kChannels, 700, 10, -127, 127);
  write_convolutions(to);
  write_rest(to);
  const int a = 70 * 4 * 3, b = 33 * 2 * 3, c = 70 * 4 * 6;                                              // 15, 16, 17
  to.words({kLinear, 15, -1, 50, a}).array(50, -999, 999).law(50, 900, 20, 0, 127).weights(50 * a);      // 18
  to.words({kLinear, 16, -1, 50, b}).array(50, -999, 999).law(50, 1400, 20, -127, 127).weights(50 * b);  // 19
  to.words({kLinear, 17, 18, 50, c})
      .array(50, -999, 999)
      .array(50, 0, 40000)
      .law(50, 400, 20, 0, 127)
      .weights(50 * c);                                       // 20
  to.words({kAdd, 19, 20, 3000000, 2500000, 22, -127, 120});  // 21
  to.words({kLinear, 21, -1, kClasses, 50}).array(kClasses, -9999, 9999).words({0}).weights(50 * kClasses);
  for (int i = 0; i < kImages * kChannels * kHeight * kWidth; ++i)
    images.push_back(static_cast<std::int16_t>(i % 97 == 0 ? to.uniform(-32768, 32767) : to.uniform(-100, 355)));
}

std::uint64_t fnv1a(const std::vector<std::int32_t>& values) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (std::int32_t value : values)
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ (static_cast<std::uint32_t>(value) >> shift & 0xFF)) * 0x100000001B3u;
  return hash;
}

void self_test(const Kernels& kernels) {
  const SelfTest test;
  const Plan plan =
      make_plan(test.program.data(), test.program.size(), test.weights.data(), test.weights.size(), kernels);
  std::vector<std::int32_t> logits(SelfTest::kImages * SelfTest::kClasses);
  run_images(plan, test.images.data(), SelfTest::kImages, 1, logits.data(), nullptr);
  if (fnv1a(logits) != kSelfTestAnswer) throw_wrong_answers(kernels);
}

void throw_wrong_answers(const Kernels& kernels) {
  throw Failure(HF_SELF_TEST_FAILED, "the kernels for %s give wrong answers on this machine; they are not used",
                kernels.name);
}

}  // namespace holdfast
