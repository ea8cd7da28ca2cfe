// holdfast_check CASES [ISA ...]: runs networks with known logits through instruction sets, without Python.
//
// CASES is what tests/contracts/engine_cases.py writes: for each case six int32 (number of words, of weights, of
// images, of pixels, of classes, and 0), then words, images (int16), logits and weights. Without names every
// instruction set of this machine is run, and the others are named. Labels are those of the logits; labels and counts
// of noisy copies are those of the noise itself, added to the image. Prints one line for each instruction set; the exit
// status is 1 if anything differs and 2 if the file cannot be used.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "failure.h"
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

// What one instruction set makes of one case; the first thing that is wrong is kept.
class Check {
 public:
  Check(const Case& known, const char* isa, const hf_noise* noise) : known_(known), noise_(noise) {
    said(hf_plan_create(known.words.data(), known.words.size(), known.weights.data(), known.weights.size(), isa, &plan_,
                        message_));
  }
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;
  ~Check() { hf_plan_destroy(plan_); }

  const std::string& problem() const { return problem_; }

  void logits(int threads) {
    if (!problem_.empty()) return;
    std::vector<std::int32_t> logits(known_.logits.size());
    std::vector<std::uint16_t> labels(known_.count);
    said(hf_run(plan_, known_.images.data(), known_.count, threads, logits.data(), labels.data(), message_));
    same(logits == known_.logits, "other logits");
    same(labels == labels_of(known_.logits), "labels that are not the logits'");
  }

  void noisy_copies(int threads, bool clip) {
    if (!problem_.empty()) return;
    const std::vector<std::uint16_t> expected = expected_labels(clip);
    std::vector<std::uint16_t> labels(kCopies);
    std::vector<std::int64_t> counts(classes(), 7), expected_counts = counts;
    for (const std::uint16_t label : expected) ++expected_counts[label];
    label(threads, clip, labels.data(), counts.data());
    same(labels == expected, "other labels of noisy copies");
    same(counts == expected_counts, "other counts of noisy copies");
    for (const std::uint16_t label : expected) ++expected_counts[label];
    label(threads, clip, nullptr, counts.data());
    same(counts == expected_counts, "other counts without labels");
  }

 private:
  static constexpr std::size_t kCopies = 3;
  static constexpr std::uint32_t kKey[2] = {17, 0x80000001};
  static constexpr std::uint64_t kStart = (std::uint64_t{1} << 32) - 2;

  void said(hf_status status) { same(status == HF_OK, message_); }
  void same(bool holds, const char* problem) {
    if (!holds && problem_.empty()) problem_ = problem;
  }

  std::size_t classes() const { return static_cast<std::size_t>(hf_plan_classes(plan_)); }

  std::vector<std::uint16_t> labels_of(const std::vector<std::int32_t>& logits) const {
    std::vector<std::uint16_t> labels;
    for (auto row = logits.begin(); row != logits.end(); row += hf_plan_classes(plan_))
      labels.push_back(static_cast<std::uint16_t>(std::max_element(row, row + hf_plan_classes(plan_)) - row));
    return labels;
  }

  // Of the first image, as far as it fits 8 bits.
  std::vector<std::uint8_t> image() const {
    std::vector<std::uint8_t> pixels;
    for (std::size_t i = 0; i < known_.images.size() / known_.count; ++i)
      pixels.push_back(static_cast<std::uint8_t>(known_.images[i]));
    return pixels;
  }

  std::vector<std::uint16_t> expected_labels(bool clip) {
    const std::vector<std::uint8_t> pixels = image();
    std::vector<std::int16_t> copies(kCopies * pixels.size());
    hf_noise_fill(noise_, kKey[0], kKey[1], kStart, kCopies, pixels.size(), copies.data());
    for (std::size_t i = 0; i < copies.size(); ++i) {
      const int pixel = copies[i] + pixels[i % pixels.size()];
      copies[i] = static_cast<std::int16_t>(clip ? std::clamp(pixel, 0, 255) : pixel);
    }
    std::vector<std::uint16_t> labels(kCopies);
    said(hf_run(plan_, copies.data(), kCopies, 1, nullptr, labels.data(), message_));
    return labels;
  }

  void label(int threads, bool clip, std::uint16_t* labels, std::int64_t* counts) {
    said(hf_label_noisy(plan_, noise_, image().data(), kKey[0], kKey[1], kStart, kCopies, clip, threads, labels, counts,
                        message_));
  }

  const Case& known_;
  const hf_noise* noise_;
  hf_plan* plan_ = nullptr;
  char message_[HF_MESSAGE_SIZE];
  std::string problem_;
};

// Values -60 to 60 of one probability each.
hf_noise* some_noise() {
  std::vector<std::uint32_t> thresholds;
  for (std::uint32_t i = 1; i <= 120; ++i) thresholds.insert(thresholds.end(), {i * (UINT32_MAX / 121), i, 0, 0});
  char message[HF_MESSAGE_SIZE];
  hf_noise* noise = nullptr;
  if (hf_noise_create(-60, thresholds.data(), 120, &noise, message) != HF_OK) std::printf("noise: %s\n", message);
  return noise;
}

// Kernels that pass over additions: with the portable ones before them, those are chosen unless these are named.
int check_choice() {
  holdfast::Kernels wrong = holdfast::kPortable;
  wrong.name = "wrong";
  wrong.add = [](const holdfast::AddCall&, const holdfast::View&, const holdfast::View&, const holdfast::View&) {};
  const auto here = [] { return true; };
  const holdfast::Isa isas[] = {{&holdfast::kPortable, here}, {&wrong, here}};
  int problems = 0;
  for (int times = 0; times < 2; ++times) {
    problems += &holdfast::choose_among(isas, 2, nullptr) != &holdfast::kPortable;
    for (const auto& [count, name] : {std::pair{2, "wrong"}, {1, nullptr}}) try {
        holdfast::choose_among(isas + 2 - count, count, name), ++problems;
      } catch (const holdfast::Failure& failure) {
        problems += failure.status() != HF_SELF_TEST_FAILED;
      }
  }
  std::printf("choice of an instruction set: %d wrong\n", problems);
  return problems;
}

int check(const std::vector<Case>& cases, int isa) {
  const char* const name = hf_isa_name(isa);
  char message[HF_MESSAGE_SIZE];
  if (hf_isa_self_test(isa, message) != HF_OK) return std::printf("%s: %s\n", name, message), 1;
  hf_noise* const noise = some_noise();
  int wrong = !noise;
  for (std::size_t i = 0; noise && i < cases.size(); ++i) {
    Check check(cases[i], name, noise);
    for (int threads = 1; threads <= 2; ++threads) check.logits(threads);
    check.noisy_copies(1 + i / 2 % 2, i % 2);
    if (!check.problem().empty() && ++wrong <= 5) std::printf("%s: case %zu: %s\n", name, i, check.problem().c_str());
  }
  hf_noise_destroy(noise);
  std::printf("%s: %zu cases, %d wrong\n", name, cases.size(), wrong);
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
  int wrong = cases.empty() + check_choice();
  for (int i = 0; hf_isa_name(i); ++i) {
    const auto named = [&](const char* name) { return std::strcmp(name, hf_isa_name(i)) == 0; };
    if (argc > 2 ? std::any_of(argv + 2, argv + argc, named) : hf_isa_supported(i))
      wrong += check(cases, i);
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
