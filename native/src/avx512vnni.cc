// Kernels for AVX-512 with VNNI: vpdpbusd multiplies 16 outputs by 4 unsigned inputs. Signed inputs come with 128
// added, which the biases make up for (pack.cc).
#include "avx512vnni_dots.h"
#include "noise_steps.h"
#include "values.h"

namespace holdfast {
namespace {

struct Avx512Vnni : Avx512Law {
  static int longest_tile(int blocks, const Conv& conv) { return longest(blocks, conv.shared); }

  static int longest(int blocks, bool shared) { return shared ? kLongestShared[blocks] : kLongestPlain[blocks]; }

  static bool fuses(const Conv& conv) { return !conv.raw && conv.law.narrow; }

  static Dot dot(int pixels, int blocks, const Conv& conv, std::ptrdiff_t stride) {
    if (!fuses(conv)) return choose<End::kSums>(pixels, blocks, conv.shared, stride);
    if (!conv.factor) return choose<End::kValues>(pixels, blocks, conv.shared, stride);
    if (conv.small_factor) return choose<End::kSmallResidual>(pixels, blocks, conv.shared, stride);
    return choose<End::kLargeResidual>(pixels, blocks, conv.shared, stride);
  }

  static void finish(const FinishCall& call) { finish_by_blocks<Avx512Vnni>(call); }
};

// As many blocks as make loads cheapest per dot product: one for each block (its weights) and one for each pixel.
int panel_blocks(std::int64_t blocks, std::int64_t width, bool shared) {
  constexpr double kWeights = 1.7, kPixel = 1.0;
  std::int64_t best = 1;
  double least = 1e9;
  for (int most = 1; most <= kMaxBlocks && most <= blocks; ++most) {
    const int longest = Avx512Vnni::longest(most, shared);
    if (longest == 0) break;
    const double pixels = static_cast<double>(width) / static_cast<double>((width + longest - 1) / longest);
    const double loads = (most * kWeights + pixels * kPixel) / (most * pixels);
    if (loads < least) least = loads, best = most;
  }
  const std::int64_t panels = (blocks + best - 1) / best;
  return static_cast<int>((blocks + panels - 1) / panels);
}

// Up to four channels, 16 pixels of a row at a time.
void input(const InputCall& call) {
  if (call.out.pixel != kGroup || !call.law.narrow) return input_by_channels<Avx512Vnni>(call);
  const std::int64_t plane = call.out.height * call.out.width;
  const __m512i low = _mm512_set1_epi32(call.law.low), high = _mm512_set1_epi32(call.law.high);
  for (std::int64_t y = 0; y < call.out.height; ++y)
    for (std::int64_t x = 0; x < call.out.width; x += 16) {
      const std::int64_t left = call.out.width - x;
      const auto mask = static_cast<__mmask16>(left >= 16 ? 0xFFFF : (1 << left) - 1);
      __m512i pixels = _mm512_setzero_si512();
      for (std::int64_t c = 0; c < call.channels; ++c) {
        const __m256i z = _mm256_maskz_loadu_epi16(mask, call.pixels + c * plane + y * call.out.width + x);
        const __m512i sums = _mm512_sub_epi32(_mm512_cvtepi16_epi32(z), _mm512_set1_epi32(call.center[c]));
        __m512i value = narrow_law(sums, _mm512_set1_ps(call.law.ratio[c]));
        value = _mm512_min_epi32(high, _mm512_max_epi32(low, value));
        value = _mm512_and_si512(value, _mm512_set1_epi32(0xFF));
        pixels = _mm512_or_si512(pixels, _mm512_sllv_epi32(value, _mm512_set1_epi32(static_cast<int>(8 * c))));
      }
      _mm512_mask_storeu_epi32(call.out.data + y * call.out.row + x * kGroup, mask, pixels);
    }
}

// Numbers of four blocks in the order in which interleaved bytes fall: quarter q of every block.
template <class T>
inline __m512i quarter(const T* numbers, int q) {
  alignas(64) T found[kBlock];
  for (int i = 0; i < kBlock; ++i) found[i] = numbers[i / 4 * kBlock + 4 * q + i % 4];
  return _mm512_load_si512(found);
}

// The wide law on sums in quarters, block by block.
void finish_quarters(const __m512i (&sums)[4], const Requant& law, int block, int blocks, std::int8_t* out) {
  alignas(64) std::int32_t quarters[4][kBlock], values[kBlock];
  for (int q = 0; q < 4; ++q) _mm512_store_si512(quarters[q], sums[q]);
  for (int b = 0; b < blocks; ++b) {
    for (int i = 0; i < kBlock; ++i) values[i] = quarters[i / 4][4 * b + i % 4];
    Avx512Vnni::requantise(values, law, (block + b) * kBlock, out + b * kBlock);
  }
}

// Four blocks of channels at a time, four kernel positions in one step.
void depthwise(const Depthwise& conv, const ConvCall& call) {
  const __m512i low = _mm512_set1_epi8(static_cast<char>(conv.law.low)),
                high = _mm512_set1_epi8(static_cast<char>(conv.law.high));
  for (int b = 0; b < conv.blocks; b += 4) {
    const int blocks = smaller(4, conv.blocks - b);
    const auto mask = static_cast<__mmask16>((1 << 4 * blocks) - 1);
    __m512i bias[4];
    __m512 ratio[4];
    for (int q = 0; q < 4; ++q) {
      bias[q] = quarter(conv.bias + b * kBlock, q);
      ratio[q] = _mm512_castsi512_ps(quarter(conv.law.ratio + b * kBlock, q));
    }
    const std::int8_t* weights = conv.weights + static_cast<std::ptrdiff_t>(b) * kBlock * conv.positions;
    for (std::int64_t y = 0; y < call.height; ++y)
      for (std::int64_t x = 0; x < call.width; ++x) {
        const std::int8_t* in = call.in + y * call.in_row + x * call.in_pixel + b * kBlock;
        __m512i sums[4] = {bias[0], bias[1], bias[2], bias[3]};
        for (int t = 0; t < conv.positions; t += 4) {
          __m512i at[4];
          UNROLL for (int i = 0; i < 4; ++i) at[i] = _mm512_maskz_loadu_epi32(mask, in + conv.offsets[t + i]);
          const __m512i a = _mm512_unpacklo_epi8(at[0], at[1]), c = _mm512_unpacklo_epi8(at[2], at[3]);
          const __m512i e = _mm512_unpackhi_epi8(at[0], at[1]), g = _mm512_unpackhi_epi8(at[2], at[3]);
          const __m512i fours[4] = {_mm512_unpacklo_epi16(a, c), _mm512_unpackhi_epi16(a, c),
                                    _mm512_unpacklo_epi16(e, g), _mm512_unpackhi_epi16(e, g)};
          UNROLL for (int q = 0; q < 4; ++q) sums[q] =
              _mm512_dpbusd_epi32(sums[q], fours[q], _mm512_load_si512(weights + 64 * (t + q)));
        }
        std::int8_t* out = static_cast<std::int8_t*>(call.out) + y * call.out_row + x * call.out_pixel + b * kBlock;
        if (!conv.law.narrow) {
          finish_quarters(sums, conv.law, b, blocks, out);
          continue;
        }
        UNROLL for (int q = 0; q < 4; ++q) sums[q] = narrow_law(sums[q], ratio[q]);
        _mm512_mask_storeu_epi32(out, mask, pack_four(sums[0], sums[1], sums[2], sums[3], low, high));
      }
  }
}

// Eight blocks of Philox in the 64-bit lanes of four registers, whose upper halves mean nothing.
struct Blocks {
  __m512i word[4];

