#include "neb/closed_form.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using testing::HasSubstr;

SmoothedMixture Created(const std::vector<GaussianComponent>& components, double sigma) {
  absl::StatusOr<SmoothedMixture> mixture = SmoothedMixture::Create(components, sigma);
  EXPECT_TRUE(mixture.ok()) << mixture.status();
  return *std::move(mixture);
}

Smoothed At(const SmoothedMixture& mixture, const std::vector<double>& y) {
  const int64_t d = mixture.d();
  absl::StatusOr<Smoothed> at = mixture.Evaluate(Tensor::From<double>({static_cast<int64_t>(y.size()) / d, d}, y));
  EXPECT_TRUE(at.ok()) << at.status();
  return *std::move(at);
}

// Two of full covariance, one isotropic, one of rank one, in the plane.
std::vector<GaussianComponent> Assorted() {
  return {{.weight = 2, .mean = {-1, 0.5}, .covariance = {1, 0.6, 0.6, 0.5}},
          {.weight = 1, .mean = {2, 1}, .covariance = {0.3, -0.2, -0.2, 0.4}},
          {.weight = 0.5, .mean = {0, -2}, .covariance = {0.09}},
          {.weight = 1, .mean = {1, -1}, .covariance = {1, 1, 1, 1}}};
}

// METHOD.md §8, item 5: x̂ = τ²y/(τ² + σ²), φ = ‖y‖²/2(τ² + σ²) + const, loss dτ²σ²/(τ² + σ²).
TEST(SmoothedMixture, OfOneIsotropicGaussian) {
  const double tau = 1.5, sigma = 0.5, total = tau * tau + sigma * sigma;
  const SmoothedMixture p = Created({{.mean = {0, 0, 0}, .covariance = {tau * tau}}}, sigma);
  const Smoothed at = At(p, {1, -2, 3, 0, 0, 0});
  for (int64_t j = 0; j < 3; ++j) {
    const double y = std::vector<double>{1, -2, 3}[static_cast<size_t>(j)];
    EXPECT_NEAR(at.x_hat.at(j), tau * tau * y / total, 1e-14);
    EXPECT_NEAR(at.gradient.at(j), y / total, 1e-14);
  }
  EXPECT_NEAR(at.energy.at(0) - at.energy.at(1), 14 / (2 * total), 1e-13);
  EXPECT_NEAR(at.energy.at(1), 1.5 * std::log(2 * M_PI * total), 1e-13);  // −log of the density at its top
  const LossEstimate mmse = *p.Mmse(10, 1);
  EXPECT_NEAR(mmse.mean, 3 * tau * tau * sigma * sigma / total, 1e-13);
  EXPECT_NEAR(mmse.standard_error, 0, 1e-13);
}

// x̂ = μ + Σ(Σ + σ²I)⁻¹(y − μ), with the inverse of a 2 × 2 matrix by hand; the loss by its trace formula.
TEST(SmoothedMixture, OfOneCorrelatedGaussian) {
  const double a = 1, b = 0.6, c = 0.5, s = 0.16, det = (a + s) * (c + s) - b * b;
  const SmoothedMixture p = Created({{.mean = {3, -1}, .covariance = {a, b, b, c}}}, 0.4);
  const Smoothed at = At(p, {4, 1});
  // (Σ + σ²I)⁻¹(y − μ) for y − μ = (1, 2).
  const double u = ((c + s) * 1 - b * 2) / det, v = (-b * 1 + (a + s) * 2) / det;
  EXPECT_NEAR(at.gradient.at(0), u, 1e-13);
  EXPECT_NEAR(at.gradient.at(1), v, 1e-13);
  EXPECT_NEAR(at.x_hat.at(0), 3 + a * u + b * v, 1e-13);
  EXPECT_NEAR(at.x_hat.at(1), -1 + b * u + c * v, 1e-13);
  EXPECT_NEAR(at.energy.at(0), 0.5 * (u + 2 * v) + std::log(2 * M_PI) + 0.5 * std::log(det), 1e-13);
  // tr(Σ(Σ + σ²I)⁻¹Σ)
  const double trace =
      (a * a * (c + s) - 2 * a * b * b + b * b * (a + s) + b * b * (c + s) - 2 * b * b * c + c * c * (a + s)) / det;
  EXPECT_NEAR(p.Mmse(2, 1)->mean, a + c - trace, 1e-13);
  EXPECT_NEAR(GaussianMmse(p.components()[0].variances, 0.4), a + c - trace, 1e-13);
}

