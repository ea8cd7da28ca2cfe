// Python bindings: arrays are taken as they are (noconvert), never copied or cast in silence.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "holdfast.h"
#include "selftest.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T, class... Rest>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu, Rest...>;
using Limbs = Array<const std::uint32_t, nb::shape<-1, 4>>;

// What holdfast/engine/native.py turns into an exception of the tree: (status, message).
class EngineError : public std::exception {
 public:
  EngineError(hf_status status, std::string message) : status(status), message(std::move(message)) {}
  const char* what() const noexcept override { return message.c_str(); }
  hf_status status;
  std::string message;
};

void check(hf_status status, const char* message) {
  if (status != HF_OK) throw EngineError(status, message);
}

class Noise {
 public:
  Noise(int low, const Limbs& limbs) {
    char message[HF_MESSAGE_SIZE];
    const hf_status status = hf_noise_create(low, limbs.data(), limbs.shape(0), &noise_, message);
    if (status == HF_BAD_ARGUMENT) throw nb::value_error(message);
    if (status == HF_OUT_OF_MEMORY) throw std::bad_alloc();
    check(status, message);
  }
  Noise(const Noise&) = delete;
  Noise& operator=(const Noise&) = delete;
  ~Noise() { hf_noise_destroy(noise_); }

  void fill(std::uint32_t k0, std::uint32_t k1, std::uint64_t start, Array<std::int16_t, nb::ndim<2>> out) const {
    std::int16_t* data = out.data();
    const std::size_t count = out.shape(0), dimension = out.shape(1);
    nb::gil_scoped_release release;
    hf_noise_fill(noise_, k0, k1, start, count, dimension, data);
  }
  const hf_noise* get() const { return noise_; }

 private:
  hf_noise* noise_ = nullptr;
};

// How many images the next piece of work takes, so that one takes about a tenth of a second. The first says what an
// image costs: it has one for each thread that a processor can run.
class PieceSize {
 public:
  explicit PieceSize(int threads) {
    static const long processors = std::thread::hardware_concurrency();
    least_ = now_ = static_cast<std::size_t>(std::clamp(static_cast<long>(threads), 1L, std::max(processors, 1L)));
  }

  std::size_t now() const { return now_; }

  void took(std::chrono::steady_clock::duration time) {
    using std::chrono::milliseconds;
    if (time < milliseconds(4))
      now_ *= 16;
    else if (time < milliseconds(60))
      now_ *= 2;
    else if (time > milliseconds(200))
      now_ = std::max(least_, now_ / 2);
  }

 private:
  std::size_t least_, now_;
};

// Work in pieces between which Ctrl-C is seen: piece(first, count) -> status.
template <class Piece>
void interruptible(std::size_t count, int threads, const Piece& piece) {
  char message[HF_MESSAGE_SIZE] = "";
  PieceSize size(threads);
  for (std::size_t at = 0; at < count;) {
    const std::size_t here = std::min(size.now(), count - at);
    const auto began = std::chrono::steady_clock::now();
    hf_status status;
    {
      nb::gil_scoped_release release;
      status = piece(at, here, message);
    }
    check(status, message);
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    at += here;
    size.took(std::chrono::steady_clock::now() - began);
  }
}

