// Philox4x32-10 (Salmon et al. 2011), over lanes that the compiler vectorises. Internal linkage: see kernels.h.
#pragma once

#include <cstdint>

namespace holdfast {
namespace {

constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53u, kPhiloxMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9u, kPhiloxWeyl1 = 0xBB67AE85u;
constexpr int kPhiloxRounds = 10;

// Ten rounds of kLanes counters at once. Word w of lane i is state[w][i].
template <int kLanes>
inline __attribute__((always_inline)) void philox_rounds(std::uint32_t (&state)[4][kLanes], std::uint32_t k0,
                                                         std::uint32_t k1) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    for (int i = 0; i < kLanes; ++i) {
      const std::uint64_t p0 = static_cast<std::uint64_t>(kPhiloxMultiplier0) * state[0][i];
      const std::uint64_t p1 = static_cast<std::uint64_t>(kPhiloxMultiplier1) * state[2][i];
      state[0][i] = static_cast<std::uint32_t>(p1 >> 32) ^ state[1][i] ^ k0;
      state[1][i] = static_cast<std::uint32_t>(p1);
      state[2][i] = static_cast<std::uint32_t>(p0 >> 32) ^ state[3][i] ^ k1;
      state[3][i] = static_cast<std::uint32_t>(p0);
    }
    k0 += kPhiloxWeyl0;
    k1 += kPhiloxWeyl1;
  }
}

}  // namespace
}  // namespace holdfast