// The gradient by central differences, and Miyasawa's identity: x̂ is computed as the mean of the components' estimates.
TEST(SmoothedMixture, TheEstimateFollowsFromTheScore) {
  for (const double sigma : {0.2, 1.0}) {
    const SmoothedMixture p = Created(Assorted(), sigma);
    for (const std::vector<double>& y : {std::vector<double>{0, 0}, {1.3, -0.4}, {-3, 2}, {5, 5}, {0.5, -1}}) {
      const Smoothed at = At(p, y);
      for (size_t j = 0; j < 2; ++j) {
        const double h = 1e-5;
        std::vector<double> up = y, down = y;
        up[j] += h;
        down[j] -= h;
        const double slope = (At(p, up).energy.at(0) - At(p, down).energy.at(0)) / (2 * h);
        const double gradient = at.gradient.at(static_cast<int64_t>(j));
        EXPECT_NEAR(gradient, slope, 1e-7 * (1 + std::abs(slope)));
        EXPECT_NEAR(at.x_hat.at(static_cast<int64_t>(j)), y[j] - sigma * sigma * gradient, 1e-12);
      }
    }
  }
}

// exp(−φ) is a density: its integral over the plane, by the midpoint rule, is 1.
TEST(SmoothedMixture, IsNormalized) {
  const SmoothedMixture p = Created(Assorted(), 0.5);
  std::vector<double> y;
  const double step = 0.1;
  for (double u = -10; u < 10; u += step) {
    for (double v = -10; v < 10; v += step) y.insert(y.end(), {u, v});
  }
  double total = 0;
  const Smoothed at = At(p, y);
  for (double e : at.energy.data<double>()) total += std::exp(-e) * step * step;
  EXPECT_NEAR(total, 1, 1e-9);
}

// In one dimension E Var[X|Y] = ∫ p(y) (E[X²|y] − E[X|y]²) dy can be had by the midpoint rule.
TEST(SmoothedMixture, TheMmseIsThatOfNumericalIntegration) {
  const double w[] = {0.3, 0.7}, mu[] = {-1, 1}, variance[] = {0.04, 0.25}, sigma = 0.8, step = 1e-3;
  double exact = 0;
  for (double y = -9; y < 9; y += step) {
    double p = 0, first = 0, second = 0;
    for (int k = 0; k < 2; ++k) {
      const double v = variance[k] + sigma * sigma, off = y - mu[k];
      const double joint = w[k] * std::exp(-off * off / (2 * v)) / std::sqrt(2 * M_PI * v);
      const double m = mu[k] + variance[k] / v * off, s = variance[k] * sigma * sigma / v;
      p += joint;
      first += joint * m;
      second += joint * (m * m + s);
    }
    exact += step * (second - first * first / p);
  }
  const SmoothedMixture p = Created(
      {{.weight = 3, .mean = {-1}, .covariance = {0.04}}, {.weight = 7, .mean = {1}, .covariance = {0.25}}}, sigma);
  const LossEstimate mmse = *p.Mmse(20000, 2);
  EXPECT_LT(mmse.standard_error, 0.005);
  EXPECT_NEAR(mmse.mean, exact, 4 * mmse.standard_error);
}

// The loss of x̂ on samples of X with noise is what Mmse says, and no affine estimate is better.
TEST(SmoothedMixture, SamplesHaveTheLossOfTheFormula) {
  const SmoothedMixture p = Created(Assorted(), 0.7);
  const LossEstimate mmse = *p.Mmse(20000, 3);
  const int64_t n = 20000;
  const Tensor x = *p.Sample(n, 4), noise = NormalTensor({n, 2}, 0, 0.7, 5);
  Tensor y = x;
  for (int64_t i = 0; i < 2 * n; ++i) y.set(i, x.at(i) + noise.at(i));
  const Smoothed at = *p.Evaluate(y);
  std::vector<double> losses(static_cast<size_t>(n));
  for (int64_t i = 0; i < 2 * n; ++i) losses[static_cast<size_t>(i / 2)] += std::pow(x.at(i) - at.x_hat.at(i), 2);
  const LossEstimate direct = EstimateOf(losses);
  EXPECT_NEAR(direct.mean, mmse.mean, 4 * std::hypot(direct.standard_error, mmse.standard_error));
  EXPECT_LT(mmse.standard_error, direct.standard_error);
}

