// What an instruction set provides: one table of functions with the same meaning, one file per instruction set.
//
// Activations are int8, channels last. Channels come in blocks of 16 and arrays per channel are padded to whole blocks,
// so kernels read and write whole blocks (laws and biases are padded to four blocks). Padded channels hold anything: no
// weight other than zero ever meets them. Files of instruction sets include nothing that could put a shared inline
// function into the library, because that function would be compiled for an instruction set the machine may lack.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

constexpr int kBlock = 16;      // channels of a block
constexpr int kGroup = 4;       // input channels of one step of a dot product
constexpr int kMaxBlocks = 4;   // blocks that a panel holds at most
constexpr int kSlack = 64;      // bytes that may be read beyond the end of a value
constexpr int kTileRows = 16;   // windows that a matrix instruction takes at most
constexpr int kTileBytes = 64;  // inputs of each that it takes at most
constexpr int kTileBlocks = 2;  // blocks of a panel for matrix instructions

// Added to a sum below 2^22 in magnitude, kLift makes its bits those of the float32 kLiftedZero + sum, which needs no
// conversion. Then (kLiftedZero + sum) * ratio + lift, with lift = 1/2 - kLiftedZero * ratio, is sum * ratio + 1/2.
constexpr std::int32_t kLift = 0x4B400000;
constexpr double kLiftedZero = 12582912;  // 3/2 * 2^23

// The law for the channels of one operation.
struct Requant {
  const std::int32_t* multiplier;
  const std::int32_t* shift;
  const float* ratio;        // multiplier / 2^shift, exact
  const double* wide_ratio;  // the same
  std::int32_t low, high;
  // Every accumulator is at most 2^24 and every result below 2^30 in magnitude. Then the accumulator is a float32, and
  // acc * ratio + 1/2 in one multiply-add that rounds down has the floor of the exact value.
  bool narrow;
};

// Blocks of outputs that read the same input channels. By tiles, a step is a run of step_bytes inputs, and weights lie
// as [step][block][step_bytes / 4][16 outputs][4 inputs]; a run reads on beyond the window where its weights are 0.
struct Panel {
  int first;                    // its first block
  int blocks;                   // 1 .. kMaxBlocks
  int row_steps;                // steps per row of the kernel; by tiles, all of them
  const std::int32_t* offsets;  // of each step, from the window's first byte: kernel row, kernel column, channel group
  const std::int8_t* weights;   // [step][block][16 outputs][4 inputs]; sharing: [step][3 columns][block][16][4]
  const std::uint8_t* runs;     // how many steps from this one on have products that add up in int16; see runs.cc
};

struct Conv {
  const Panel* panels;
  int panel_count;
  const std::int32_t* bias;    // compensated where the input is read with 128 added
  const std::int32_t* factor;  // of the residual, or null
  bool small_factor;           // every factor is below 2^15
  bool shared;                 // the 3 columns of a kernel row share their inputs: stride 1, no dilation
  bool signed_input;           // inputs may be negative
  bool short_runs;             // no run is longer than two steps
  bool raw;                    // leaves int32 accumulators
  // By tiles only:
  int step_bytes;
  std::ptrdiff_t step_rows;  // from one row of the kernel to the next, if it has three; its steps come in threes then
  bool mixed;                // the law is narrow, without an upper clamp below 127 or a large factor
  const float* lift;         // or null: kLift was added to the biases, and this is 1/2 - kLiftedZero * ratio
  Requant law;
};

// Where windows lie along one side of a value.
struct Side {
  std::int64_t kernel, stride, padding, dilation, size;
};

struct ConvCall {
  const std::int8_t* in;  // first byte of the first window
  std::ptrdiff_t in_row, in_pixel;
  void* out;  // int8, or int32 if raw; strides in elements
  std::ptrdiff_t out_row, out_pixel;
  const std::int8_t* residual;  // or null
  std::ptrdiff_t residual_row, residual_pixel;
  std::int64_t images;  // of the same layout, at these distances
  std::ptrdiff_t in_image, out_image, residual_image;
  std::int64_t height, width;
  Side rows;  // rows of the kernel outside the value are left out
  bool skip_left, skip_right;  // sharing: the outer columns of the first and last window lie in the padding
};

