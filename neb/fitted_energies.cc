#include "neb/fitted_energies.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/closed_form.h"
#include "neb/known_energies.h"
#include "neb/scales.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::DType;
using autodiff::Shape;

namespace {

absl::Status Check(const Tensor& x, double sigma) {
  if (x.shape().rank() != 2 || x.shape()[0] < 1 || x.shape()[1] < 1 || x.dtype() != DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [n, d], n and d >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  if (!(sigma > 0) || !std::isfinite(sigma)) {
    return absl::InvalidArgumentError(absl::StrCat("sigma must be positive, got ", sigma));
  }
  const std::span<const float> values = x.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("sample ", static_cast<int64_t>(i) / x.shape()[1], " (from 0) is not finite"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Energy> MixtureEnergy(const std::vector<GaussianComponent>& components, double sigma) {
  const absl::StatusOr<SmoothedMixture> smoothed = SmoothedMixture::Create(components, sigma);
  if (!smoothed.ok()) return smoothed.status();
  return GaussianMixtureEnergy(*smoothed);
}

// A tensor of a model's file, and its shape.
absl::StatusOr<Tensor> Find(const TensorFile& file, const std::string& name) {
  const Tensor* const tensor = file.Find(name);
  if (tensor == nullptr) return absl::InvalidArgumentError(absl::StrCat("the energy has a parameter \"", name, "\""));
  return *tensor;
}
absl::StatusOr<Tensor> Find(const TensorFile& file, const std::string& name, const Shape& expected) {
  absl::StatusOr<Tensor> tensor = Find(file, name);
  if (!tensor.ok() || tensor->shape() == expected) return tensor;
  return absl::InvalidArgumentError(
      absl::StrCat("parameter \"", name, "\" must be ", expected.ToString(), ", got ", tensor->shape().ToString()));
}
// A tensor of rows of d numbers, how many of them the file says.
absl::StatusOr<Tensor> FindRows(const TensorFile& file, const std::string& name, int64_t d) {
  absl::StatusOr<Tensor> rows = Find(file, name);
  if (!rows.ok() || (rows->shape().rank() == 2 && rows->shape()[0] >= 1 && rows->shape()[1] == d)) return rows;
  return absl::InvalidArgumentError(
      absl::StrCat("parameter \"", name, "\" must be [n, ", d, "], n >= 1, got ", rows->shape().ToString()));
}

}  // namespace

absl::StatusOr<Energy> FitQuadratic(const Tensor& x, double sigma) {
  if (absl::Status s = Check(x, sigma); !s.ok()) return s;
  const double stddev = MeasureScales(x, sigma).stddev;
  return MixtureEnergy({{.mean = Mean(x), .covariance = {stddev * stddev}}}, sigma);
}

absl::StatusOr<Energy> FitGaussian(const Tensor& x, double sigma, autodiff::ThreadPool* pool) {
  if (absl::Status s = Check(x, sigma); !s.ok()) return s;
  if (x.shape()[1] > kMaxGaussianDimension) {
    return absl::InvalidArgumentError(absl::StrCat("the covariance of samples of ", x.shape()[1],
                                                   " numbers; it is limited to ", kMaxGaussianDimension));
  }
  const std::vector<double> mean = Mean(x);
  return MixtureEnergy({{.mean = mean, .covariance = SecondMoment(x, mean, DType::kF64, pool)}}, sigma);
}

absl::StatusOr<Energy> FitGaussianMixture(const Tensor& x, double sigma, const GaussianMixtureOptions& options,
                                          autodiff::ThreadPool* pool) {
  if (absl::Status s = Check(x, sigma); !s.ok()) return s;
  const absl::StatusOr<MixtureFit> fit = FitMixture(x, sigma, options, pool);
  if (!fit.ok()) return fit.status();
  return MixtureEnergy(fit->components, sigma);
}

absl::StatusOr<Energy> FitKernelDensity(const Tensor& x, double sigma, int64_t max_bytes) {
  if (absl::Status s = Check(x, sigma); !s.ok()) return s;
  if (x.num_bytes() > max_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the kernel density stores all of its ", x.shape()[0], " samples, ", x.num_bytes() >> 20, " MiB; at most ",
        max_bytes / (x.num_bytes() / x.shape()[0]), " of them fit into its ", max_bytes >> 20, " MiB"));
  }
  return KernelDensityEnergy(x, sigma);
}

absl::StatusOr<Energy> StoredMixture(const TensorFile& file, int64_t d) {
  absl::StatusOr<Tensor> means = FindRows(file, "means", d);
  if (!means.ok()) return means.status();
  const int64_t count = means->shape()[0];
  absl::StatusOr<Tensor> factors = Find(file, "log_factors", {count});
  if (!factors.ok()) return factors.status();
  absl::StatusOr<Tensor> whitening = Find(file, "whitening");
  if (whitening.ok() && !(whitening->shape() == Shape{count})) whitening = Find(file, "whitening", {count, d, d});
  if (!whitening.ok()) return whitening.status();
  return GaussianMixtureEnergy(*std::move(means), *std::move(whitening), *std::move(factors));
}

absl::StatusOr<Energy> StoredKernelDensity(const TensorFile& file, int64_t d, double sigma) {
  absl::StatusOr<Tensor> samples = FindRows(file, "samples", d);
  if (!samples.ok()) return samples.status();
  absl::StatusOr<Tensor> mean = Find(file, "mean", {d});
  if (!mean.ok()) return mean.status();
  return KernelDensityEnergy(*std::move(samples), *std::move(mean), sigma);
}

}  // namespace neb