class Plan {
 public:
  Plan(const Array<const std::int32_t, nb::ndim<1>>& program, const Array<const std::int8_t, nb::ndim<1>>& weights,
       const std::optional<std::string>& isa) {
    char message[HF_MESSAGE_SIZE];
    hf_status status;
    {
      nb::gil_scoped_release release;
      status = hf_plan_create(program.data(), program.shape(0), weights.data(), weights.shape(0),
                              isa ? isa->c_str() : nullptr, &plan_, message);
    }
    check(status, message);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() { hf_plan_destroy(plan_); }

  std::string isa() const { return hf_plan_isa(plan_); }
  int classes() const { return hf_plan_classes(plan_); }

  std::tuple<int, int, int> shape() const {
    std::int32_t found[3];
    hf_plan_shape(plan_, found);
    return {found[0], found[1], found[2]};
  }

  std::pair<std::size_t, std::size_t> memory() const {
    std::size_t weights = 0, thread = 0;
    hf_plan_memory(plan_, &weights, &thread);
    return {weights, thread};
  }

  void run(const Array<const std::int16_t, nb::ndim<4>>& images, int threads,
           Array<std::int32_t, nb::ndim<2>> logits) const {
    const auto [channels, height, width] = shape();
    const auto is = [](std::size_t a, int b) { return a == static_cast<std::size_t>(b); };
    if (!is(images.shape(1), channels) || !is(images.shape(2), height) || !is(images.shape(3), width) ||
        logits.shape(0) != images.shape(0) || !is(logits.shape(1), classes()))
      throw EngineError(HF_BAD_ARGUMENT, "images or logits of another shape than the network's");
    const std::int16_t* in = images.data();
    std::int32_t* out = logits.data();
    const std::size_t dimension = images.shape(1) * images.shape(2) * images.shape(3), columns = logits.shape(1);
    interruptible(images.shape(0), threads, [&](std::size_t at, std::size_t count, char* message) {
      return hf_run(plan_, in + at * dimension, count, threads, out + at * columns, nullptr, message);
    });
  }

  void label(const Noise& noise, const Array<const std::uint8_t, nb::ndim<3>>& image, std::uint32_t k0,
             std::uint32_t k1, std::uint64_t start, bool clip, int threads,
             Array<std::uint16_t, nb::ndim<1>> labels) const {
    const auto [channels, height, width] = shape();
    if (image.shape(0) != static_cast<std::size_t>(channels) || image.shape(1) != static_cast<std::size_t>(height) ||
        image.shape(2) != static_cast<std::size_t>(width))
      throw EngineError(HF_BAD_ARGUMENT, "an image of another shape than the network's");
    const std::uint8_t* pixels = image.data();
    std::uint16_t* out = labels.data();
    interruptible(labels.shape(0), threads, [&](std::size_t at, std::size_t count, char* message) {
      return hf_label_noisy(plan_, noise.get(), pixels, k0, k1, start + at, count, clip, threads, out + at, nullptr,
                            message);
    });
  }

 private:
  hf_plan* plan_ = nullptr;
};

nb::list isas() {
  nb::list found;
  for (int i = 0; i < hf_isa_count(); ++i) found.append(nb::make_tuple(hf_isa_name(i), hf_isa_supported(i) != 0));
  return found;
}

// Words, weights and images (as lists) of the known answers, and the hash of the logits.
nb::tuple self_test_network() {
  const holdfast::SelfTest test;
  nb::list program, weights, images;
  for (auto word : test.program) program.append(word);
  for (auto weight : test.weights) weights.append(static_cast<int>(weight));
  for (auto pixel : test.images) images.append(static_cast<int>(pixel));
  return nb::make_tuple(program, weights, images, holdfast::kSelfTestAnswer);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Native parts of holdfast; each equals its Python twin bit for bit.";
  static PyObject* error = PyErr_NewException("holdfast._native.EngineError", PyExc_RuntimeError, nullptr);
  m.attr("EngineError") = nb::borrow(error);
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const EngineError& failure) {
      PyErr_SetObject(error, nb::make_tuple(static_cast<int>(failure.status), failure.message).ptr());
    }
  });
  nb::class_<Noise>(m, "Sampler")
      .def(nb::init<int, const Limbs&>(), "low"_a, "limbs"_a.noconvert())
      .def("fill", &Noise::fill, "k0"_a, "k1"_a, "start"_a, "out"_a.noconvert(),
           "Noise of samples start .. start+len(out)-1 into out.");
  nb::class_<Plan>(m, "Plan")
      .def(nb::init<const Array<const std::int32_t, nb::ndim<1>>&, const Array<const std::int8_t, nb::ndim<1>>&,
                    const std::optional<std::string>&>(),
           "program"_a.noconvert(), "weights"_a.noconvert(), "isa"_a.none())
      .def("run", &Plan::run, "images"_a.noconvert(), "threads"_a, "logits"_a.noconvert(), "Logits of int16 images.")
      .def("label", &Plan::label, "noise"_a, "image"_a.noconvert(), "k0"_a, "k1"_a, "start"_a, "clip"_a, "threads"_a,
           "labels"_a.noconvert(), "Labels of noisy copies start .. start+len(labels)-1.")
      .def_prop_ro("isa", &Plan::isa)
      .def_prop_ro("shape", &Plan::shape)
      .def_prop_ro("classes", &Plan::classes)
      .def_prop_ro("memory", &Plan::memory, "Bytes of what is packed, and of one thread's memory.");
  m.def("isas", &isas,
        "Names of the instruction sets of this build, slowest first, and whether this machine has them.");
  m.def("self_test_network", &self_test_network);
}
