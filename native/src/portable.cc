// Kernels in plain C++: for every machine, and the readable form of what the others compute.
#include "noise_steps.h"
#include "values.h"

namespace holdfast {
namespace {

struct Portable {
  static int longest_tile(int, const Conv&) { return 4; }

  static void requantise(const std::int32_t* sums, const Requant& law, std::int64_t channel, std::int8_t* out) {
    for (int i = 0; i < kBlock; ++i) {
      const std::int32_t shift = law.shift[channel + i];
      const std::int64_t product = static_cast<std::int64_t>(sums[i]) * law.multiplier[channel + i];
      std::int64_t y = (product + (std::int64_t{1} << (shift - 1))) >> shift;
      y = y < law.low ? law.low : y;
      out[i] = static_cast<std::int8_t>(y > law.high ? law.high : y);
    }
  }

  template <int kPixels>
  static void dot(const DotCall& call) {
    for (int p = 0; p < kPixels; ++p) {
      std::int32_t sums[kBlock];
      for (int i = 0; i < kBlock; ++i) sums[i] = call.bias[i];
      const std::int8_t* weight = call.weights;
      for (const std::int32_t* offset = call.offsets; offset < call.end; ++offset, weight += kBlock * kGroup) {
        const std::int8_t* in = call.in + p * call.in_pixel + *offset;
        for (int i = 0; i < kBlock; ++i)
          for (int k = 0; k < kGroup; ++k) sums[i] += in[k] * weight[i * kGroup + k];
      }
      for (int i = 0; i < kBlock; ++i) call.sums[p * kBlock + i] = sums[i];
    }
  }

  static Dot dot(int pixels, int, const Conv&, std::ptrdiff_t) {
    return pixels == 1 ? dot<1> : pixels == 2 ? dot<2> : pixels == 3 ? dot<3> : dot<4>;
  }

  static bool fuses(const Conv&) { return false; }

  static void finish(const FinishCall& call) { finish_by_blocks<Portable>(call); }
};

int one_block(std::int64_t, std::int64_t, bool) { return 1; }

}  // namespace

const Kernels kPortable = {"portable",
                           false,
                           one_block,
                           false,
                           0,
                           conv_rows<Portable>,
                           nullptr,
                           nullptr,
                           depthwise_by_blocks<Portable>,
                           input_by_channels<Portable>,
                           add_values,
                           rescale_by_blocks<Portable>,
                           max_pool_by_blocks,
                           average_pool_by_blocks<Portable>,
                           noise_by_groups,
                           add_image_by_pixels,
                           shift_all_signs};

}  // namespace holdfast
