#include "neb/mixture_fit.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/statistics.h"
#include "neb/synthetic.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Tensor;
using testing::HasSubstr;

constexpr double kSigma = 0.5;

// Three components of different weight, shape and distance from each other.
SmoothedMixture Known(double sigma = kSigma) {
  return *SmoothedMixture::Create({{.weight = 0.5, .mean = {-2, 0}, .covariance = {0.5, 0.3, 0.3, 0.4}},
                                   {.weight = 0.3, .mean = {2, 1}, .covariance = {0.2, -0.15, -0.15, 0.8}},
                                   {.weight = 0.2, .mean = {0, -3}, .covariance = {1, 0, 0, 0.01}}},
                                  sigma);
}

MixtureFit Fitted(const Tensor& x, const GaussianMixtureOptions& options, double sigma = kSigma,
                  autodiff::ThreadPool* pool = nullptr) {
  absl::StatusOr<MixtureFit> fit = FitMixture(x, sigma, options, pool);
  EXPECT_TRUE(fit.ok()) << fit.status();
  return *std::move(fit);
}

TEST(MixtureFit, FindsTheMixtureThatTheSamplesCameFrom) {
  const SmoothedMixture known = Known();
  MixtureFit fit = Fitted(*known.Sample(40000, 1), {.components = 3});
  EXPECT_TRUE(fit.converged);
  ASSERT_EQ(fit.components.size(), 3u);
  std::sort(fit.components.begin(), fit.components.end(),
            [](const auto& a, const auto& b) { return a.weight > b.weight; });
  // The components hardly overlap: the standard errors are those of 40,000, 12,000 and 8,000 samples with labels, the
  // largest that of a variance of 1, √(2/8000) = 0.016.
  for (size_t k = 0; k < 3; ++k) {
    SCOPED_TRACE(k);
    const SmoothedMixture::Component& truth = known.components()[k];
    EXPECT_NEAR(fit.components[k].weight, std::exp(truth.log_weight), 0.01);
    const double c00 = fit.components[k].covariance[0], c01 = fit.components[k].covariance[1],
                 c11 = fit.components[k].covariance[3];
    for (size_t j = 0; j < 2; ++j) EXPECT_NEAR(fit.components[k].mean[j], truth.mean[j], 0.05);
    EXPECT_NEAR(c00 + c11, truth.variances[0] + truth.variances[1], 0.06);
    EXPECT_NEAR(c00 * c11 - c01 * c01, truth.variances[0] * truth.variances[1], 0.02);
  }
}

// The estimate of a fitted mixture loses what the least loss is, to the precision of either: far below the 2.6 % by
// which one Gaussian's is worse.
TEST(MixtureFit, HasTheLeastLoss) {
  const SmoothedMixture known = Known();
  const Tensor x = *known.Sample(40000, 1), fresh = *known.Sample(20000, 2);
  const SmoothedMixture fitted = *SmoothedMixture::Create(Fitted(x, {.components = 3}).components, kSigma);
  Tensor y = NormalTensor(fresh.shape(), 0, kSigma, 3);
  for (int64_t i = 0; i < y.num_elements(); ++i) y.set(i, y.at(i) + fresh.at(i));
  const auto loss = [&](const SmoothedMixture& p) {
    const Tensor x_hat = p.Evaluate(y)->x_hat;
    double sum = 0;
    for (int64_t i = 0; i < y.num_elements(); ++i) sum += std::pow(x_hat.at(i) - fresh.at(i), 2);
    return sum / static_cast<double>(y.shape()[0]);
  };
  // On the same noise, so that its variance cancels.
  EXPECT_NEAR(loss(fitted) / loss(known), 1, 0.002);
  const SmoothedMixture gaussian = *SmoothedMixture::Create(Fitted(x, {.components = 1}).components, kSigma);
  EXPECT_GT(loss(gaussian) / loss(known), 1.1);
}

TEST(MixtureFit, OneComponentIsTheGaussian) {
  const Tensor x = NormalTensor({700, 5}, 1, 0.7, 3);
  const std::vector<double> mean = Mean(x), covariance = SecondMoment(x, mean, DType::kF64);
  const MixtureFit full = Fitted(x, {.components = 1});
  const MixtureFit spherical = Fitted(x, {.components = 1, .covariance = "spherical"});
  ASSERT_EQ(full.components.size(), 1u);
  EXPECT_NEAR(full.components[0].weight, 1, 1e-12);
  double trace = 0;
  for (size_t j = 0; j < 5; ++j) trace += covariance[6 * j] / 5;
  EXPECT_NEAR(spherical.components[0].covariance[0], trace, 1e-12);
  for (size_t j = 0; j < 5; ++j) EXPECT_NEAR(full.components[0].mean[j], mean[j], 1e-12);
  for (size_t j = 0; j < 25; ++j) EXPECT_NEAR(full.components[0].covariance[j], covariance[j], 1e-12);
}

