// Which instruction sets there are, which this machine has, and which of them have passed their known answers.
#pragma once

#include "kernels.h"

namespace holdfast {

struct Isa {
  const Kernels* kernels;
  bool (*supported)();
};

// From the slowest to the fastest; null beyond the last.
const Isa* isa_at(int index);
int isa_count();

// The kernels of an instruction set, or of the best one here for null; self-tested. Throws Failure.
const Kernels& choose_isa(const char* name);

// The best that pass; the portable ones if none does.
const Kernels& best_kernels() noexcept;

// Throws Failure if a known answer comes out wrong.
void self_test(const Kernels& kernels);

}  // namespace holdfast