// A convolution of every channel by itself.
struct Depthwise {
  const std::int32_t* offsets;  // of kernel positions, padded to a multiple of 4 with a position that has weights 0
  int positions;                // a multiple of 4
  const std::int8_t* weights;
  const std::int32_t* bias;
  int blocks;
  bool signed_input;
  Requant law;
};

// Where the weight of a channel at a kernel position lies: four blocks together, [blocks / 4][position / 4][quarter of
// a block][block of the four][4 channels][4 positions], which is how bytes fall when four positions are interleaved.
static inline std::ptrdiff_t depthwise_index(std::ptrdiff_t channel, std::ptrdiff_t position,
                                             std::ptrdiff_t positions) {
  const std::ptrdiff_t four = channel / 64 * (positions / kGroup) + position / kGroup;
  return ((four * 4 + channel / 4 % 4) * 4 + channel / kBlock % 4) * 16 + channel % 4 * kGroup + position % kGroup;
}

struct View {
  std::int8_t* data;
  std::ptrdiff_t row, pixel;
  std::int64_t height, width, blocks;
};

struct Pool {
  Side rows, columns;
  bool raw;  // an average that leaves its sum in int32; strides of the output are then in elements
  Requant law;
};

struct InputCall {
  const std::int16_t* pixels;  // noisy, (channels, height, width)
  std::int64_t channels;
  const std::int32_t* center;
  View out;  // pixel may be 4: up to four channels
  Requant law;
};

struct AddCall {
  std::int32_t multipliers[2], shift, low, high;
};

class NoiseTable;

struct NoiseCall {
  const NoiseTable* table;
  const std::uint32_t* cells;  // of the table
  std::uint32_t k0, k1;        // Philox key
  std::uint64_t sample;
  std::int64_t first, groups;  // the first coordinate, and how many groups of kNoiseGroup are drawn
  std::int16_t* out;
};

constexpr int kNoiseGroup = 64;  // coordinates that are drawn together; call.first is a multiple of it

// The value of a word that a cell does not decide. Not of an instruction set: in fill_noise.cc.
std::int16_t decide(const NoiseCall& call, std::int64_t coordinate, std::uint32_t word);

struct Kernels {
  const char* name;
  bool unsigned_only;  // dot products want inputs in [0, 255]: 128 is added to signed ones
  // How many of so many blocks the next panel takes, for rows of so many pixels.
  int (*panel_blocks)(std::int64_t blocks, std::int64_t width, bool shared);
  bool shares_columns;
  double long_runs;  // steps of an average run from which on long runs are faster; 0 where Panel::runs is of no use
  void (*conv)(const Conv& conv, const ConvCall& call);
  // Null where there are no matrix instructions; pack_tiles.cc decides where they are worth it, and never shifts
  // inputs.
  void (*conv_by_tiles)(const Conv& conv, const ConvCall& call);
  void (*leave)();  // after the last of those on a thread; null where they are
  void (*depthwise)(const Depthwise& conv, const ConvCall& call);
  void (*input)(const InputCall& call);
  void (*add)(const AddCall& call, const View& a, const View& b, const View& out);
  void (*rescale)(const Requant& law, const View& in, const View& out);
  void (*max_pool)(const Pool& pool, const View& in, const View& out);
  void (*average_pool)(const Pool& pool, const View& in, const View& out);
  void (*noise)(const NoiseCall& call);
  // pixels += image, clipped to 0..255 if so wanted, else to int16.
  void (*add_image)(const std::uint8_t* image, std::int64_t dimension, bool clip, std::int16_t* pixels);
  // 128 to every byte, modulo 256.
  void (*shift_signs)(const std::int8_t* in, std::int8_t* out, std::size_t bytes);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512Vnni;
#if defined(HOLDFAST_AMX)
extern const Kernels kAmxInt8;  // those of AVX-512 VNNI, and amxint8.cc's
void amx_conv(const Conv& conv, const ConvCall& call);
void amx_leave();
#endif
#elif defined(__aarch64__)
extern const Kernels kNeon;
#endif

}  // namespace holdfast
