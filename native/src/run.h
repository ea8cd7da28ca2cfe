// Runs a plan on images, noisy or not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "holdfast/noise.h"
#include "plan.h"

namespace holdfast {

// Logits of count int16 images; logits (count x classes) and labels may be null.
void run_images(const Plan& plan, const std::int16_t* images, std::size_t count, int threads, std::int32_t* logits,
                std::uint16_t* labels);

struct NoisyImage {
  const std::uint8_t* pixels;
  const NoiseTable* noise;
  PhiloxKey key;
  bool clip;  // noisy pixels to 0..255
};

// Labels of noisy copies start .. start+count-1; counts (one per class) are added to. Both may be null.
void label_noisy(const Plan& plan, const NoisyImage& image, std::uint64_t start, std::size_t count, int threads,
                 std::uint16_t* labels, std::int64_t* counts);

// Runs all steps on the first images of a batch; pixels are (images, channels, height, width).
void execute(const Plan& plan, std::int8_t* workspace, const std::int16_t* pixels, int images);

}  // namespace holdfast
