// Convolutions for AMX: a tile multiplies 64 signed inputs of each of 16 windows by 16 outputs. A row of a tile is a
// window, so that tiles are read from the values themselves. Two tiles of windows and two blocks of outputs make four
// tiles of sums; the law on those of the last pair is mixed into the dot products of the next.
#include "avx512_law.h"

namespace holdfast {
namespace {

constexpr int kRows = kTileRows, kPairRows = 2 * kRows;

// What tiles look like on this thread: sums and inputs have `rows` rows, weights one row for every four inputs.
struct Shapes {
  int rows = 0, bytes = 0;
};

thread_local Shapes current;

// Tiles 0 to 3 are sums, 4 and 5 inputs, 6 and 7 weights.
void shape_tiles(int rows, int bytes) {
  if (current.rows == rows && current.bytes == bytes) return;
  struct {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
  } config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = static_cast<std::uint16_t>(i == 4 || i == 5 ? bytes : kTileBytes);
    config.rows[i] = static_cast<std::uint8_t>(i < 6 ? rows : bytes / kGroup);
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
  current = {rows, bytes};
}

// As instructions: their intrinsics do not say which memory they read.
template <int kTile>
INLINE void load_tile(const void* from, std::ptrdiff_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile));
}

template <int kTile>
INLINE void store_tile(std::int32_t* to, std::ptrdiff_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}

template <int kSums, int kInputs, int kWeights>
INLINE void multiply_tiles() {
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kInputs), "i"(kWeights));
}

// The address sanitizer sees no tiles.
template <int kTile>
INLINE void load_inputs(const std::int8_t* from, std::ptrdiff_t stride) {
#if defined(__SANITIZE_ADDRESS__)
  for (int row = 0; row < current.rows; ++row) {
    const volatile std::int8_t* at = from + row * stride;
    static_cast<void>(at[0]), static_cast<void>(at[current.bytes - 1]);
  }
#endif
  load_tile<kTile>(from, stride);
}

// Windows beside each other in a row that follow each other in a pair of tiles.
struct Span {
  int row, windows;
  std::int64_t y, x;
};

// Cuts windows into tiles. Rows of windows follow each other at a pitch, in windows: those between two rows are
// computed and never used. A tile begins at a window that no tile before has had, but for the last one, which ends at
// the last.
class Walk {
 public:
  Walk(const ConvCall& call, std::int64_t height, std::int64_t pitch, int rows)
      : in_(call.in),
        stride_(call.in_pixel),
        width_(call.width),
        height_(height),
        pitch_(pitch),
        last_((height - 1) * pitch + call.width - rows),
        rows_(rows) {}

  bool done() const { return y_ == height_; }

  const std::int8_t* next(int before, Span*& spans) {
    const std::int64_t wanted = y_ * pitch_ + x_, start = smaller(wanted, last_);
    for (std::int64_t row = wanted - start; row < rows_ && !done();) {
      const std::int64_t windows = smaller(width_ - x_, rows_ - row);
      *spans++ = {static_cast<int>(before + row), static_cast<int>(windows), y_, x_};
      row += windows, x_ += windows;
      if (x_ == width_) row += pitch_ - width_, x_ = 0, ++y_;
    }
    return in_ + start * stride_;
  }

 private:
  const std::int8_t* in_;
  std::ptrdiff_t stride_;
  std::int64_t width_, height_, pitch_, last_;
  int rows_;
  std::int64_t y_ = 0, x_ = 0;
};

// Sums of windows beside each other that become values, four vectors at a time: a quad is 4 / blocks windows.
struct Segment {
  const std::int32_t* sums;
  std::int8_t* out;
  const std::int8_t* residual;
  int windows;
};

// The segments of one pair of tiles, and what the law needs for them.
struct Segments {
  Segment list[kPairRows + 1] = {};
  int count = 0, quads = 0;
  const float *ratio, *lift;  // of the panel's first channel
  const std::int32_t *bias, *factor;
};

// What is the same for all segments of a convolution.
struct Ending {
  std::ptrdiff_t out_pixel, residual_pixel;
  std::int32_t low;
};

// The law on segments, some quads at a time; constants stay in registers.
template <int kBlocks, End kEnd, bool kLifted>
class Finish {
 public:
  INLINE Finish(const Segments& segments, const Ending& ending)
      : next_(segments.list),
        now_(segments.list[0]),
        quads_(segments.quads),
        out_pixel_(ending.out_pixel),
        residual_pixel_(ending.residual_pixel),
        low_(_mm512_set1_epi8(static_cast<char>(ending.low))) {
    if (kEnd == End::kSums || quads_ == 0) return;
    UNROLL for (int b = 0; b < kBlocks; ++b) {
      bias_[b] = _mm512_loadu_si512(segments.bias + b * kBlock);
      ratio_[b] = _mm512_loadu_ps(segments.ratio + b * kBlock);
      if (kLifted) lift_[b] = _mm512_loadu_ps(segments.lift + b * kBlock);
      if (kEnd == End::kSmallResidual) factor_[b] = _mm512_loadu_si512(segments.factor + b * kBlock);
    }
  }

