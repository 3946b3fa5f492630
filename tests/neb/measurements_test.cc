#include "neb/measurements.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/trainer.h"
#include "neb/walk.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::Shape;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kTau2 = 1.7;  // variance of the data
constexpr double kSigma = 0.8;

Model Created(const Energy& energy, const Shape& item_shape, double sigma = kSigma) {
  absl::StatusOr<Model> model = Model::Create(energy, item_shape, sigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

// The energy of the mean of M measurements of X ~ N(0, τ²I): N(0, τ² + σ²/M).
Energy JointGaussian(int64_t m) {
  return JointEnergy(Gaussian(kTau2 + kSigma * kSigma / static_cast<double>(m)), m, kSigma);
}

double Loss(Model& model, const Tensor& x, int64_t m) {
  const absl::StatusOr<double> loss = MeasureLoss(model, x, x.shape()[0], 5, nullptr, m);
  EXPECT_TRUE(loss.ok()) << loss.status();
  return loss.ok() ? *loss : std::nan("");
}

// --- The joint energy ---

// For Gaussian X the measurements of one coordinate are jointly N(0, C), C = τ²11ᵀ + σ²I, so φ is ½ yᵀC⁻¹y: written
// with C⁻¹ = (I − τ²/(σ² + Mτ²) 11ᵀ)/σ² (Sherman & Morrison 1950), which knows nothing of the mean.
TEST(JointEnergy, OfGaussianDataIsTheirJointGaussian) {
  const int64_t d = 3, n = 50;
  for (const int64_t m : {1, 2, 3, 7}) {
    Model model = Created(JointGaussian(m), {m, d});
    const Tensor y = NormalTensor({n, m * d}, 0.4, 1.5, 2);
    const std::vector<float> phi = EnergyOf(model, Values(y)), gradient = GradientOf(model, Values(y));
    for (int64_t i = 0; i < n; ++i) {
      double expected = 0;
      for (int64_t j = 0; j < d; ++j) {
        double sum = 0, squares = 0;
        for (int64_t k = 0; k < m; ++k) {
          const double v = y.at(i * m * d + k * d + j);
          sum += v;
          squares += v * v;
        }
        const double s2 = kSigma * kSigma, c = kTau2 / (s2 + static_cast<double>(m) * kTau2);
        expected += (squares - c * sum * sum) / (2 * s2);
        for (int64_t k = 0; k < m; ++k) {
          const size_t at = static_cast<size_t>(i * m * d + k * d + j);
          EXPECT_NEAR(gradient[at], (y.at(static_cast<int64_t>(at)) - c * sum) / s2, 1e-5) << m;
        }
      }
      EXPECT_NEAR(phi[static_cast<size_t>(i)], expected, 1e-5 * (1 + expected)) << m;
    }
  }
}

// Every measurement's estimate is the posterior mean of x, Mτ²/(Mτ² + σ²) ȳ.
TEST(JointEnergy, AllMeasurementsAgree) {
  const int64_t m = 4, d = 3;
  Model model = Created(JointGaussian(m), {m, d});
  const Tensor y = NormalTensor({20, m * d}, 0.4, 1.5, 2);
  const Tensor x_hat = Tensor::From<float>({20, m * d}, XHatOf(model, Values(y)));
  const Tensor mean = *MeanOfMeasurements(y, m), jump = *MeanOfMeasurements(x_hat, m);
  const double shrink = 4 * kTau2 / (4 * kTau2 + kSigma * kSigma);
  for (int64_t i = 0; i < 20 * d; ++i) {
    EXPECT_NEAR(jump.at(i), shrink * mean.at(i), 1e-6);
    for (int64_t k = 0; k < m; ++k) EXPECT_NEAR(x_hat.at(i / d * m * d + k * d + i % d), jump.at(i), 2e-6);
  }
}

// --- The loss ---

// M copies of a known x average to an error of σ²d/M (METHOD.md §8, item 13); one sample's spreads by √(2d) σ²/M. The
// energy of the mean is 0 here, so that x̂ is the mean.
TEST(MeasurementsLoss, OfTheMeanOfCopies) {
  const int64_t n = 3000, d = 40;
  const Tensor x = NormalTensor({n, d}, 0.3, 2, 1);
  for (const int64_t m : {1, 2, 5}) {
    Model model = Created(JointEnergy(NoEnergy(), m, kSigma), {m, d});
    const double each = kSigma * kSigma / static_cast<double>(m), tolerance = 5 * each * std::sqrt(2.0 * d / n);
    EXPECT_NEAR(Loss(model, x, m), each * d, tolerance) << m;
    // The same, without a model.
    const Tensor mean = *MeanOfMeasurements(NoisyStarts(*Repeat(x, m), model, 3), m);
    double squared = 0;
    for (int64_t i = 0; i < n * d; ++i) squared += std::pow(mean.at(i) - x.at(i), 2);
    EXPECT_NEAR(squared / n, each * d, tolerance) << m;
  }
}

// The least error with M measurements of N(0, τ²I) is that of one with variance v = σ²/M: d τ²v/(τ² + v).
TEST(MeasurementsLoss, OfGaussianData) {
  const int64_t n = 3000, d = 40;
  const Tensor x = NormalTensor({n, d}, 0, std::sqrt(kTau2), 1);
  for (const int64_t m : {1, 2, 5}) {
    Model model = Created(JointGaussian(m), {m, d});
    const double v = kSigma * kSigma / static_cast<double>(m), least = kTau2 * v / (kTau2 + v);
    EXPECT_NEAR(Loss(model, x, m), d * least, 5 * least * std::sqrt(2.0 * d / n)) << m;
  }
}

// Training finds that posterior: the precision of the mean's density, 1/(τ² + σ²/M). The loss's curvature in
// log precision is 2d(σ²/M)²/v at v = τ² + σ²/M, and with 2·10⁶ noisy numbers and averaging the minimum is found to one
// or two in a hundred.
TEST(MeasurementsLoss, TrainsAJointEnergy) {
  const int64_t m = 3;
  const Tensor x = NormalTensor({2000, 10}, 0, std::sqrt(kTau2), 1);
  double variance = 0;  // of this sample
  for (float v : x.data<float>()) variance += v * v / 20000.0;
  Model model = Created(JointEnergy(LearnedGaussian, m, kSigma), {m, 10});
  const absl::StatusOr<TrainResult> result =
      Train(model, x, &x, {.steps = 800, .batch = 250, .learning_rate = 0.05, .measurements = m});
  ASSERT_TRUE(result.ok()) << result.status();
  const double learned = 1 / std::exp(model.params()[0].value.at(0));
  EXPECT_NEAR(learned, variance + kSigma * kSigma / 3, 0.05 * learned);
  const double v = kSigma * kSigma / 3, least = 10 * variance * v / (variance + v);
  EXPECT_NEAR(result->history.back().held_out_loss, least, 0.05 * least);
}

// --- One measurement is NEB, to the last bit ---

TEST(Measurements, OneIsNeb) {
  const int64_t d = 12;
  const Tensor x = NormalTensor({200, d}, 0.2, 0.9, 1);
  const Energy plain = RandomDenoiser(MeasureScales(x, kSigma), 20);
  // The recorded losses are one node, but for the parameters, which each recording makes anew; so without any.
  autodiff::Tape tape;
  autodiff::ParamStore store;
  Params p(&tape, &store);
  const Var clean = tape.Input("x", {8, d}), y = tape.Input("y", {8, d});
  EXPECT_EQ(MeasurementsLoss(JointEnergy(Gaussian(2), 1, kSigma), clean, y, 1, kSigma, p),
            NebLoss(Gaussian(2), clean, y, kSigma, p));
  Model neb = Created(plain, {d}), joint = Created(JointEnergy(plain, 1, kSigma), {1, d});
  EXPECT_EQ(Loss(joint, x, 1), Loss(neb, x, 1));
  const TrainOptions options = {.steps = 30, .batch = 50, .far_fraction = 0.1};
  ASSERT_TRUE(Train(neb, x, nullptr, options).ok());
  ASSERT_TRUE(Train(joint, x, nullptr, options).ok());
  EXPECT_TRUE(SameBits(ParameterValues(joint), ParameterValues(neb)));
  EXPECT_TRUE(SameBits(XHatOf(joint, Values(x)), XHatOf(neb, Values(x))));
  EXPECT_TRUE(SameBits(EnergyOf(joint, Values(x)), EnergyOf(neb, Values(x))));
  EXPECT_TRUE(SameBits(Values(*MeanOfMeasurements(x, 1)), Values(x)));
  EXPECT_TRUE(SameBits(Values(*Repeat(x, 1)), Values(x)));
}

// --- Walks in R^{Md} ---

// Along c = Σ_m y_m/√M the joint Gaussian has variance s² = Mτ² + σ², across it σ²: chains of step δ are stationary at
// s²/(1 − δ²/2s²) (METHOD.md §8, item 8), and c is √M ȳ. Chains start there, and are independent.
TEST(Measurements, WalkTogether) {
  const int64_t m = 3, d = 20, chains = 500;
  Model model = Created(JointGaussian(m), {m, d});
  const double s2 = m * kTau2 + kSigma * kSigma, eta = kSigma * kSigma / 4, stationary = s2 / (1 - eta / (2 * s2));
  const Tensor x = NormalTensor({chains, d}, 0, std::sqrt(kTau2), 1);
  absl::StatusOr<Walk> walk = Walk::Create(model, NoisyStarts(*Repeat(x, m), model, 1), {.step_size = kSigma / 2});
  ASSERT_TRUE(walk.ok()) << walk.status();
  ASSERT_TRUE(walk->Run(300).ok());
  const Tensor mean = *MeanOfMeasurements(walk->y(), m);
  double square = 0;
  for (float v : mean.data<float>()) square += static_cast<double>(v) * v;
  const double n = chains * d;
  EXPECT_NEAR(square / n, stationary / m, 5 * stationary / m * std::sqrt(2 / n));
  EXPECT_EQ(MeanOfMeasurements(*walk->Jump(), m)->shape(), (Shape{chains, d}));
}

// --- Shapes and mistakes ---

TEST(Measurements, LieSideBySide) {
  const Tensor x = Tensor::From<float>({2, 2}, {1, 2, 3, 4});
  EXPECT_THAT(Values(*Repeat(x, 3)), ElementsAre(1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4));
  EXPECT_THAT(Values(*MeanOfMeasurements(Tensor::From<float>({1, 6}, {1, 2, 3, 4, 8, 9}), 3)), ElementsAre(4, 5));
  // In the DSL too.
  autodiff::Tape tape;
  const Var v = tape.Input("x", {2, 2});
  const absl::StatusOr<std::vector<Tensor>> out =
      autodiff::Evaluate({Repeat(v, 3), MeanOfMeasurements(Repeat(v, 3), 3)}, {v}, {x});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT(Values((*out)[0]), ElementsAre(1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4));
  EXPECT_THAT(Values((*out)[1]), ElementsAre(1, 2, 3, 4));
}

TEST(MeasurementsMistake, RowsOfAnotherNumber) {
  EXPECT_THAT(std::string(MeanOfMeasurements(Tensor({2, 5}), 2).status().message()), HasSubstr("multiple of 2"));
  EXPECT_THAT(std::string(MeanOfMeasurements(Tensor({2, 5}), 0).status().message()), HasSubstr("at least 1"));
  EXPECT_THAT(std::string(Repeat(Tensor({2, 5}), 0).status().message()), HasSubstr("at least 1"));
  const absl::StatusOr<Model> model = Model::Create(JointGaussian(2), {5}, kSigma);
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("multiple of 2"));
  Model fits = Created(JointEnergy(LearnedGaussian, 2, kSigma), {2, 3});
  const auto error = [&fits](const Tensor& x, int64_t m) {
    return std::string(Train(fits, x, nullptr, {.measurements = m}).status().message());
  };
  EXPECT_THAT(error(Tensor({10, 6}), 2), HasSubstr("[n, 3]"));
  EXPECT_THAT(error(Tensor({10, 3}), 4), HasSubstr("divisor of the model's d = 6"));
  EXPECT_THAT(error(Tensor({10, 3}), 0), HasSubstr("divisor"));
}

}  // namespace
}  // namespace neb