  INLINE Blocks(std::uint32_t first, std::uint64_t sample)
      : word{_mm512_add_epi64(_mm512_set1_epi64(first), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)),
             _mm512_setzero_si512(), _mm512_set1_epi64(static_cast<long long>(sample)),
             _mm512_set1_epi64(static_cast<long long>(sample >> 32))} {}

  INLINE void round(__m512i k0, __m512i k1) {
    constexpr int kXor3 = 0x96;
    const __m512i p0 = _mm512_mul_epu32(word[0], _mm512_set1_epi64(kPhiloxMultiplier0));
    const __m512i p1 = _mm512_mul_epu32(word[2], _mm512_set1_epi64(kPhiloxMultiplier1));
    word[0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), word[1], k0, kXor3);
    word[1] = p1;
    word[2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), word[3], k1, kXor3);
    word[3] = p0;
  }

  // Words 2i and 2i+1 of every block, next to each other.
  INLINE __m512i pair(int i) const {
    return _mm512_mask_blend_epi32(0xAAAA, word[2 * i], _mm512_slli_epi64(word[2 * i + 1], 32));
  }
};

// Values of 16 words by their cells; sets undecided where a cell does not say.
INLINE __m512i by_cells(__m512i words, const std::uint32_t* cells, __mmask16& undecided) {
  const __m512i low_half = _mm512_set1_epi32(0xFFFF);
  const __m512i cell = _mm512_i32gather_epi32(_mm512_srli_epi32(words, kCellShift), cells, 4);
  const __m512i field = _mm512_and_si512(_mm512_srli_epi32(words, kFieldShift), low_half),
                edge = _mm512_and_si512(cell, low_half);
  const __m512i value = _mm512_srai_epi32(cell, 16);
  undecided = static_cast<__mmask16>(_mm512_cmpeq_epi32_mask(field, edge) |
                                     _mm512_cmpeq_epi32_mask(value, _mm512_set1_epi32(kUndecidedCell)));
  return _mm512_mask_add_epi32(value, _mm512_cmpgt_epi32_mask(field, edge), value, _mm512_set1_epi32(1));
}

