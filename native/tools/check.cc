// holdfast_check CASES [ISA ...]: runs networks with known logits through instruction sets, without Python.
//
// CASES is what tests/contracts/engine_cases.py writes: for each case six int32 (number of words, of weights, of
// images, of pixels, of classes, and 0), then words, images (int16), logits and weights. Without names every
// instruction set of this machine is run, and the others are named. Prints one line for each; the exit status is 1 if
// any logit differs and 2 if the file cannot be used.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "holdfast.h"

namespace {

struct Case {
  std::vector<std::int32_t> words;
  std::vector<std::int8_t> weights;
  std::vector<std::int16_t> images;
  std::vector<std::int32_t> logits;
  std::size_t count = 0;
};

template <class T>
bool read(std::FILE* file, std::vector<T>& values, std::size_t count) {
  values.resize(count);
  return std::fread(values.data(), sizeof(T), count, file) == count;
}

bool read_case(std::FILE* file, Case& found, bool& end) {
  std::int32_t sizes[6];
  const std::size_t got = std::fread(sizes, sizeof *sizes, 6, file);
  end = got == 0;
  if (got != 6 || *std::min_element(sizes, sizes + 6) < 0) return false;
  const auto size = [&](int i) { return static_cast<std::size_t>(sizes[i]); };
  found.count = size(2);
  return read(file, found.words, size(0)) && read(file, found.images, size(2) * size(3)) &&
         read(file, found.logits, size(2) * size(4)) && read(file, found.weights, size(1));
}

bool agrees(const Case& known, const char* isa, int threads, std::string& problem) {
  char message[HF_MESSAGE_SIZE];
  hf_plan* plan = nullptr;
  std::vector<std::int32_t> logits(known.logits.size());
  hf_status status = hf_plan_create(known.words.data(), known.words.size(), known.weights.data(), known.weights.size(),
                                    isa, &plan, message);
  if (status == HF_OK)
    status = hf_run(plan, known.images.data(), known.count, threads, logits.data(), nullptr, message);
  hf_plan_destroy(plan);
  problem = status == HF_OK ? "other logits" : message;
  return status == HF_OK && logits == known.logits;
}

int check(const std::vector<Case>& cases, const char* isa) {
  int wrong = 0;
  for (std::size_t i = 0; i < cases.size(); ++i)
    for (int threads = 1; threads <= 2; ++threads) {
      std::string problem;
      if (agrees(cases[i], isa, threads, problem)) continue;
      if (++wrong <= 5) std::printf("%s: case %zu: %s\n", isa, i, problem.c_str());
    }
  std::printf("%s: %zu cases, %d wrong\n", isa, cases.size(), wrong);
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : nullptr;
  if (!file) {
    std::fprintf(stderr, "usage: holdfast_check CASES [ISA ...]\n");
    return 2;
  }
  std::vector<Case> cases;
  for (bool end = false; !end;) {
    Case next;
    if (read_case(file, next, end))
      cases.push_back(std::move(next));
    else if (!end)
      return std::fprintf(stderr, "%s is damaged\n", argv[1]), 2;
  }
  std::fclose(file);
  int wrong = cases.empty();
  for (int i = 0; hf_isa_name(i); ++i) {
    const auto named = [&](const char* name) { return std::strcmp(name, hf_isa_name(i)) == 0; };
    if (argc > 2 ? std::any_of(argv + 2, argv + argc, named) : hf_isa_supported(i))
      wrong += check(cases, hf_isa_name(i));
    else if (argc == 2)
      std::printf("%s: not checked, this machine does not have it\n", hf_isa_name(i));
  }
  for (int i = 2; i < argc; ++i) {
    bool known = false;
    for (int isa = 0; hf_isa_name(isa); ++isa) known = known || std::strcmp(argv[i], hf_isa_name(isa)) == 0;
    if (!known) return std::fprintf(stderr, "this build has no instruction set %s\n", argv[i]), 2;
  }
  return wrong ? 1 : 0;
}
