// Python bindings: arrays are taken as they are (noconvert), never copied or cast in silence.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "holdfast/noise.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Limbs = nb::ndarray<const std::uint32_t, nb::shape<-1, 4>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<std::int16_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

holdfast::NoiseTable make_table(int low, const Limbs& limbs) {
  std::vector<holdfast::Threshold> thresholds(limbs.shape(0));
  for (std::size_t i = 0; i < thresholds.size(); ++i)
    for (std::size_t j = 0; j < 4; ++j) thresholds[i][j] = limbs(i, j);
  return holdfast::NoiseTable(low, std::move(thresholds));
}

void fill(const holdfast::NoiseTable& table, std::uint32_t k0, std::uint32_t k1, std::uint64_t start, Rows out) {
  std::int16_t* data = out.data();
  const std::size_t count = out.shape(0), dimension = out.shape(1);
  nb::gil_scoped_release release;
  holdfast::fill_noise(table, {k0, k1}, start, count, dimension, data);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Native parts of holdfast; each equals its Python twin bit for bit.";
  nb::class_<holdfast::NoiseTable>(m, "Sampler")
      .def("__init__", [](holdfast::NoiseTable* self, int low, const Limbs& limbs) { new (self) holdfast::NoiseTable(make_table(low, limbs)); },
           "low"_a, "limbs"_a.noconvert())
      .def("fill", &fill, "k0"_a, "k1"_a, "start"_a, "out"_a.noconvert(), "Noise of samples start .. start+len(out)-1 into out.");
}
