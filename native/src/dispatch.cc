#include "dispatch.h"

#include <cstring>
#include <exception>

#include "failure.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(HOLDFAST_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace holdfast {
namespace {

bool always() { return true; }

#if defined(__x86_64__)

struct Features {
  bool avx2 = false, avx512_vnni = false, amx_int8 = false;

  // The processor must have the instructions, and the system must save their registers (xgetbv).
  Features() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    const bool fma = c >> 12 & 1, osxsave = c >> 27 & 1, avx = c >> 28 & 1;
    if (!osxsave || !avx) return;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    avx2 = fma && (b >> 5 & 1);
    const unsigned wanted = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
    avx512_vnni = avx2 && (low & 0xE6) == 0xE6 && (b & wanted) == wanted && (c >> 11 & 1);
    constexpr unsigned tiles = 1u << 17 | 1u << 18, amx = 1u << 24 | 1u << 25;  // their registers; AMX-TILE, AMX-INT8
    amx_int8 = avx512_vnni && (low & tiles) == tiles && (d & amx) == amx;
  }
};

const Features& features() {
  static const Features found;
  return found;
}

bool has_avx2() { return features().avx2; }
bool has_avx512_vnni() { return features().avx512_vnni; }

#if defined(HOLDFAST_AMX)

// Linux wants to be asked once by a process that uses tile registers, because saving them takes 8 KiB a thread.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx_int8() {
  static const bool found = features().amx_int8 && may_use_tiles();
  return found;
}

const Isa kIsas[] = {
    {&kPortable, always}, {&kAvx2, has_avx2}, {&kAvx512Vnni, has_avx512_vnni}, {&kAmxInt8, has_amx_int8}};

#else

const Isa kIsas[] = {{&kPortable, always}, {&kAvx2, has_avx2}, {&kAvx512Vnni, has_avx512_vnni}};

#endif

#elif defined(__aarch64__)

#if defined(__linux__)
bool has_dot_product() { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }
#else
bool has_dot_product() { return true; }
#endif

const Isa kIsas[] = {{&kPortable, always}, {&kNeon, has_dot_product}};

#else

const Isa kIsas[] = {{&kPortable, always}};

#endif

constexpr int kCount = sizeof kIsas / sizeof *kIsas;

// Whether its known answers come out right, tried at first use.
bool passes(const Isa& isa) {
  if (isa.tested.load(std::memory_order_acquire)) return isa.passed;
  try {
    self_test(*isa.kernels);
    isa.passed = true;
  } catch (const Failure&) {
    isa.passed = false;
  }
  isa.tested.store(true, std::memory_order_release);
  return isa.passed;
}

}  // namespace

int isa_count() { return kCount; }

const Isa* isa_at(int index) { return index >= 0 && index < kCount ? &kIsas[index] : nullptr; }

const Kernels& choose_among(const Isa* isas, int count, const char* name) {
  for (int i = count - 1; i >= 0; --i) {
    const Isa& isa = isas[i];
    if (name && std::strcmp(name, isa.kernels->name) != 0) continue;
    if (isa.supported() && passes(isa)) return *isa.kernels;
    if (name && !isa.supported())
      throw Failure(HF_UNKNOWN_ISA, "this processor does not have the instruction set %s", name);
    if (name) throw_wrong_answers(*isa.kernels);
  }
  if (!name) throw_wrong_answers(*isas->kernels);
  throw Failure(HF_UNKNOWN_ISA, "this build has no instruction set '%.40s'", name);
}

const Kernels& choose_isa(const char* name) { return choose_among(kIsas, kCount, name); }

const Kernels& best_kernels() noexcept {
  static const Kernels* const best = [] {
    try {
      return &choose_isa(nullptr);
    } catch (const std::exception&) {  // all known answers are wrong, or there is no memory for them
      return &kPortable;
    }
  }();
  return *best;
}

}  // namespace holdfast