// Coordinates of words 0 and 1 (pair 0) or 2 and 3 (pair 1) of eight blocks, where the cells did not decide.
void decide_rest(const NoiseCall& call, std::int64_t first, __m512i words, int pair, unsigned undecided,
                 std::int16_t* out) {
  alignas(64) std::uint32_t word[16];
  _mm512_store_si512(word, words);
  for (; undecided; undecided &= undecided - 1) {
    const int i = __builtin_ctz(undecided), at = i / 2 * 4 + 2 * pair + i % 2;
    out[at] = decide(call, first + at, word[i]);
  }
}

INLINE void store_noise(const NoiseCall& call, const Blocks& blocks, std::int64_t first, std::int16_t* out) {
  __mmask16 undecided[2];
  const __m512i words[2] = {blocks.pair(0), blocks.pair(1)};
  const __m512i a = by_cells(words[0], call.cells, undecided[0]), b = by_cells(words[1], call.cells, undecided[1]);
  // Each lane: two blocks, words 0 and 1 of both and then words 2 and 3; the middle two pairs change places.
  _mm512_storeu_si512(out, _mm512_shuffle_epi32(_mm512_packs_epi32(a, b), _MM_PERM_DBCA));
  if (undecided[0]) decide_rest(call, first, words[0], 0, undecided[0], out);
  if (undecided[1]) decide_rest(call, first, words[1], 1, undecided[1], out);
}

void noise(const NoiseCall& call) {
  for (std::int64_t group = 0; group < call.groups; ++group) {
    const std::int64_t first = call.first + group * kNoiseGroup;
    const auto block = static_cast<std::uint32_t>(first / 4);
    Blocks lower(block, call.sample), upper(block + 8, call.sample);
    std::uint32_t k0 = call.k0, k1 = call.k1;
    UNROLL for (int round = 0; round < kPhiloxRounds; ++round, k0 += kPhiloxWeyl0, k1 += kPhiloxWeyl1) {
      const __m512i key0 = _mm512_set1_epi64(k0), key1 = _mm512_set1_epi64(k1);
      lower.round(key0, key1);
      upper.round(key0, key1);
    }
    store_noise(call, lower, first, call.out + group * kNoiseGroup);
    store_noise(call, upper, first + kNoiseGroup / 2, call.out + group * kNoiseGroup + kNoiseGroup / 2);
  }
}

constexpr Kernels kernels(const char* name, void (*conv_by_tiles)(const Conv&, const ConvCall&), void (*leave)()) {
  return {name,
          true,
          panel_blocks,
          true,
          0,
          conv_rows<Avx512Vnni>,
          conv_by_tiles,
          leave,
          depthwise,
          input,
          add_values,
          rescale_by_blocks<Avx512Vnni>,
          max_pool_by_blocks,
          average_pool_by_blocks<Avx512Vnni>,
          noise,
          add_image_by_pixels,
          shift_all_signs};
}

}  // namespace

const Kernels kAvx512Vnni = kernels("avx512vnni", nullptr, nullptr);
#if defined(HOLDFAST_AMX)
const Kernels kAmxInt8 = kernels("amxint8", amx_conv, amx_leave);
#endif

}  // namespace holdfast