// F by its definition, of the components that were found: the code has it from Cholesky factors and blocks.
TEST(MixtureFit, BoundIsItsFormulaAndNeverFalls) {
  const Tensor x = *Known().Sample(700, 4);
  const double tau2 = 0.01 * kSigma * kSigma;
  for (const std::string covariance : {"full", "spherical"}) {
    SCOPED_TRACE(covariance);
    const MixtureFit fit = Fitted(x, {.components = 6, .covariance = covariance});
    for (size_t i = 1; i < fit.bounds.size(); ++i) EXPECT_GE(fit.bounds[i], fit.bounds[i - 1] - 1e-12) << i;
    EXPECT_GT(fit.bounds.size(), 3u);
    double bound = 0;
    for (int64_t i = 0; i < 700; ++i) {
      double density = 0;
      for (const GaussianComponent& c : fit.components) {
        const bool full = covariance == "full";
        const double a = c.covariance[0] + tau2, b = full ? c.covariance[1] : 0,
                     e = (full ? c.covariance[3] : c.covariance[0]) + tau2, det = a * e - b * b;
        const double u = x.at(2 * i) - c.mean[0], v = x.at(2 * i + 1) - c.mean[1];
        const double quadratic = (e * u * u - 2 * b * u * v + a * v * v) / det, inverse_trace = (a + e) / det;
        density += c.weight * std::exp(-0.5 * quadratic - 0.5 * tau2 * inverse_trace) / (2 * M_PI * std::sqrt(det));
      }
      bound += std::log(density) / 700;
    }
    EXPECT_NEAR(fit.bounds.back(), bound, 1e-9);
  }
}

// Twenty-five Gaussians on a grid: each is found, from every seed.
TEST(MixtureFit, FindsEachOfManyClusters) {
  const IsotropicMixture grid = *GaussianGrid();
  std::vector<GaussianComponent> components;
  for (int64_t k = 0; k < grid.components(); ++k) {
    const size_t at = static_cast<size_t>(2 * k);
    components.push_back({.mean = {grid.means[at], grid.means[at + 1]}, .covariance = {grid.stddev * grid.stddev}});
  }
  const Tensor x = *SmoothedMixture::Create(components, kSigma)->Sample(5000, 1);
  for (int64_t seed = 1; seed <= 5; ++seed) {
    const MixtureFit fit = Fitted(x, {.components = 25, .covariance = "spherical", .seed = seed}, 4 * grid.stddev);
    ASSERT_EQ(fit.components.size(), 25u);
    for (const GaussianComponent& truth : components) {
      double nearest = INFINITY;
      for (const GaussianComponent& c : fit.components) {
        nearest = std::min(nearest, std::hypot(c.mean[0] - truth.mean[0], c.mean[1] - truth.mean[1]));
      }
      // Means of about 200 samples.
      EXPECT_LT(nearest, 5 * grid.stddev / std::sqrt(200.0)) << seed;
    }
  }
}

TEST(MixtureFit, ThreadsDoNotMatter) {
  const Tensor x = NormalTensor({1300, 9}, 0, 1, 5);
  autodiff::ThreadPool pool(3);
  const MixtureFit one = Fitted(x, {.components = 4}), three = Fitted(x, {.components = 4}, kSigma, &pool);
  EXPECT_EQ(one.bounds, three.bounds);
  ASSERT_EQ(one.components.size(), three.components.size());
  for (size_t k = 0; k < one.components.size(); ++k) {
    EXPECT_EQ(one.components[k].covariance, three.components[k].covariance);
  }
}

// Samples that are all alike, or of which there are as many kinds as components, or fewer.
TEST(MixtureFit, SamplesThatAreAlike) {
  Tensor x({40, 3});
  for (const auto& [kinds, components] : {std::pair(1, 4), std::pair(2, 4), std::pair(4, 4)}) {
    for (int64_t i = 0; i < 120; ++i) x.set(i, i / 3 % kinds == i % 3 ? 1 : 0.25 * static_cast<double>(i / 3 % kinds));
    const MixtureFit fit = Fitted(x, {.components = components});
    EXPECT_EQ(fit.components.size(), static_cast<size_t>(kinds));
    EXPECT_TRUE(std::isfinite(fit.bounds.back()));
    EXPECT_TRUE(SmoothedMixture::Create(fit.components, kSigma).ok());
  }
}

TEST(MixtureFit, Errors) {
  const Tensor x = NormalTensor({20, 3}, 0, 1, 1);
  const auto error = [&](const GaussianMixtureOptions& options) {
    return std::string(FitMixture(x, kSigma, options).status().message());
  };
  EXPECT_THAT(error({.components = 0}), HasSubstr("1 to the number of samples, 20, got 0"));
  EXPECT_THAT(error({.components = 21}), HasSubstr("got 21"));
  EXPECT_THAT(error({.covariance = "diag"}), HasSubstr("full or spherical, got \"diag\""));
  EXPECT_THAT(std::string(FitMixture(Tensor({20, 1025}), kSigma, {}).status().message()), HasSubstr("1025"));
  EXPECT_TRUE(FitMixture(Tensor({20, 1025}), kSigma, {.covariance = "spherical"}).ok());
}

}  // namespace
}  // namespace neb
