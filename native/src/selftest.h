// The known answers that an instruction set must give before it is used.
#pragma once

#include <cstdint>
#include <vector>

namespace holdfast {

// A small network with every operation, and images for it. tests/contracts/test_engines.py runs the same words through
// the reference executor.
struct SelfTest {
  std::vector<std::int32_t> program;
  std::vector<std::int8_t> weights;
  std::vector<std::int16_t> images;  // kImages of them
  static constexpr int kImages = 5;
  static constexpr int kClasses = 11;
  static constexpr int kChannels = 3, kHeight = 13, kWidth = 11;
  SelfTest();
};

// FNV-1a of the logits of all images, as computed by the reference executor.
constexpr std::uint64_t kSelfTestAnswer = 0x666d9a9821d4c1e9u;

std::uint64_t fnv1a(const std::vector<std::int32_t>& values);

}  // namespace holdfast