  INLINE int left() const { return kEnd == End::kSums ? 0 : quads_; }

  INLINE void some(int count) {
    if (kEnd == End::kSums) return;
    count = smaller(count, quads_);
    quads_ -= count;
    for (; count > 0; --count) {
      one();
      now_.sums += 4 * kBlock, now_.out += kWindows * out_pixel_, now_.windows -= kWindows;
      if (kEnd == End::kSmallResidual) now_.residual += kWindows * residual_pixel_;
      if (now_.windows <= 0) now_ = *++next_;
    }
  }

 private:
  static constexpr int kWindows = 4 / kBlocks, kBytes = kBlocks * kBlock;

  INLINE void one() const {
    __m512i values[4];
    UNROLL for (int i = 0; i < 4; ++i) {
      const int b = i % kBlocks, window = i / kBlocks;
      __m512i sums = _mm512_add_epi32(bias_[b], _mm512_load_si512(now_.sums + i * kBlock));
      if (kEnd == End::kSmallResidual) {
        const std::ptrdiff_t at = window == 0 || window < now_.windows ? window * residual_pixel_ : 0;
        sums = add_factored<kEnd>(sums, now_.residual + at + b * kBlock, factor_[b]);
      }
      values[i] = kLifted ? lifted_law(sums, ratio_[b], lift_[b]) : narrow_law(sums, ratio_[b]);
    }
    store(in_order(pack_four(values[0], values[1], values[2], values[3], low_)));
  }

  INLINE void store(__m512i bytes) const {
    if (out_pixel_ == kBytes && now_.windows >= kWindows)
      _mm512_storeu_si512(now_.out, bytes);
    else if (out_pixel_ == kBytes)
      _mm512_mask_storeu_epi32(now_.out, static_cast<__mmask16>((1 << 4 * kBlocks * now_.windows) - 1), bytes);
    else
      store_apart(bytes);
  }

  INLINE void store_apart(__m512i bytes) const {
    if (kBlocks == 2) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(now_.out), _mm512_castsi512_si256(bytes));
      if (now_.windows > 1)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(now_.out + out_pixel_), _mm512_extracti64x4_epi64(bytes, 1));
      return;
    }
    alignas(64) std::int8_t values[64];
    _mm512_store_si512(values, bytes);
    for (int window = 0; window < smaller(kWindows, now_.windows); ++window)
      __builtin_memcpy(now_.out + window * out_pixel_, values + window * kBlock, kBlock);
  }

  const Segment* next_;
  Segment now_;
  int quads_;
  std::ptrdiff_t out_pixel_, residual_pixel_;
  __m512i low_, bias_[kBlocks], factor_[kBlocks];
  __m512 ratio_[kBlocks], lift_[kBlocks];
};

// Dot products of one or two tiles of windows with a panel.
struct Product {
  const std::int8_t *first, *second;  // windows
  std::ptrdiff_t stride, weight_bytes;
  const std::int32_t *offsets, *bias;
  const std::int8_t* weights;
  int steps;
  std::int32_t* sums;  // [window][block][16]
  bool alone;          // there is no second tile
};

// One step: its weights, its inputs of the second tile of windows; those of the first are there.
template <int kTiles, int kBlocks, int kFirst, int kSecond>
INLINE void step(const std::int8_t* second, std::ptrdiff_t stride, const std::int8_t* weights,
                 std::ptrdiff_t weight_bytes) {
  load_tile<6>(weights, kTileBytes);
  multiply_tiles<0, kFirst, 6>();
  if (kBlocks > 1) load_tile<7>(weights + weight_bytes, kTileBytes);
  if (kBlocks > 1) multiply_tiles<1, kFirst, 7>();
  if (kTiles > 1) load_inputs<kSecond>(second, stride);
  if (kTiles > 1) multiply_tiles<2, kSecond, 6>();
  if (kTiles > 1 && kBlocks > 1) multiply_tiles<3, kSecond, 7>();
}

// Sums begin at the bias where they are wanted as they are; else Finish adds it, because tiles start faster at zero.
template <int kTiles, int kBlocks, End kEnd>
INLINE void begin(const Product& product) {
  if (kEnd != End::kSums) {
    __asm__ volatile("tilezero %tmm0\n\ttilezero %tmm1\n\ttilezero %tmm2\n\ttilezero %tmm3");
    return;
  }
  load_tile<0>(product.bias, 0);
  if (kBlocks > 1) load_tile<1>(product.bias + kBlock, 0);
  if (kTiles > 1) load_tile<2>(product.bias, 0);
  if (kTiles > 1 && kBlocks > 1) load_tile<3>(product.bias + kBlock, 0);
}

