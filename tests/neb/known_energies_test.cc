#include "neb/known_energies.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "neb/kernel_density.h"
#include "neb/model.h"
#include "neb/walk.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::DType;

// φ, ∇φ and x̂ as an energy gives them, recorded and run in a dtype.
Smoothed Recorded(const Energy& energy, const Tensor& y, double sigma, DType dtype) {
  autodiff::Tape tape(dtype);
  autodiff::ParamStore store;
  Params p(&tape, &store);
  const Var point = tape.Input("y", y.shape());
  const Var phi = RecordEnergy(energy, point, p);
  std::vector<Var> inputs = BoundVars(p);
  std::vector<Tensor> values;
  for (const Tensor* t : BoundTensors(p, store)) values.push_back(*t);
  inputs.push_back(point);
  values.push_back(y.Cast(dtype));
  const absl::StatusOr<std::vector<Tensor>> out =
      autodiff::Evaluate({phi, autodiff::grad(phi, point), XHat(phi, point, sigma)}, inputs, values);
  EXPECT_TRUE(out.ok()) << out.status();
  return {(*out)[0], (*out)[1], (*out)[2]};
}

void ExpectClose(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.num_elements(); ++i) {
    ASSERT_NEAR(a.at(i), b.at(i), tolerance * (1 + std::abs(b.at(i)))) << i;
  }
}

// float64 to rounding; float32 to rounding times what the sum of logarithms magnifies it by, their own size.
void ExpectTheSame(const Energy& energy, const Tensor& y, double sigma, const Smoothed& exact, double magnified) {
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    SCOPED_TRACE(Name(dtype));
    const Smoothed got = Recorded(energy, y, sigma, dtype);
    const double tolerance = magnified * (dtype == DType::kF32 ? 6e-8 : 1.1e-16);
    ExpectClose(got.energy, exact.energy, tolerance);
    ExpectClose(got.gradient, exact.gradient, tolerance);
    ExpectClose(got.x_hat, exact.x_hat, tolerance);
  }
}

std::vector<GaussianComponent> Two(bool correlated) {
  std::vector<GaussianComponent> two = {{.weight = 2, .mean = {-1, 0.5}, .covariance = {0.25}},
                                        {.weight = 1, .mean = {1, -1}, .covariance = {0.5}}};
  if (correlated) two[0].covariance = {1, 0.6, 0.6, 0.5};
  return two;
}

TEST(QuadraticEnergy, IsThatOfOneIsotropicGaussian) {
  const Tensor mean = Tensor::From<float>({3}, {0.5, -1, 2}), y = NormalTensor({20, 3}, 0, 1, 1);
  const SmoothedMixture exact = *SmoothedMixture::Create({{.mean = {0.5, -1, 2}, .covariance = {2}}}, 0.5);
  ExpectTheSame(QuadraticEnergy(mean, 2, 0.5), y, 0.5, *exact.Evaluate(y), 10);
}

TEST(GaussianMixtureEnergy, IsTheClosedForm) {
  const Tensor y = NormalTensor({50, 2}, 0, 2, 1);
  for (const bool correlated : {false, true}) {
    for (const double sigma : {0.3, 1.0}) {
      const SmoothedMixture exact = *SmoothedMixture::Create(Two(correlated), sigma);
      ExpectTheSame(GaussianMixtureEnergy(exact), y, sigma, *exact.Evaluate(y), 1000);
    }
  }
  const SmoothedMixture one = *SmoothedMixture::Create({Two(true)[0]}, 0.5);
  ExpectTheSame(GaussianMixtureEnergy(one), y, 0.5, *one.Evaluate(y), 100);
}

TEST(KernelDensityEnergy, IsTheKernelDensity) {
  const Tensor x = NormalTensor({300, 10}, 5, 1, 2), y = NormalTensor({40, 10}, 5, 1, 1);
  for (const double sigma : {0.5, 1.5}) {
    // Logarithms up to ‖x‖‖y‖/σ² = 80 here, of which some ten units of rounding.
    ExpectTheSame(KernelDensityEnergy(x, sigma), y, sigma, *KernelDensity::Create(x, sigma)->Evaluate(y), 3000);
  }
}

// As a model it is saved with what it knows, and a walk on it settles where the density says.
TEST(GaussianMixtureEnergy, AWalkSamplesIt) {
  const double sigma = 0.5;
  const SmoothedMixture exact = *SmoothedMixture::Create(Two(true), sigma);
  absl::StatusOr<Model> model = Model::Create(GaussianMixtureEnergy(exact), {2}, sigma);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->params().num_trainable(), 0);
  const int64_t chains = 4000;
  // Started in the density itself: the walk must leave its mean, and nearly its variance, where they are.
  absl::StatusOr<Walk> walk =
      Walk::Create(*model, NoisyStarts(*exact.Sample(chains, 1), *model, 2), {.step_size = 0.15});
  ASSERT_TRUE(walk.ok()) << walk.status();
  ASSERT_TRUE(walk->Run(200).ok());
  double mean = 0, squared = 0;
  for (int64_t i = 0; i < chains; ++i) {
    mean += walk->y().at(2 * i) / chains;
    squared += std::pow(walk->y().at(2 * i), 2) / chains;
  }
  // First coordinate: means −1 and 1 with 2/3 and 1/3, variances 1 and ½, plus σ².
  const double exact_mean = -1.0 / 3, exact_squared = 1 + (2.0 / 3 * 1 + 1.0 / 3 * 0.5) + sigma * sigma;
  EXPECT_NEAR(mean, exact_mean, 4 * std::sqrt(exact_squared / chains));
  // Euler's bias is of relative size δ²/4 times the largest curvature, 1/σ²; plus sampling, kurtosis below 3.
  EXPECT_NEAR(squared, exact_squared, exact_squared * (0.0225 + 4 * std::sqrt(2.0 / chains)));
}

}  // namespace
}  // namespace neb
