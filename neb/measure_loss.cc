#include "neb/measure_loss.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "absl/strings/str_cat.h"
#include "autodiff/random.h"
#include "neb/measurements.h"

namespace neb {

absl::Status CheckSamples(const Model& model, const Tensor& x, int64_t measurements) {
  if (measurements < 1 || model.d() % measurements != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("measurements must be a divisor of the model's d = ", model.d(), ", got ", measurements));
  }
  const int64_t d = model.d() / measurements;
  if (x.shape().rank() != 2 || x.shape()[0] < 1 || x.shape()[1] != d || x.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [n, ", d, "] with n >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  const std::span<const float> values = x.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::InvalidArgumentError(absl::StrCat("sample ", static_cast<int64_t>(i) / d, " has a value of ",
                                                     values[i], " at position ", static_cast<int64_t>(i) % d));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMeasurable(const Model& model, const Tensor& x, int64_t samples, int64_t measurements) {
  if (samples < 1) return absl::InvalidArgumentError("the loss of no samples is not defined");
  return CheckSamples(model, x, measurements);
}

absl::StatusOr<double> MeasureLoss(Model& model, const Tensor& x, int64_t samples, uint64_t seed,
                                   autodiff::ThreadPool* pool, int64_t measurements) {
  if (absl::Status s = CheckMeasurable(model, x, samples, measurements); !s.ok()) return s;
  const int64_t n = std::min(samples, x.shape()[0]), width = x.shape()[1];
  constexpr int64_t kChunk = 1024;  // bounds the memory
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t rows = std::min(kChunk, n - begin);
    const std::span<const float> clean =
        x.data<float>().subspan(static_cast<size_t>(begin * width), static_cast<size_t>(rows * width));
    const absl::StatusOr<Tensor> repeated = Repeat(Tensor::From<float>({rows, width}, clean), measurements);
    if (!repeated.ok()) return repeated.status();
    Tensor y(repeated->shape()), estimates(repeated->shape());
    const std::span<float> noisy = y.data<float>();
    autodiff::FillNormal({.seed = seed, .stream = autodiff::kEvaluationNoise, .step = 0}, begin * model.d(), noisy);
    for (size_t i = 0; i < noisy.size(); ++i) {
      noisy[i] = repeated->data<float>()[i] + static_cast<float>(model.sigma()) * noisy[i];
    }
    absl::Status s = model.Evaluate(noisy, {.energy = {}, .gradient = {}, .x_hat = estimates.data<float>()}, pool);
    if (!s.ok()) return s;
    const absl::StatusOr<Tensor> x_hat = MeanOfMeasurements(estimates, measurements);
    if (!x_hat.ok()) return x_hat.status();
    for (size_t i = 0; i < clean.size(); ++i) {
      const double r = static_cast<double>(clean[i]) - x_hat->data<float>()[i];
      total += r * r;
    }
  }
  return total / static_cast<double>(n);
}

}  // namespace neb