template <int kTiles, int kBlocks>
INLINE void end(const Product& product) {
  constexpr std::ptrdiff_t kStride = kBlocks * kBlock * sizeof(std::int32_t);
  store_tile<0>(product.sums, kStride);
  if (kBlocks > 1) store_tile<1>(product.sums + kBlock, kStride);
  if (kTiles > 1) store_tile<2>(product.sums + kRows * kBlocks * kBlock, kStride);
  if (kTiles > 1 && kBlocks > 1) store_tile<3>(product.sums + (kRows * kBlocks + 1) * kBlock, kStride);
}

template <int kTiles, int kBlocks, End kEnd, bool kLifted>
void multiply(const Product& product, const Segments& segments, const Ending& ending) {
  Finish<kBlocks, kEnd, kLifted> finish(segments, ending);
  begin<kTiles, kBlocks, kEnd>(product);
  const std::int8_t* weights = product.weights;
  const std::ptrdiff_t stride = product.stride, weight_bytes = product.weight_bytes;
  const int each = (finish.left() + product.steps - 1) / product.steps;
  for (const std::int32_t *at = product.offsets, *const last = at + product.steps; at < last; ++at) {
    load_inputs<4>(product.first + *at, stride);
    step<kTiles, kBlocks, 4, 5>(product.second + *at, stride, weights, weight_bytes);
    weights += kBlocks * weight_bytes;
    finish.some(each);
  }
  end<kTiles, kBlocks>(product);
}

// Two tiles of windows, the second one row of the kernel below the first: what it reads for a row is what the first
// reads for the next. Steps come in threes, the rows of the kernel.
template <int kBlocks, End kEnd, bool kLifted>
void multiply_rows(const Product& product, const Segments& segments, const Ending& ending) {
  Finish<kBlocks, kEnd, kLifted> finish(segments, ending);
  begin<2, kBlocks, kEnd>(product);
  const std::int8_t *weights = product.weights, *second = product.second;
  const std::ptrdiff_t stride = product.stride, weight_bytes = product.weight_bytes, next = kBlocks * weight_bytes;
  const int each = (finish.left() + product.steps - 1) / product.steps;
  for (const std::int32_t *at = product.offsets, *const last = at + product.steps; at < last;
       at += 3, weights += 3 * next) {
    load_inputs<4>(product.first + *at, stride);
    step<2, kBlocks, 4, 5>(second + at[0], stride, weights, weight_bytes);
    finish.some(each);
    step<2, kBlocks, 5, 4>(second + at[1], stride, weights + next, weight_bytes);
    finish.some(each);
    step<2, kBlocks, 4, 5>(second + at[2], stride, weights + 2 * next, weight_bytes);
    finish.some(each);
  }
  end<2, kBlocks>(product);
}

template <End kEnd, bool kLifted>
class TileConv {
 public:
  TileConv(const Conv& conv, const ConvCall& call)
      : conv_(conv),
        call_(call),
        linked_(call.in_row % call.in_pixel == 0 && call.in_row / call.in_pixel >= call.width),
        pitch_(linked_ ? call.in_row / call.in_pixel : call.width),
        ending_{call.out_pixel, call.residual_pixel, conv.law.low} {
    const std::int64_t windows = linked_ ? (call.height - 1) * pitch_ + call.width : call.width;
    rows_ = static_cast<int>(smaller<std::int64_t>(windows, kRows));
    shape_tiles(rows_, conv.step_bytes);
  }

  // Panel by panel where there are many images; else so much of the image at a time as stays in the nearest cache.
  void run() {
    const std::int64_t pairs = call_.images > 1 ? INT64_MAX : pairs_at_once();
    for (std::int64_t y = 0; y < (linked_ ? 1 : call_.height); ++y)
      if (pairs == INT64_MAX)
        for (int i = 0; i < conv_.panel_count; ++i)
          for (std::int64_t image = 0; image < call_.images; ++image) {
            Walk walk = walk_of(image, y);
            run_panel(conv_.panels[i], walk, pairs, image, y);
          }
      else
        for (Walk walk = walk_of(0, y), next = walk; !walk.done(); walk = next)
          for (int i = 0; i < conv_.panel_count; ++i) {
            next = walk;
            run_panel(conv_.panels[i], next, pairs, 0, y);
          }
    finish_rest();
  }

 private:
  std::int64_t pairs_at_once() const {
    constexpr std::int64_t kNear = 16 << 10;
    return 1 + kNear / (kPairRows * static_cast<std::int64_t>(call_.in_pixel));
  }

