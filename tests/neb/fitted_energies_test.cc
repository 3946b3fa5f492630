#include "neb/fitted_energies.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/energy_spec.h"
#include "neb/kernel_density.h"
#include "neb/measure_loss.h"
#include "neb/measurements.h"
#include "neb/mixture_fit.h"
#include "neb/reference.h"
#include "neb/statistics.h"
#include "tests/neb/test_energies.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Shape;
using testing::AllOf;
using testing::HasSubstr;

constexpr double kSigma = 0.5;
const std::vector<EnergySpec> kFitted = {QuadraticForm{}, GaussianForm{}, GaussianMixtureOptions{.components = 3},
                                         GaussianMixtureOptions{.components = 2, .covariance = "spherical"},
                                         KernelDensityForm{}};

// Correlated samples around (1, 1, 1): the second coordinate follows the first.
Tensor Samples(int64_t n) {
  Tensor x = NormalTensor({n, 3}, 1, 0.7, 3);
  for (int64_t i = 0; i < n; ++i) x.set(3 * i + 1, 0.8 * x.at(3 * i) + 0.3 * x.at(3 * i + 1));
  return x;
}

// What the form is in float64, by definition: moments written out here.
Smoothed Exact(const EnergySpec& spec, const Tensor& x, double sigma, const Tensor& y) {
  if (std::holds_alternative<KernelDensityForm>(spec)) return *KernelDensity::Create(x, sigma)->Evaluate(y);
  if (const auto* mixture = std::get_if<GaussianMixtureOptions>(&spec)) {
    return *SmoothedMixture::Create(FitMixture(x, sigma, *mixture)->components, sigma)->Evaluate(y);
  }
  const int64_t n = x.shape()[0];
  std::vector<double> mean(3, 0.0), covariance(9, 0.0);
  for (int64_t i = 0; i < 3 * n; ++i) mean[static_cast<size_t>(i % 3)] += x.at(i) / static_cast<double>(n);
  for (int64_t k = 0; k < 9 * n; ++k) {
    const int64_t i = k / 9, a = k / 3 % 3, b = k % 3;
    covariance[static_cast<size_t>(3 * a + b)] += (x.at(3 * i + a) - mean[static_cast<size_t>(a)]) *
                                                  (x.at(3 * i + b) - mean[static_cast<size_t>(b)]) /
                                                  static_cast<double>(n);
  }
  if (std::holds_alternative<QuadraticForm>(spec)) covariance = {(covariance[0] + covariance[4] + covariance[8]) / 3};
  return *SmoothedMixture::Create({{.mean = mean, .covariance = covariance}}, sigma)->Evaluate(y);
}

Model Fitted(const EnergySpec& spec, const Tensor& x, double sigma = kSigma) {
  const absl::StatusOr<Energy> energy = FitEnergy(spec, {3}, x, sigma);
  EXPECT_TRUE(energy.ok()) << energy.status();
  return *Model::Create(*energy, {3}, sigma);
}

