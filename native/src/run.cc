// Images over threads: each thread takes a range of samples and computes whole images, so that nothing is shared.
#include "run.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "failure.h"

namespace holdfast {
namespace {

// The memory of one thread.
struct Workspace {
  Lines<std::int8_t> values;
  Lines<std::int16_t> pixels;
  std::vector<std::int32_t> logits;
  void (*leave)();

  explicit Workspace(const Plan& plan)
      : values(plan.workspace_bytes, 0),
        pixels(static_cast<std::size_t>(plan.batch_pixels())),
        logits(static_cast<std::size_t>(plan.network.ops.back().shape.channels)),
        leave(plan.kernels->leave) {}
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() {
    if (leave) leave();
  }
};

// Calls job(first, end) for a share of 0 .. count-1 on each thread; the caller's thread takes the last share.
template <class Job>
void across_threads(std::size_t count, int threads, const Job& job) {
  const std::size_t shares =
      std::clamp<std::size_t>(static_cast<std::size_t>(threads), 1, std::max<std::size_t>(count, 1));
  std::vector<std::exception_ptr> failures(shares);
  const auto guarded = [&](std::size_t share) noexcept {
    try {
      job(count * share / shares, count * (share + 1) / shares);
    } catch (...) {
      failures[share] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  others.reserve(shares - 1);
  bool started = true;
  try {
    for (std::size_t share = 0; share + 1 < shares; ++share) others.emplace_back(guarded, share);
  } catch (const std::exception&) {  // no thread, or no memory for one; those that run have to be waited for
    started = false;
  }
  if (started) guarded(shares - 1);
  for (std::thread& thread : others) thread.join();
  if (!started) throw Failure(HF_NO_THREADS, "the system gives no %d threads; ask for fewer", threads);
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

// The logits of one image of a batch.
void read_logits(const Plan& plan, const Workspace& space, int image, std::int32_t* logits) {
  const Value& value = plan.values.back();
  const std::int8_t* bytes = space.values.data() + value.offset +
                             static_cast<std::size_t>(image) * value.layout.bytes() +
                             static_cast<std::size_t>(value.layout.origin()) * value.layout.element();
  const auto classes = static_cast<std::size_t>(plan.network.ops.back().shape.channels);
  if (value.layout.raw)
    std::copy_n(reinterpret_cast<const std::int32_t*>(bytes), classes, logits);
  else
    std::copy_n(bytes, classes, logits);
}

// The lowest index on ties.
std::uint16_t label_of(const std::vector<std::int32_t>& logits) {
  return static_cast<std::uint16_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

void run_images(const Plan& plan, const std::int16_t* images, std::size_t count, int threads, std::int32_t* logits,
                std::uint16_t* labels) {
  const auto dimension = static_cast<std::size_t>(plan.network.ops[0].shape.elements());
  const auto batch = static_cast<std::size_t>(plan.batch);
  across_threads(count, threads, [&](std::size_t first, std::size_t end) {
    Workspace space(plan);
    for (std::size_t at = first; at < end; at += batch) {
      const std::size_t here = std::min(batch, end - at);
      execute(plan, space.values.data(), images + at * dimension, static_cast<int>(here));
      for (std::size_t i = 0; i < here; ++i) {
        read_logits(plan, space, static_cast<int>(i), space.logits.data());
        if (logits) std::copy(space.logits.begin(), space.logits.end(), logits + (at + i) * space.logits.size());
        if (labels) labels[at + i] = label_of(space.logits);
      }
    }
  });
}

void label_noisy(const Plan& plan, const NoisyImage& image, std::uint64_t start, std::size_t count, int threads,
                 std::uint16_t* labels, std::int64_t* counts) {
  const auto dimension = static_cast<std::size_t>(plan.network.ops[0].shape.elements());
  const auto batch = static_cast<std::size_t>(plan.batch);
  std::vector<std::uint16_t> own(labels ? 0 : count);
  std::uint16_t* found = labels ? labels : own.data();
  across_threads(count, threads, [&](std::size_t first, std::size_t end) {
    Workspace space(plan);
    for (std::size_t at = first; at < end; at += batch) {
      const std::size_t here = std::min(batch, end - at);
      fill_noise(*plan.kernels, *image.noise, image.key, start + at, here, dimension, space.pixels.data());
      for (std::size_t i = 0; i < here; ++i)
        plan.kernels->add_image(image.pixels, static_cast<std::int64_t>(dimension), image.clip,
                                space.pixels.data() + i * dimension);
      execute(plan, space.values.data(), space.pixels.data(), static_cast<int>(here));
      for (std::size_t i = 0; i < here; ++i) {
        read_logits(plan, space, static_cast<int>(i), space.logits.data());
        found[at + i] = label_of(space.logits);
      }
    }
  });
  if (counts)
    for (std::size_t i = 0; i < count; ++i) ++counts[found[i]];
}

}  // namespace holdfast
