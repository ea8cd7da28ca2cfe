// The most 8-bit multiply-adds per second that one core does: a loop of vpdpbusd on registers alone. Prints a number.
#include <immintrin.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace {

constexpr int kSums = 24, kBytes = 64;

__attribute__((noinline, target("avx512f,avx512vnni"))) void turn(long loops, int seed) {
  __m512i sums[kSums];
  const __m512i a = _mm512_set1_epi32(seed), b = _mm512_set1_epi32(seed + 1);
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_epi32(i);
  for (; loops > 0; --loops) {
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sums[i]) : "v"(a), "v"(b));
  }
}

double seconds() {
  std::timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main() {
  if (!__builtin_cpu_supports("avx512vnni")) return std::fprintf(stderr, "this processor has no AVX-512 VNNI\n"), 2;
  constexpr long loops = 400000;
  double rates[15];
  for (double& rate : rates) {
    const double began = seconds();
    turn(loops, 0x01020304);
    rate = static_cast<double>(loops) * kSums * kBytes / (seconds() - began);
  }
  std::sort(rates, rates + 15);
  std::printf("%.0f\n", rates[7]);
  return 0;
}