  Walk walk_of(std::int64_t image, std::int64_t y) const {
    ConvCall call = call_;
    call.in += image * call.in_image + y * call.in_row;
    return Walk(call, linked_ ? call.height : 1, pitch_, rows_);
  }

  void run_panel(const Panel& panel, Walk& walk, std::int64_t pairs, std::int64_t image, std::int64_t first_y) {
    if (panel.blocks != blocks_) finish_rest();
    blocks_ = panel.blocks;
    Product product{nullptr,        nullptr,
                    call_.in_pixel, conv_.step_bytes * kBlock,
                    panel.offsets,  conv_.bias + panel.first * kBlock,
                    panel.weights,  panel.row_steps,
                    nullptr,        false};
    for (; pairs > 0 && !walk.done(); --pairs) {
      Span spans[kPairRows], *end = spans;
      product.first = walk.next(0, end);
      product.alone = walk.done();
      product.second = product.alone ? product.first : walk.next(kRows, end);
      product.sums = sums_[turn_];
      multiply_pair(product);
      forget();
      for (const Span* span = spans; span < end; ++span) add_span(panel, *span, image, first_y + span->y, product.sums);
      turn_ = 1 - turn_;
    }
  }

  void multiply_pair(const Product& product) {
    if (blocks_ == 2)
      multiply_with<2>(product);
    else
      multiply_with<1>(product);
  }

  template <int kBlocks>
  void multiply_with(const Product& product) {
    if (product.alone)
      multiply<1, kBlocks, kEnd, kLifted>(product, segments_, ending_);
    else if (conv_.step_rows == product.second - product.first)
      multiply_rows<kBlocks, kEnd, kLifted>(product, segments_, ending_);
    else
      multiply<2, kBlocks, kEnd, kLifted>(product, segments_, ending_);
  }

  // What is to be done with the sums of a span, later if the law is narrow.
  void add_span(const Panel& panel, const Span& span, std::int64_t image, std::int64_t y, const std::int32_t* sums) {
    const int channel = panel.first * kBlock;
    const std::int64_t at = image * call_.out_image + y * call_.out_row + span.x * call_.out_pixel + channel;
    const std::int8_t* residual = !call_.residual
                                      ? nullptr
                                      : call_.residual + image * call_.residual_image + y * call_.residual_row +
                                            span.x * call_.residual_pixel + channel;
    sums += span.row * blocks_ * kBlock;
    if (kEnd == End::kSums) {
      finish_at_once({sums, span.windows, panel.blocks, channel, static_cast<std::int8_t*>(call_.out) + at,
                      call_.out_pixel, residual, call_.residual_pixel, conv_.factor ? conv_.factor + channel : nullptr,
                      conv_.small_factor, &conv_.law},
                     at);
      return;
    }
    segments_.bias = conv_.bias + channel, segments_.ratio = conv_.law.ratio + channel;
    if (kLifted) segments_.lift = conv_.lift + channel;
    if (conv_.factor) segments_.factor = conv_.factor + channel;
    segments_.list[segments_.count++] = {sums, static_cast<std::int8_t*>(call_.out) + at, residual, span.windows};
    segments_.quads += (span.windows * blocks_ + 3) / 4;
  }

  void finish_at_once(const FinishCall& call, std::int64_t at) const {
    if (conv_.raw)
      store_raw(call, static_cast<std::int32_t*>(call_.out) + at);
    else
      finish_by_blocks<Avx512Law>(call);
  }

  void finish_rest() {
    if (blocks_ == 2)
      Finish<2, kEnd, kLifted>(segments_, ending_).some(kPairRows);
    else
      Finish<1, kEnd, kLifted>(segments_, ending_).some(kPairRows);
    forget();
  }

  void forget() { segments_.count = segments_.quads = 0; }

  const Conv& conv_;
  const ConvCall& call_;
  const bool linked_;  // rows of windows follow each other at a whole number of windows
  const std::int64_t pitch_;
  const Ending ending_;
  int rows_, turn_ = 0, blocks_ = 1;
  alignas(64) std::int32_t sums_[2][kPairRows * kTileBlocks * kBlock];
  Segments segments_;  // of the last pair of tiles
};

template <End kEnd>
void run(const Conv& conv, const ConvCall& call) {
  if (conv.lift)
    TileConv<kEnd, true>(conv, call).run();
  else
    TileConv<kEnd, false>(conv, call).run();
}

}  // namespace

void amx_conv(const Conv& conv, const ConvCall& call) {
  if (!conv.mixed)
    TileConv<End::kSums, false>(conv, call).run();
  else if (conv.factor)
    run<End::kSmallResidual>(conv, call);
  else
    run<End::kValues>(conv, call);
}

void amx_leave() {
  if (current.rows == 0) return;
  __asm__ volatile("tilerelease");
  current = {};
}

}  // namespace holdfast
