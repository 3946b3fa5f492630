#include "neb/clamp.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/known_energies.h"
#include "neb/walk.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using testing::HasSubstr;

constexpr double kSigma = 0.5;

// A correlated Gaussian in the plane: p_Y has the covariance [1.25, 0.8; 0.8, 1.25].
SmoothedMixture Correlated() {
  return *SmoothedMixture::Create({{.mean = {1, -1}, .covariance = {1, 0.8, 0.8, 1}}}, kSigma);
}

Model Created(const Energy& energy, int64_t d) {
  absl::StatusOr<Model> model = Model::Create(energy, {d}, kSigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

// y_1 | y_2 = v is N(1 + 0.8/1.25 (v + 1), 1.25 − 0.8²/1.25), whatever noise the walk puts into y_2.
TEST(Clamp, AWalkSamplesTheConditionalDensity) {
  Model model = Created(GaussianMixtureEnergy(Correlated()), 2);
  const double v = 0.7;
  const Known known{Tensor::From<float>({2}, {0, 1}), Tensor::From<float>({2}, {0, 0.7f})};
  absl::StatusOr<Model> clamped = ClampModel(model, known);
  ASSERT_TRUE(clamped.ok()) << clamped.status();
  const int64_t chains = 4000;
  absl::StatusOr<Walk> walk = Walk::Create(*clamped, UniformStarts(chains, *clamped, 1), {.step_size = 0.2});
  ASSERT_TRUE(walk.ok()) << walk.status();
  // Steps of η = 0.04 at curvature 1/variance: after 400 of them the start is forgotten to exp(−400 · 0.04/0.74).
  ASSERT_TRUE(walk->Run(400).ok());
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < chains; ++i) mean += walk->y().at(2 * i) / chains;
  for (int64_t i = 0; i < chains; ++i) variance += std::pow(walk->y().at(2 * i) - mean, 2) / chains;
  const double exact = 1.25 - 0.64 / 1.25, euler = exact / (1 - 0.04 / (2 * exact));  // METHOD.md §8, item 8
  EXPECT_NEAR(mean, 1 + 0.8 / 1.25 * (v + 1), 4 * std::sqrt(euler / chains));
  EXPECT_NEAR(variance, euler, 4 * euler * std::sqrt(2.0 / chains));
  // Filled in, the jump is the estimate of the whole density.
  const Tensor y = FillIn(walk->y(), known);
  const Smoothed at = *Correlated().Evaluate(y);
  const std::vector<float> x_hat = XHatOf(model, Values(y));
  for (int64_t i = 0; i < chains; ++i) {
    ASSERT_EQ(y.at(2 * i), walk->y().at(2 * i));
    ASSERT_EQ(y.at(2 * i + 1), 0.7f);
    for (int64_t j = 2 * i; j < 2 * i + 2; ++j) ASSERT_NEAR(x_hat[static_cast<size_t>(j)], at.x_hat.at(j), 1e-5);
  }
}

// With a learned kind of energy: the gradient is that of the model at the filled-in point, and 0 where known, even if
// the walk has left for infinity there.
TEST(Clamp, TheGradientIsZeroWhereKnown) {
  Scales scales{.mean = NormalTensor({5}, 0, 1, 1), .stddev = 1, .sigma = kSigma, .radius = 2};
  Model model = Created(RandomDenoiser(scales, 16), 5);
  // What a training would have changed.
  for (int i = 0; i < model.params().size(); ++i) {
    if (model.params()[i].trainable) {
      for (float& w : model.params()[i].value.data<float>()) w *= 1.5f;
    }
  }
  const Known known = *NoisyKnown(NormalTensor({5}, 0, 1, 2), Tensor::From<float>({5}, {1, 0, 0, 1, 0}), kSigma, 3);
  absl::StatusOr<Model> clamped = ClampModel(model, known);
  ASSERT_TRUE(clamped.ok()) << clamped.status();
  Tensor y = NormalTensor({20, 5}, 0, 1, 4);
  y.set(0, 1e30);
  y.set(3, -HUGE_VALF);
  const std::vector<float> got = GradientOf(*clamped, Values(y)), energy = EnergyOf(*clamped, Values(y));
  const std::vector<float> whole = GradientOf(model, Values(FillIn(y, known)));
  EXPECT_TRUE(SameBits(energy, EnergyOf(model, Values(FillIn(y, known)))));
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i], known.mask.at(static_cast<int64_t>(i % 5)) == 1 ? 0 : whole[i]) << i;
  }
}

TEST(NoisyKnown, AddsNoiseOfDeviationSigma) {
  const int64_t d = 20000;
  Tensor mask({d});
  for (int64_t i = 0; i < d; i += 2) mask.set(i, 1);
  const Known known = *NoisyKnown(Tensor::Full({d}, 3), mask, 0.7, 1);
  double mean = 0, squared = 0;
  const double n = 0.5 * d;
  for (int64_t i = 0; i < d; ++i) {
    if (mask.at(i) == 0) continue;
    mean += (known.values.at(i) - 3) / n;
    squared += std::pow(known.values.at(i) - 3, 2) / n;
  }
  EXPECT_NEAR(mean, 0, 4 * 0.7 / std::sqrt(n));
  EXPECT_NEAR(squared, 0.49, 4 * 0.49 * std::sqrt(2 / n));
  EXPECT_EQ(Values(NoisyKnown(Tensor::Full({d}, 3), mask, 0, 1)->values)[0], 3);
}

TEST(Clamp, Errors) {
  const auto error = [](const Tensor& x, const Tensor& mask, double sigma) {
    const absl::StatusOr<Known> known = NoisyKnown(x, mask, sigma, 1);
    EXPECT_EQ(known.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(known.status().message());
  };
  const Tensor two = Tensor::From<float>({2}, {1, 0});
  EXPECT_THAT(error(Tensor({3}), two, 1), HasSubstr("[3]"));
  EXPECT_THAT(error(Tensor({2}), Tensor({1, 2}), 1), HasSubstr("[1, 2]"));
  EXPECT_THAT(error(Tensor({2}), Tensor::From<float>({2}, {0.5, 1}), 1), HasSubstr("0.5"));
  EXPECT_THAT(error(Tensor::From<float>({2}, {std::nanf(""), 0}), two, 1), HasSubstr("not finite"));
  EXPECT_THAT(error(two, two, -1), HasSubstr("sigma"));
  const Model model = Created(Gaussian(1), 3);
  const absl::Status status = ClampModel(model, {two, two}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("mask of shape [2]"));
}

}  // namespace
}  // namespace neb