TEST(FittedEnergies, AModelFromItsFileIsTheClosedForm) {
  const Tensor x = Samples(200), y = NormalTensor({40, 3}, 1, 1, 5);
  for (const EnergySpec& spec : kFitted) {
    SCOPED_TRACE(ToJson(spec));
    EXPECT_TRUE(IsFitted(spec));
    const std::string path = NewFolder("models") + "/model.safetensors";
    Model model = Fitted(spec, x);
    EXPECT_EQ(model.params().num_trainable(), 0);
    ASSERT_TRUE(SaveModel(path, model, spec).ok());
    absl::StatusOr<Model> loaded = LoadModel(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const std::vector<float> points = Values(y);
    std::vector<float> energy(40), x_hat(120), before(120);
    ASSERT_TRUE(loaded->Evaluate(points, {.energy = energy, .x_hat = x_hat}).ok());
    ASSERT_TRUE(model.Evaluate(points, {.x_hat = before}).ok());
    EXPECT_TRUE(SameBits(x_hat, before));
    // Rounding, times the size of the logarithms that are added up, at most about 100 here.
    const Smoothed exact = Exact(spec, x, kSigma, y);
    for (int64_t i = 0; i < 40; ++i) EXPECT_NEAR(energy[static_cast<size_t>(i)], exact.energy.at(i), 100 * 6e-8) << i;
    for (int64_t i = 0; i < 120; ++i) EXPECT_NEAR(x_hat[static_cast<size_t>(i)], exact.x_hat.at(i), 100 * 6e-8) << i;
  }
}

// Of M measurements, an energy of their mean at σ/√M.
TEST(FittedEnergies, AJointModelIsThatOfTheMean) {
  const int64_t measurements = 4;
  const Tensor x = Samples(50), y = NormalTensor({10, 12}, 1, 1, 6);
  const Tensor mean = *MeanOfMeasurements(y, measurements);
  for (const EnergySpec& spec : kFitted) {
    SCOPED_TRACE(ToJson(spec));
    const std::string path = NewFolder("models") + "/model.safetensors";
    const double effective = kSigma / 2;
    const Energy joint = JointEnergy(*FitEnergy(spec, {3}, x, effective), measurements, kSigma);
    ASSERT_TRUE(SaveModel(path, *Model::Create(joint, {4, 3}, kSigma), spec, {{"measurements", "4"}}).ok());
    absl::StatusOr<Model> loaded = LoadModel(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    Tensor each({10, 12});
    ASSERT_TRUE(loaded->Evaluate(y.data<float>(), {.x_hat = each.data<float>()}).ok());
    const Tensor x_hat = *MeanOfMeasurements(each, measurements);
    const Smoothed exact = Exact(spec, x, effective, mean);
    for (int64_t i = 0; i < 30; ++i) EXPECT_NEAR(x_hat.at(i), exact.x_hat.at(i), 200 * 6e-8) << i;
  }
}

// The Gaussian's x̂ is the Wiener estimate, whose loss over the noise is known.
TEST(FittedEnergies, TheGaussianHasTheWienerLoss) {
  const Tensor x = Samples(20000);
  Model model = Fitted(GaussianForm{}, x);
  const double wiener = *LinearEstimator::Fit(x, kSigma)->Loss(x);
  // A loss is at most σ²χ²-like of three degrees: its relative standard deviation is below 1.
  EXPECT_NEAR(*MeasureLoss(model, x, 20000, 1), wiener, 4 * wiener / std::sqrt(20000.0));
}

// Fewer samples than dimensions, and a coordinate that never changes.
TEST(FittedEnergies, CovariancesWithoutFullRank) {
  Tensor x = Samples(2);
  for (int64_t i = 0; i < 2; ++i) x.set(3 * i + 2, 0.25);
  Model model = Fitted(GaussianForm{}, x);
  std::vector<float> x_hat(3);
  ASSERT_TRUE(model.Evaluate(std::vector<float>{1, 2, 3}, {.x_hat = x_hat}).ok());
  EXPECT_NEAR(x_hat[2], 0.25, 1e-6);
}

TEST(FittedEnergies, Errors) {
  const Tensor x = Samples(20);
  const absl::Status many = FitKernelDensity(x, kSigma, /*max_bytes=*/100).status();
  EXPECT_EQ(many.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(many.message()), AllOf(HasSubstr("20 samples"), HasSubstr("at most 8 of them")));
  Tensor broken = x;
  broken.set(7, NAN);
  for (const EnergySpec& spec : kFitted) {
    EXPECT_THAT(std::string(FitEnergy(spec, {3}, broken, kSigma).status().message()), HasSubstr("sample 2"));
    EXPECT_THAT(std::string(FitEnergy(spec, {3}, x, 0).status().message()), HasSubstr("sigma"));
    EXPECT_THAT(std::string(MakeEnergy(spec, {3}, MeasureScales(x, 1)).status().message()), HasSubstr("FitEnergy"));
  }
  EXPECT_THAT(std::string(FitGaussian(Tensor({2, 4097}), 1).status().message()), HasSubstr("4096"));
  EXPECT_THAT(std::string(FitEnergy(GaussianMixtureOptions{.components = 21}, {3}, x, kSigma).status().message()),
              HasSubstr("components"));
  EXPECT_THAT(std::string(ParseEnergySpec(R"({"form": "gaussian", "hidden": [3]})").status().message()),
              HasSubstr("no option \"hidden\""));
}

// A file's tensors are taken only in the shapes that belong together.
TEST(FittedEnergies, FilesThatAreNotTrusted) {
  const std::string path = NewFolder("models") + "/model.safetensors";
  const Tensor x = Samples(20);
  const auto error = [&](const EnergySpec& spec, const std::string& name, const Shape& shape) {
    EXPECT_TRUE(SaveModel(path, Fitted(spec, x), spec).ok());
    TensorFile file = *ReadSafetensors(path);
    std::erase_if(file.tensors, [&](const auto& entry) { return entry.first == name; });
    if (shape.num_elements() > 0) file.tensors.emplace_back(name, Tensor(shape));
    EXPECT_TRUE(WriteSafetensors(path, file).ok());
    const absl::Status status = LoadModel(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    return std::string(status.message());
  };
  for (const Shape& shape : {Shape{0}, Shape{20}, Shape{20, 4}, Shape{3, 20}, Shape{1, 20, 3}}) {
    EXPECT_THAT(error(KernelDensityForm{}, "samples", shape), HasSubstr("samples")) << shape.ToString();
  }
  for (const Shape& shape : {Shape{0}, Shape{4}, Shape{2, 3}}) {
    EXPECT_NE(error(KernelDensityForm{}, "mean", shape), "") << shape.ToString();
  }
  for (const EnergySpec& spec : {EnergySpec(GaussianForm{}), EnergySpec(GaussianMixtureOptions{.components = 5})}) {
    for (const char* name : {"means", "whitening", "log_factors"}) {
      for (const Shape& shape : {Shape{0}, Shape{4}, Shape{2, 3}, Shape{1, 4}, Shape{1, 3, 4}, Shape{3}}) {
        EXPECT_NE(error(spec, name, shape), "") << name << shape.ToString();
      }
    }
  }
}

TEST(SecondMoment, IsTheCovarianceForAnyNumberOfThreads) {
  const Tensor x = NormalTensor({1300, 37}, 2, 1, 1);
  const std::vector<double> mean = Mean(x);
  autodiff::ThreadPool pool(3);
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    const std::vector<double> got = SecondMoment(x, mean, dtype);
    EXPECT_EQ(got, SecondMoment(x, mean, dtype, &pool));
    for (int64_t a = 0; a < 37; a += 5) {
      for (int64_t b = 0; b < 37; b += 3) {
        double sum = 0;
        for (int64_t i = 0; i < 1300; ++i) {
          sum += (x.at(37 * i + a) - mean[static_cast<size_t>(a)]) * (x.at(37 * i + b) - mean[static_cast<size_t>(b)]);
        }
        EXPECT_NEAR(got[static_cast<size_t>(37 * a + b)], sum / 1300, dtype == DType::kF64 ? 1e-13 : 1e-5);
        EXPECT_EQ(got[static_cast<size_t>(37 * a + b)], got[static_cast<size_t>(37 * b + a)]);
      }
    }
  }
}

}  // namespace
}  // namespace neb
