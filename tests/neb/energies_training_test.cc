// The ready-made energies learn, with their defaults: points of a known density to near the least loss there is, small
// images to well below what any linear estimate can do.
#include <cmath>
#include <cstdio>
#include <vector>

#include "gtest/gtest.h"
#include "neb/closed_form.h"
#include "neb/energy_spec.h"
#include "neb/kernel_density.h"
#include "neb/known_energies.h"
#include "neb/reference.h"
#include "neb/trainer.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

double TrainedLoss(const EnergySpec& spec, const Tensor& x, const Tensor& held_out, const autodiff::Shape& shape,
                   double sigma, const TrainOptions& options) {
  const absl::StatusOr<Energy> energy = MakeEnergy(spec, shape, MeasureScales(x, sigma));
  EXPECT_TRUE(energy.ok()) << energy.status();
  absl::StatusOr<Model> model = Model::Create(*energy, shape, sigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  const absl::StatusOr<TrainResult> result = Train(*model, x, nullptr, options);
  EXPECT_TRUE(result.ok()) << result.status();
  return *MeasureLoss(*model, held_out, held_out.shape()[0], 7);
}

double LinearLoss(const Tensor& x, const Tensor& held_out, double sigma) {
  return *LinearEstimator::Fit(x, sigma)->Loss(held_out);
}

// Five round heaps in the plane.
TEST(ReadyMadeEnergies, LearnAMixture) {
  const double sigma = 0.6;
  std::vector<GaussianComponent> heaps;
  for (int k = 0; k < 5; ++k) {
    const double angle = 2 * M_PI * k / 5;
    heaps.push_back({.mean = {2 * std::cos(angle), 2 * std::sin(angle)}, .covariance = {0.01}});
  }
  const SmoothedMixture p = *SmoothedMixture::Create(heaps, sigma);
  const LossEstimate mmse = *p.Mmse(20000, 3);
  const Tensor x = *p.Sample(20000, 1), held_out = *p.Sample(20000, 2);
  const double linear = LinearLoss(x, held_out, sigma);
  ASSERT_GT(linear, 1.5 * mmse.mean);
  // The truth on the same samples with the same noise: what the measured loss of the best energy is.
  absl::StatusOr<Model> known = Model::Create(GaussianMixtureEnergy(p), {2}, sigma);
  ASSERT_TRUE(known.ok()) << known.status();
  const double best = *MeasureLoss(*known, held_out, 20000, 7);
  std::printf("linear %.4f, least %.4f ± %.4f, on these samples %.4f\n", linear, mmse.mean, mmse.standard_error, best);
  for (const EnergySpec& spec : std::vector<EnergySpec>{MlpEnergyOptions{}, ProductOfExpertsOptions{},
                                                        ResidualMlpOptions{.hidden = {256, 256}}}) {
    const double loss = TrainedLoss(spec, x, held_out, {2}, sigma, {.steps = 1500});
    std::printf("%s: %.4f\n", ToJson(spec).c_str(), loss);
    EXPECT_LT(loss, best + 0.1 * (linear - best)) << ToJson(spec);
    EXPECT_GT(loss, 0.995 * best) << ToJson(spec);  // nothing is better than the best
  }
}

// A smooth spot of light at a random place: a two-dimensional, strongly curved manifold of 8 × 8 images.
Tensor Spots(int64_t n, uint64_t seed) {
  std::vector<double> where(static_cast<size_t>(2 * n));
  autodiff::FillUniform({.seed = seed, .stream = autodiff::kSynthetic, .step = 0}, 0, std::span<double>(where));
  Tensor x({n, 64});
  for (int64_t i = 0; i < n; ++i) {
    const double row = 1 + 5 * where[static_cast<size_t>(2 * i)],
                 column = 1 + 5 * where[static_cast<size_t>(2 * i + 1)];
    for (int64_t k = 0; k < 64; ++k) {
      const int64_t i_row = k / 8, i_column = k % 8;
      const double r = static_cast<double>(i_row) - row, c = static_cast<double>(i_column) - column;
      x.set(i * 64 + k, std::exp(-(r * r + c * c) / 2));
    }
  }
  return x;
}

TEST(ReadyMadeEnergies, LearnImages) {
  const double sigma = 0.3;
  const Tensor x = Spots(10000, 1), held_out = Spots(2000, 2);
  const double linear = LinearLoss(x, held_out, sigma);
  // With 10,000 samples of a plane of places, the kernel density is nearly the truth.
  const double least = KernelDensity::Create(x, sigma)->Loss(held_out, 3)->mean;
  std::printf("linear %.4f, kernel density %.4f\n", linear, least);
  ASSERT_LT(least, 0.5 * linear);
  for (const EnergySpec& spec :
       std::vector<EnergySpec>{ConvEnergyOptions{}, ResidualMlpOptions{.hidden = {256, 256}}, ResidualConvOptions{},
                               ProductOfExpertsOptions{}, MlpEnergyOptions{}}) {
    const double loss = TrainedLoss(spec, x, held_out, {8, 8, 1}, sigma, {.steps = 400, .batch = 64});
    std::printf("%s: %.4f\n", ToJson(spec).c_str(), loss);
    EXPECT_LT(loss, 0.75 * linear) << ToJson(spec);
    EXPECT_GT(loss, 0.9 * least) << ToJson(spec);
  }
}

}  // namespace
}  // namespace neb