// Means and covariances of samples, each known to a few deviations of its mean over n draws.
TEST(SmoothedMixture, SamplesHaveTheMomentsOfTheMixture) {
  const SmoothedMixture p = Created({{.mean = {1, 2}, .covariance = {1, 0.6, 0.6, 0.5}}}, 1);
  const int64_t n = 40000;
  const Tensor x = *p.Sample(n, 1);
  double u = 0, v = 0, uu = 0, uv = 0, vv = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double a = x.at(2 * i) - 1, b = x.at(2 * i + 1) - 2;
    u += a / n, v += b / n, uu += a * a / n, uv += a * b / n, vv += b * b / n;
  }
  const double tolerance = 4 * std::sqrt(2.0 / n);  // of products of normals with variances up to 1
  for (const double off : {u, v, uu - 1, uv - 0.6, vv - 0.5}) EXPECT_NEAR(off, 0, tolerance);
  // Components come as often as they weigh.
  const SmoothedMixture two = Created({{.weight = 1, .mean = {-9}}, {.weight = 3, .mean = {9}}}, 1);
  const Tensor which = *two.Sample(n, 1);
  double right = 0;
  for (int64_t i = 0; i < n; ++i) right += which.at(i) > 0 ? 1.0 / n : 0;
  EXPECT_NEAR(right, 0.75, 4 * std::sqrt(0.75 * 0.25 / n));
}

TEST(SmoothedMixture, FarAwayIsNoZeroDividedByZero) {
  const SmoothedMixture p = Created({{.mean = {0}}, {.mean = {1}}}, 0.01);
  const Smoothed at = At(p, {-1e4, 1e4});
  EXPECT_NEAR(at.x_hat.at(0), 0, 1e-6);
  EXPECT_NEAR(at.x_hat.at(1), 1, 1e-6);
  EXPECT_NEAR(at.energy.at(0), 1e8 / 2e-4 + 0.5 * std::log(2 * M_PI * 1e-4) + std::log(2), 1e-3);
}

TEST(SmoothedMixture, Errors) {
  const auto error = [](const std::vector<GaussianComponent>& components, double sigma = 1) {
    const absl::StatusOr<SmoothedMixture> mixture = SmoothedMixture::Create(components, sigma);
    EXPECT_EQ(mixture.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(mixture.status().message());
  };
  EXPECT_THAT(error({}), HasSubstr("component"));
  EXPECT_THAT(error({{.mean = {}}}), HasSubstr("component 0"));
  EXPECT_THAT(error({{.mean = {0, 0}}, {.mean = {0}}}), HasSubstr("component 1: expected a mean of 2"));
  EXPECT_THAT(error({{.mean = {0, 0}, .covariance = {1, 0, 1}}}), HasSubstr("got 2 and 3"));
  EXPECT_THAT(error({{.mean = {0, 0}, .covariance = {1, 0.5, 0.4, 1}}}), HasSubstr("symmetric"));
  EXPECT_THAT(error({{.mean = {0, 0}, .covariance = {1, 2, 2, 1}}}), HasSubstr("eigenvalue"));
  EXPECT_THAT(error({{.mean = {0}, .covariance = {-1}}}), HasSubstr("eigenvalue"));
  EXPECT_THAT(error({{.mean = {0, 0}, .covariance = {1, std::nan(""), 0, 1}}}), HasSubstr("component 0"));
  EXPECT_THAT(error({{.weight = 0, .mean = {0}}}), HasSubstr("weight"));
  EXPECT_THAT(error({{.mean = {std::nan("")}}}), HasSubstr("not finite"));
  EXPECT_THAT(error({{.mean = {0}}}, 0), HasSubstr("sigma"));
  const SmoothedMixture p = Created({{.mean = {0, 0}}}, 1);
  EXPECT_FALSE(p.Evaluate(Tensor({3, 3})).ok());
  EXPECT_FALSE(p.Sample(0, 1).ok());
  EXPECT_FALSE(p.Mmse(1, 1).ok());
}

}  // namespace
}  // namespace neb
