// Which instruction sets there are, which this machine has, and which of them have passed their known answers.
#pragma once

#include <atomic>

#include "kernels.h"

namespace holdfast {

struct Isa {
  const Kernels* kernels;
  bool (*supported)();
  mutable std::atomic<bool> tested{false}, passed{false};
};

// From the slowest to the fastest; null beyond the last.
const Isa* isa_at(int index);
int isa_count();

// The kernels of the instruction set of that name, self-tested; for null those of the last that this machine has and
// that passes. Throws Failure.
const Kernels& choose_isa(const char* name);

// The same among other instruction sets than this build's.
const Kernels& choose_among(const Isa* isas, int count, const char* name);

// The best that pass; the portable ones if none does.
const Kernels& best_kernels() noexcept;

// Throws Failure if a known answer comes out wrong.
void self_test(const Kernels& kernels);
[[noreturn]] void throw_wrong_answers(const Kernels& kernels);

}  // namespace holdfast
