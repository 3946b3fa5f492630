#include "neb/measurements.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace neb {

using autodiff::Shape;

namespace {

// What is wrong with M measurements side by side of this shape; empty: nothing.
std::string Mistake(const Shape& shape, int64_t measurements) {
  if (measurements >= 1 && shape.rank() == 2 && shape[1] % measurements == 0) return "";
  return absl::StrCat("expected [n, d] with d a multiple of ", measurements, " measurements, at least 1; got ",
                      shape.ToString());
}

Var Fail(Var y, const std::string& mistake) { return y.tape()->Fail("measurements", mistake, {}); }

}  // namespace

Var Repeat(Var x, int64_t measurements) {
  if (!x.ok() || measurements == 1) return x;
  if (measurements < 1) return Fail(x, Mistake(x.shape(), measurements));
  return concat(std::vector<Var>(static_cast<size_t>(measurements), x), 1);
}

Var MeanOfMeasurements(Var y, int64_t measurements) {
  if (!y.ok()) return y;
  if (const std::string mistake = Mistake(y.shape(), measurements); !mistake.empty()) return Fail(y, mistake);
  if (measurements == 1) return y;
  return mean(reshape(y, {y.dim(0), measurements, y.dim(1) / measurements}), {1});
}

Energy JointEnergy(Energy energy_of_mean, int64_t measurements, double sigma) {
  return [energy_of_mean = std::move(energy_of_mean), measurements, sigma](Var y, Params& p) {
    const Var mean = MeanOfMeasurements(y, measurements);
    const Var phi = RecordEnergy(energy_of_mean, mean, p);
    if (measurements == 1 || !phi.ok()) return phi;
    return (0.5 / (sigma * sigma)) * squared_norm(y - Repeat(mean, measurements), {1}) + phi;
  };
}

Var MeasurementsLoss(const Energy& energy, Var x, Var y, int64_t measurements, double sigma, Params& p) {
  const Var phi = RecordEnergy(energy, y, p);
  return squared_norm(x - MeanOfMeasurements(XHat(phi, y, sigma), measurements), {1});
}

absl::StatusOr<Tensor> Repeat(const Tensor& x, int64_t measurements) {
  if (measurements < 1 || x.shape().rank() != 2 || x.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(absl::StrCat("Repeat: expected f32 [n, d] and at least 1 measurement, got ",
                                                   Name(x.dtype()), x.shape().ToString(), " and ", measurements));
  }
  const int64_t n = x.shape()[0], d = x.shape()[1];
  Tensor repeated({n, measurements * d});
  for (int64_t i = 0; i < n * measurements; ++i) {
    std::copy_n(x.data<float>().begin() + i / measurements * d, d, repeated.data<float>().begin() + i * d);
  }
  return repeated;
}

absl::StatusOr<Tensor> MeanOfMeasurements(const Tensor& y, int64_t measurements) {
  std::string mistake = Mistake(y.shape(), measurements);
  if (y.dtype() != autodiff::DType::kF32) mistake = absl::StrCat("expected f32, got ", Name(y.dtype()));
  if (!mistake.empty()) return absl::InvalidArgumentError(absl::StrCat("MeanOfMeasurements: ", mistake));
  const int64_t n = y.shape()[0], d = y.shape()[1] / measurements;
  Tensor mean({n, d});
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < d; ++j) {
      double sum = 0;
      for (int64_t m = 0; m < measurements; ++m) sum += y.at((i * measurements + m) * d + j);
      mean.set(i * d + j, sum / static_cast<double>(measurements));
    }
  }
  return mean;
}

}  // namespace neb
