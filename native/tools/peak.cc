// The most 8-bit multiply-adds per second that one core does: a loop on registers alone, of vpdpbusd or, called as
// `holdfast_peak amxint8`, of tdpbssd. Prints a number.
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

constexpr int kSums = 24, kBytes = 64;

// So many multiply-adds.
__attribute__((noinline, target("avx512f,avx512vnni"))) double vectors(long loops, int seed) {
  __m512i sums[kSums];
  const __m512i a = _mm512_set1_epi32(seed), b = _mm512_set1_epi32(seed + 1);
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_epi32(i);
  for (long loop = 0; loop < loops; ++loop) {
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sums[i]) : "v"(a), "v"(b));
  }
  return static_cast<double>(loops) * kSums * kBytes;
}

#if defined(HOLDFAST_AMX)

constexpr int kRows = 16;

// Four tiles of sums, two of inputs, two of weights.
void shape_tiles() {
  struct {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
  } config;
  for (int i = 0; i < 8; ++i) config.row_bytes[i] = kBytes, config.rows[i] = kRows;
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

double tiles(long loops, int) {
  shape_tiles();
  for (long loop = 0; loop < loops; ++loop)
    __asm__ volatile(
        "tdpbssd %tmm6, %tmm4, %tmm0\n\ttdpbssd %tmm7, %tmm4, %tmm1\n\t"
        "tdpbssd %tmm6, %tmm5, %tmm2\n\ttdpbssd %tmm7, %tmm5, %tmm3");
  __asm__ volatile("tilerelease");
  return static_cast<double>(loops) * 4 * kRows * kRows * kBytes;
}

bool has_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  constexpr unsigned amx = 1u << 24 | 1u << 25;                // AMX-TILE, AMX-INT8
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & amx) == amx &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#else

double tiles(long, int) { return 0; }
bool has_tiles() { return false; }

#endif

double seconds() {
  std::timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  const bool amx = argc > 1 && std::strcmp(argv[1], "amxint8") == 0;
  if (amx && !has_tiles()) return std::fprintf(stderr, "this processor or system has no AMX for 8-bit integers\n"), 2;
  if (!amx && !__builtin_cpu_supports("avx512vnni"))
    return std::fprintf(stderr, "this processor has no AVX-512 VNNI\n"), 2;
  constexpr long loops = 400000;
  double rates[15];
  for (double& rate : rates) {
    const double began = seconds(), done = (amx ? tiles : vectors)(loops, 0x01020304);
    rate = done / (seconds() - began);
  }
  std::sort(rates, rates + 15);
  std::printf("%.0f\n", rates[7]);
  return 0;
}
