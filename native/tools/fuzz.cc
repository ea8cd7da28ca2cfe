// Fuzzes the plan parser: whatever the bytes, the engine answers with a plan that runs or with a status.
//
// With libFuzzer (clang) this file is a target. Without it: holdfast_fuzz SECONDS CASES [SEED] mutates the programs of
// CASES (see check.cc) at random. Any crash, sanitizer report or leaked exception is a failure.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <vector>

#include "holdfast.h"

namespace {

constexpr std::size_t kMostPixels = 1 << 14, kMostBytes = 16 << 20;

// Plans with every instruction set of this machine; a plan that is small enough is run, and all must agree.
void plan_and_run(const std::int32_t* words, std::size_t count, const std::int8_t* weights, std::size_t weight_count) {
  char message[HF_MESSAGE_SIZE];
  std::vector<std::int32_t> first;
  for (int isa = 0; isa < hf_isa_count(); ++isa) {
    if (!hf_isa_supported(isa)) continue;
    hf_plan* plan = nullptr;
    const hf_status status = hf_plan_create(words, count, weights, weight_count, hf_isa_name(isa), &plan, message);
    if (status == HF_INTERNAL || status == HF_SELF_TEST_FAILED || (status == HF_OK) != (plan != nullptr)) {
      std::fprintf(stderr, "%s: status %d: %s\n", hf_isa_name(isa), status, message);
      std::abort();
    }
    if (!plan) continue;
    std::int32_t shape[3];
    std::size_t packed, per_thread;
    hf_plan_shape(plan, shape);
    hf_plan_memory(plan, &packed, &per_thread);
    const std::size_t pixels =
        static_cast<std::size_t>(shape[0]) * static_cast<std::size_t>(shape[1]) * static_cast<std::size_t>(shape[2]);
    if (pixels <= kMostPixels && per_thread <= kMostBytes) {
      std::vector<std::int16_t> images(3 * pixels);
      for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::int16_t>(i * 40503u);
      std::vector<std::int32_t> logits(3 * static_cast<std::size_t>(hf_plan_classes(plan)));
      if (hf_run(plan, images.data(), 3, 1, logits.data(), nullptr, message) != HF_OK) {
        std::fprintf(stderr, "%s: does not run: %s\n", hf_isa_name(isa), message);
        std::abort();
      }
      if (first.empty()) first = logits;
      if (first != logits) {
        std::fprintf(stderr, "%s: other logits\n", hf_isa_name(isa));
        std::abort();
      }
    }
    hf_plan_destroy(plan);
  }
}

}  // namespace

#ifdef HOLDFAST_LIBFUZZER

// The first two bytes say how many words there are; the rest are weights.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t count = std::min<std::size_t>(data[0] | data[1] << 8, (size - 2) / 4);
  std::vector<std::int32_t> words(count);
  if (count) std::memcpy(words.data(), data + 2, 4 * count);
  const std::vector<std::int8_t> weights(data + 2 + 4 * count, data + size);
  plan_and_run(words.data(), count, weights.data(), weights.size());
  return 0;
}

#else

namespace {

struct Seed {
  std::vector<std::int32_t> words;
  std::vector<std::int8_t> weights;
};

std::vector<Seed> read_seeds(const char* path) {
  std::vector<Seed> seeds;
  std::FILE* file = std::fopen(path, "rb");
  for (std::int32_t sizes[6]; file && std::fread(sizes, sizeof *sizes, 6, file) == 6;) {
    Seed seed;
    seed.words.resize(static_cast<std::size_t>(sizes[0]));
    seed.weights.resize(static_cast<std::size_t>(sizes[1]));
    const long skipped = 2L * sizes[2] * sizes[3] + 4L * sizes[2] * sizes[4];
    if (std::fread(seed.words.data(), 4, seed.words.size(), file) != seed.words.size() ||
        std::fseek(file, skipped, SEEK_CUR) ||
        std::fread(seed.weights.data(), 1, seed.weights.size(), file) != seed.weights.size())
      break;
    if (seed.weights.size() < 20000) seeds.push_back(std::move(seed));
  }
  if (file) std::fclose(file);
  return seeds;
}

void mutate(Seed& seed, std::mt19937_64& random) {
  static const std::int32_t odd[] = {-1,
                                     0,
                                     1,
                                     2,
                                     3,
                                     4,
                                     16,
                                     17,
                                     52,
                                     53,
                                     127,
                                     128,
                                     -127,
                                     -128,
                                     32767,
                                     65535,
                                     65536,
                                     1 << 20,
                                     (1 << 22) - 1,
                                     1 << 22,
                                     1 << 28,
                                     INT32_MAX,
                                     INT32_MIN};
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (std::size_t left = 1 + below(4); left > 0 && !seed.words.empty(); --left) {
    const std::size_t at = below(below(2) ? seed.words.size() : std::min<std::size_t>(seed.words.size(), 40));
    switch (below(7)) {
      case 0:
        seed.words[at] = odd[below(sizeof odd / sizeof *odd)];
        break;
      case 1:
        seed.words[at] = static_cast<std::int32_t>(static_cast<std::uint32_t>(seed.words[at]) +
                                                   static_cast<std::uint32_t>(below(5)) - 2);
        break;
      case 2:
        seed.words[at] = static_cast<std::int32_t>(random());
        break;
      case 3:
        seed.words.resize(at);
        break;
      case 4:
        seed.words.insert(seed.words.begin() + static_cast<std::ptrdiff_t>(at), odd[below(8)]);
        break;
      case 5:
        seed.words.erase(seed.words.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      default:
        if (!seed.weights.empty()) seed.weights[below(seed.weights.size())] = static_cast<std::int8_t>(random());
        if (below(8) == 0) seed.weights.resize(below(seed.weights.size() + 9));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Seed> seeds = argc > 2 ? read_seeds(argv[2]) : std::vector<Seed>();
  if (seeds.empty()) return std::fprintf(stderr, "usage: holdfast_fuzz SECONDS CASES [SEED]\n"), 2;
  std::mt19937_64 random(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  const std::time_t end = std::time(nullptr) + std::atol(argv[1]);
  long runs = 0;
  for (; std::time(nullptr) < end; ++runs) {
    Seed seed = seeds[random() % seeds.size()];
    mutate(seed, random);
    plan_and_run(seed.words.data(), seed.words.size(), seed.weights.data(), seed.weights.size());
  }
  std::printf("%ld programs, no crash\n", runs);
  return 0;
}

#endif
