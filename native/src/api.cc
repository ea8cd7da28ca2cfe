// The C interface: every exception becomes a status and a message.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

#include "dispatch.h"
#include "failure.h"
#include "holdfast.h"
#include "holdfast/noise.h"
#include "plan.h"
#include "run.h"

struct hf_plan {
  holdfast::Plan plan;
};

struct hf_noise {
  holdfast::NoiseTable table;
};

namespace {

hf_status say(hf_status status, const char* text, char* message) {
  if (message) {
    std::strncpy(message, text, HF_MESSAGE_SIZE - 1);
    message[HF_MESSAGE_SIZE - 1] = '\0';
  }
  return status;
}

constexpr char kNoMemory[] = "there is not enough memory for this network; fewer threads need less";

template <class Action>
hf_status guarded(char* message, const Action& action) noexcept {
  try {
    action();
    return say(HF_OK, "", message);
  } catch (const holdfast::Failure& failure) {
    return say(failure.status(), failure.what(), message);
  } catch (const std::bad_alloc&) {
    return say(HF_OUT_OF_MEMORY, kNoMemory, message);
  } catch (const std::length_error&) {
    return say(HF_OUT_OF_MEMORY, kNoMemory, message);
  } catch (const std::invalid_argument& error) {
    return say(HF_BAD_ARGUMENT, error.what(), message);
  } catch (const std::exception& error) {
    return say(HF_INTERNAL, error.what(), message);
  } catch (...) {
    return say(HF_INTERNAL, "unknown", message);
  }
}

void require(bool holds, const char* problem) {
  if (!holds) throw std::invalid_argument(problem);
}

constexpr int kMostThreads = 1024;
constexpr std::size_t kMostSamples = std::size_t{1} << 40;

void check_run(const void* plan, const void* images, std::size_t count, int threads) {
  require(plan && (images || count == 0), "a pointer is null");
  require(count <= kMostSamples, "more than 2^40 images");
  require(threads >= 1 && threads <= kMostThreads, "the number of threads must lie between 1 and 1024");
}

}  // namespace

extern "C" {

int hf_isa_count(void) { return holdfast::isa_count(); }

const char* hf_isa_name(int isa) {
  const holdfast::Isa* found = holdfast::isa_at(isa);
  return found ? found->kernels->name : nullptr;
}

int hf_isa_supported(int isa) {
  const holdfast::Isa* found = holdfast::isa_at(isa);
  return found && found->supported();
}

hf_status hf_isa_self_test(int isa, char message[HF_MESSAGE_SIZE]) {
  return guarded(message, [&] {
    const holdfast::Isa* found = holdfast::isa_at(isa);
    if (!found || !found->supported())
      throw holdfast::Failure(HF_UNKNOWN_ISA, "this machine or build does not have instruction set %d", isa);
    holdfast::self_test(*found->kernels);
  });
}

hf_status hf_plan_create(const int32_t* program, size_t words, const int8_t* weights, size_t weight_count,
                         const char* isa, hf_plan** plan, char message[HF_MESSAGE_SIZE]) {
  return guarded(message, [&] {
    require(plan && (program || words == 0) && (weights || weight_count == 0), "a pointer is null");
    *plan = nullptr;
    const holdfast::Kernels& kernels = holdfast::choose_isa(isa);
    *plan = new hf_plan{holdfast::make_plan(program, words, weights, weight_count, kernels)};
  });
}

void hf_plan_destroy(hf_plan* plan) { delete plan; }

const char* hf_plan_isa(const hf_plan* plan) { return plan->plan.kernels->name; }

void hf_plan_shape(const hf_plan* plan, int32_t shape[3]) {
  const holdfast::Shape& found = plan->plan.network.ops[0].shape;
  shape[0] = static_cast<int32_t>(found.channels);
  shape[1] = static_cast<int32_t>(found.height);
  shape[2] = static_cast<int32_t>(found.width);
}

int32_t hf_plan_classes(const hf_plan* plan) {
  return static_cast<int32_t>(plan->plan.network.ops.back().shape.channels);
}

void hf_plan_memory(const hf_plan* plan, size_t* plan_bytes, size_t* thread_bytes) {
  *plan_bytes = plan->plan.plan_bytes();
  *thread_bytes = plan->plan.thread_bytes();
}

hf_status hf_run(const hf_plan* plan, const int16_t* images, size_t count, int threads, int32_t* logits,
                 uint16_t* labels, char message[HF_MESSAGE_SIZE]) {
  return guarded(message, [&] {
    check_run(plan, images, count, threads);
    holdfast::run_images(plan->plan, images, count, threads, logits, labels);
  });
}

hf_status hf_noise_create(int32_t low, const uint32_t* thresholds, size_t count, hf_noise** noise,
                          char message[HF_MESSAGE_SIZE]) {
  return guarded(message, [&] {
    require(noise && (thresholds || count == 0), "a pointer is null");
    *noise = nullptr;
    std::vector<holdfast::Threshold> limbs(count);
    for (std::size_t i = 0; i < count; ++i) std::copy_n(thresholds + 4 * i, 4, limbs[i].begin());
    *noise = new hf_noise{holdfast::NoiseTable(low, std::move(limbs))};
  });
}

void hf_noise_destroy(hf_noise* noise) { delete noise; }

void hf_noise_fill(const hf_noise* noise, uint32_t k0, uint32_t k1, uint64_t start, size_t count, size_t dimension,
                   int16_t* out) {
  holdfast::fill_noise(noise->table, {k0, k1}, start, count, dimension, out);
}

hf_status hf_label_noisy(const hf_plan* plan, const hf_noise* noise, const uint8_t* image, uint32_t k0, uint32_t k1,
                         uint64_t start, size_t count, int clip, int threads, uint16_t* labels, int64_t* counts,
                         char message[HF_MESSAGE_SIZE]) {
  return guarded(message, [&] {
    check_run(plan, image, count, threads);
    require(noise, "a pointer is null");
    const holdfast::NoisyImage noisy{image, &noise->table, {k0, k1}, clip != 0};
    holdfast::label_noisy(plan->plan, noisy, start, count, threads, labels, counts);
  });
}

}  // extern "C"
