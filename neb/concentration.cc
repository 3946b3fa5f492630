#include "neb/concentration.h"

#include <cmath>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/random.h"

namespace neb {
namespace {

using Moments = Concentration::Moments;

// Mean and standard deviation of values(0), ..., values(n − 1), about the mean of all: no cancellation.
Moments MomentsOf(const std::vector<double>& values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (double v : values) m.mean += v / n;
  double squared = 0;
  for (double v : values) squared += (v - m.mean) * (v - m.mean);
  m.stddev = std::sqrt(squared / (n - 1));
  return m;
}

// ‖clean(i) + σε_i‖² for each draw, where clean adds sample i to a vector.
std::vector<double> NoisySquaredNorms(int64_t d, int64_t draws, double sigma, uint64_t seed,
                                      const std::function<void(int64_t, std::vector<double>&)>& clean) {
  std::vector<double> y(static_cast<size_t>(d)), norms;
  for (int64_t i = 0; i < draws; ++i) {
    autodiff::FillNormal({.seed = seed, .stream = autodiff::kEvaluationNoise, .step = 0}, i * d, std::span<double>(y));
    for (double& v : y) v *= sigma;
    clean(i, y);
    double squared = 0;
    for (double v : y) squared += v * v;
    norms.push_back(squared);
  }
  return norms;
}

// Of ‖ε‖/√d. Written out in powers of 1/d where the quotient of Γs would lose its digits.
Moments ChiMoments(double d) {
  if (d > 100) {
    const double u = 1 / d;
    return {.mean = 1 - u / 4 + u * u / 32 + 5 * u * u * u / 128,
            .stddev = std::sqrt(u / 2 - u * u / 8 - u * u * u / 16)};
  }
  const double mean = std::sqrt(2 / d) * std::exp(std::lgamma((d + 1) / 2) - std::lgamma(d / 2));
  return {.mean = mean, .stddev = std::sqrt(1 - mean * mean)};
}

absl::Status CheckDraws(int64_t draws) {
  if (draws >= 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a spread needs at least 2 draws, got ", draws));
}

absl::Status CheckSigma(double sigma) {
  if (sigma >= 0 && std::isfinite(sigma)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("sigma must be >= 0, got ", sigma));
}

}  // namespace

absl::StatusOr<Concentration> NoiseRadius(int64_t d, int64_t draws, uint64_t seed) {
  if (d < 1) return absl::InvalidArgumentError(absl::StrCat("d must be >= 1, got ", d));
  if (absl::Status s = CheckDraws(draws); !s.ok()) return s;
  std::vector<double> radii = NoisySquaredNorms(d, draws, 1, seed, [](int64_t, std::vector<double>&) {});
  for (double& r : radii) r = std::sqrt(r / static_cast<double>(d));
  return Concentration{draws, MomentsOf(radii), ChiMoments(static_cast<double>(d))};
}

absl::StatusOr<Concentration> SquaredNorms(const autodiff::Tensor& x, double sigma, uint64_t seed) {
  if (x.dtype() != autodiff::DType::kF32 || x.shape().rank() != 2 || x.shape()[0] < 2 || x.shape()[1] < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [n, d] with n >= 2, d >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  if (absl::Status s = CheckSigma(sigma); !s.ok()) return s;
  const int64_t n = x.shape()[0], d = x.shape()[1];
  const auto clean = [&](int64_t i, std::vector<double>& y) {
    for (int64_t k = 0; k < d; ++k) y[static_cast<size_t>(k)] += x.at(i * d + k);
  };
  const Moments norms = MomentsOf(NoisySquaredNorms(d, n, 0, seed, clean));
  const double dims = static_cast<double>(d), s = sigma * sigma, count = static_cast<double>(n);
  // These rows are all of X: divide by n, not n − 1.
  const double variance = norms.stddev * norms.stddev * (count - 1) / count;
  return Concentration{
      .draws = n,
      .measured = MomentsOf(NoisySquaredNorms(d, n, sigma, seed, clean)),
      .predicted = {norms.mean + s * dims, std::sqrt(variance + 4 * s * norms.mean + 2 * s * s * dims)}};
}

absl::StatusOr<Concentration> Expansion(const GaussianManifold& manifold, int64_t draws, uint64_t seed) {
  const auto& [d, k, stddev, sigma] = manifold;
  if (d < 1 || k < 1 || k > d) {
    return absl::InvalidArgumentError(absl::StrCat("expected 1 <= k <= d, got k = ", k, ", d = ", d));
  }
  if (!(stddev >= 0) || !std::isfinite(stddev)) {
    return absl::InvalidArgumentError(absl::StrCat("stddev must be >= 0, got ", stddev));
  }
  if (absl::Status s = CheckSigma(sigma); !s.ok()) return s;
  if (absl::Status s = CheckDraws(draws); !s.ok()) return s;
  std::vector<double> x(static_cast<size_t>(manifold.k));
  const auto clean = [&x, &manifold, seed](int64_t i, std::vector<double>& y) {
    autodiff::FillNormal({.seed = seed, .stream = autodiff::kSynthetic, .step = 0}, i * manifold.k,
                         std::span<double>(x));
    for (size_t j = 0; j < x.size(); ++j) y[j] += manifold.stddev * x[j];
  };
  const double on = static_cast<double>(k), off = static_cast<double>(d - k), s = sigma * sigma;
  const double along = stddev * stddev + s;
  return Concentration{.draws = draws,
                       .measured = MomentsOf(NoisySquaredNorms(d, draws, sigma, seed, clean)),
                       .predicted = {on * along + off * s, std::sqrt(2 * on * along * along + 2 * off * s * s)}};
}

}  // namespace neb
