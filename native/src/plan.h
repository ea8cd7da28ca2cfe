// A network prepared for one instruction set: where values lie, packed weights, and the steps in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "kernels.h"
#include "network.h"

namespace holdfast {

constexpr std::size_t kCacheLine = 64;

template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{kCacheLine})); }
  void deallocate(T* at, std::size_t) { ::operator delete (at, std::align_val_t{kCacheLine}); }
  bool operator==(const LineAllocator&) const { return true; }
  bool operator!=(const LineAllocator&) const { return false; }
};

template <class T>
using Lines = std::vector<T, LineAllocator<T>>;

// How a value lies in memory: channels last, rows and columns of zeros around it.
struct Layout {
  std::int64_t pixel = 0;                 // elements from pixel to pixel
  std::int64_t border[4] = {0, 0, 0, 0};  // zeros: rows above and below, columns left and right
  std::int64_t height = 0, width = 0;
  bool raw = false;      // elements are int32, else int8
  bool batched = false;  // each image of a batch has its own, one after the other
  std::int64_t row() const { return (width + border[2] + border[3]) * pixel; }
  std::int64_t origin() const { return border[0] * row() + border[2] * pixel; }
  std::size_t element() const { return raw ? sizeof(std::int32_t) : 1; }
  std::size_t bytes() const;  // of one image, rounded up to whole cache lines
  bool operator==(const Layout& other) const;
};

struct Value {
  Layout layout;
  bool stored = true;      // false: the only readers look through it (a flattened value read by linear layers)
  int owner = -1;          // the value whose memory this is: itself, or what it is a view of
  int last_reader = -1;    // position of the last step that reads the memory
  std::size_t offset = 0;  // in the workspace; of the first image, if batched
};

// The law's numbers for every channel, in the forms that kernels read.
struct PackedLaw {
  Lines<std::int32_t> multiplier, shift;
  Lines<float> ratio;
  Lines<double> wide_ratio;
  std::int32_t low = 0, high = 0;
  bool narrow = false;
  Requant view() const { return {multiplier.data(), shift.data(), ratio.data(), wide_ratio.data(), low, high, narrow}; }
};

struct PackedConv {
  std::vector<Panel> panels;
  std::vector<std::int32_t> offsets;
  Lines<std::int8_t> weights;
  std::vector<std::uint8_t> runs;
  Lines<std::int32_t> bias, factor;
  Side rows{};
  bool small_factor = false, shared = false, signed_input = false, shifted = false, depthwise = false;
  bool short_runs = false;
  bool skip_left = false, skip_right = false;
  int positions = 0;  // depthwise: kernel positions, a multiple of 4
  bool tiled = false, mixed = false;
  int together = 1, step_bytes = 0;  // tiled: so many pixels of a row are one, with as many times the outputs
  std::ptrdiff_t step_rows = 0;      // these as in Conv
  Lines<float> lift;
};

struct Step {
  int position = 0;          // of the operation, and of its value
  std::vector<int> sources;  // values whose memory is read
  PackedLaw law;
  PackedConv conv;
};

struct Plan {
  Network network;  // without its weights
  const Kernels* kernels = nullptr;
  std::vector<Value> values;
  std::vector<Step> steps;
  // Images that one thread computes together: each for itself up to step `split`, and from there on step by step,
  // because the weights of those steps are larger than their values.
  int batch = 1;
  std::size_t split = 0;
  std::size_t scratch_offset = 0;   // inputs with 128 added
  std::size_t workspace_bytes = 0;  // of the values of one thread

  std::int64_t batch_pixels() const { return batch * network.ops[0].shape.elements(); }
  std::size_t plan_bytes() const;    // weights and numbers per channel
  std::size_t thread_bytes() const;  // values, noisy pixels and logits
};

// Validates a program and prepares it; throws Failure or std::bad_alloc.
Plan make_plan(const std::int32_t* program, std::size_t words, const std::int8_t* weights, std::size_t weight_count,
               const Kernels& kernels);

// Decides where every value lies; fills values, batch and the sizes of the workspace. Needs the steps' sources.
void lay_out(Plan& plan);

// Packs the weights of one convolution or linear layer. Needs the layouts.
void pack_conv(const Plan& plan, Step& step);
PackedLaw pack_law(const Op& op);

// Packs them for matrix instructions if the kernels have those and they are faster here; says whether.
bool pack_tiles(const Plan& plan, Step& step);

// Whether a convolution is computed channel by channel.
bool is_depthwise(const Op& op, std::int64_t channels);

inline std::int64_t round_up(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace holdfast
