#include "neb/scales.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "neb/statistics.h"

namespace neb {

Scales MeasureScales(const Tensor& x, double sigma) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  const std::vector<double> mean = Mean(x);
  const std::span<const float> values = x.data<float>();
  double total = 0, farthest = 0;
  for (int64_t i = 0; i < n; ++i) {
    double squared = 0;
    for (int64_t j = 0; j < d; ++j) {
      const double r = values[static_cast<size_t>(i * d + j)] - mean[static_cast<size_t>(j)];
      squared += r * r;
    }
    total += squared;
    farthest = std::max(farthest, squared);
  }
  Scales scales;
  scales.mean = Tensor({d});
  for (int64_t j = 0; j < d; ++j) scales.mean.set(j, mean[static_cast<size_t>(j)]);
  scales.sigma = sigma;
  const double dims = static_cast<double>(d);
  const double variance = total / static_cast<double>(n) / dims;
  scales.stddev = std::sqrt(variance);
  // The squared distance of a noisy sample has mean ‖x − μ‖² + σ²d and standard deviation √(2d)σ² + 2σ‖x − μ‖ at most;
  // in few dimensions that spread is what matters, so allow four of it before the margin.
  const double spread = sigma * sigma * std::sqrt(2 * dims) + 2 * sigma * std::sqrt(farthest);
  const double squared_radius = (farthest + sigma * sigma * dims + 4 * spread) / (dims * (variance + sigma * sigma));
  scales.radius = 1.25 * std::sqrt(squared_radius);
  return scales;
}

Standardized Standardize(Var y, const Scales& scales, Params& p) {
  const Var mean = p.Fixed("mean", scales.mean);
  const Var stddev = p.Fixed("stddev", Tensor::Full({}, scales.stddev));
  const Var radius = p.Fixed("radius", Tensor::Full({}, scales.radius > 0 ? scales.radius : HUGE_VAL));
  // Checked, because it would broadcast.
  if (!(mean.shape() == autodiff::Shape{y.dim(1)})) {
    const Var failed = y.tape()->Fail("standardize",
                                      absl::StrCat("Scales::mean of shape ", scales.mean.shape().ToString(),
                                                   " for points of shape ", y.shape().ToString()),
                                      {});
    return {failed, failed, failed};
  }
  const Var variance = square(stddev) + scales.sigma * scales.sigma;
  const Var z = (y - mean) * rsqrt(variance);
  // min(1, radius / r) as 1/√max(1, r²/radius²): exactly 1, with derivative exactly 0, inside.
  const Var shrink = rsqrt(maximum(autodiff::mean(square(z), {1}, true) / square(radius), 1.0));
  return {z, z * shrink, sqrt(variance)};
}

}  // namespace neb
