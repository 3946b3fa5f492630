// What each sampler does in an iteration (neb/chain_step.h, which is internal to Walk), and what it samples.
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/chain_diagnostics.h"
#include "neb/trajectory.h"
#include "neb/walk.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using testing::HasSubstr;

Model Created(const Energy& energy, int64_t d, double sigma) {
  absl::StatusOr<Model> model = Model::Create(energy, {d}, sigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

Walk Walking(Model& model, const Tensor& start, const WalkOptions& options) {
  absl::StatusOr<Walk> walk = Walk::Create(model, start, options);
  EXPECT_TRUE(walk.ok()) << walk.status();
  return *std::move(walk);
}

// The mean over a long run of f, of a chain's coordinates, with its standard error from the effective sample size.
template <typename F>
ChainSummary MeanOf(Walk& walk, const WalkSchedule& schedule, const F& f) {
  const auto chains = static_cast<size_t>(walk.y().shape()[0]), d = static_cast<size_t>(walk.y().shape()[1]);
  Chains draws(chains);
  const absl::Status done = Observe(walk, schedule, [&](const Snapshot& s) {
    for (size_t c = 0; c < chains; ++c) draws[c].push_back(f(s.y->data<float>().subspan(c * d, d)));
    return absl::OkStatus();
  });
  EXPECT_TRUE(done.ok()) << done;
  const ChainSummary summary = Summarise(draws).value();
  EXPECT_GT(summary.effective_samples, 1000);  // otherwise the standard error is itself a guess
  EXPECT_LT(summary.r_hat, 1.02);
  return summary;
}

double Square(std::span<const float> y) {
  double sum = 0;
  for (float v : y) sum += static_cast<double>(v) * v;
  return sum / static_cast<double>(y.size());
}

constexpr int64_t kChains = 32, kDims = 16;

// E y² of a walk on N(0, variance I), started in it.
ChainSummary SecondMoment(const WalkOptions& options, double variance, double sigma = 1, int64_t iterations = 1200) {
  Model model = Created(Gaussian(variance), kDims, sigma);
  Walk walk = Walking(model, NormalTensor({kChains, kDims}, 0, std::sqrt(variance), 5), options);
  return MeanOf(walk, {.burn_in = 200, .iterations = iterations}, Square);
}

// --- One iteration ---

double VarianceOf(const Tensor& y) { return Square(y.data<float>()); }

// Without a force, from v = 0, with r = √(u (1 − c²)): y_1 = δr ε₁/2, y_2 = δr ((2 + c) ε₁ + ε₂)/2.
TEST(Splittings, HaveTheThermostatOfTheirOptions) {
  Model free = Created(NoEnergy(), 100, 0.8);
  for (const Sampler sampler : {Sampler::kBaoab, Sampler::kAboba}) {
    for (const bool defaults : {true, false}) {
      const double delta = defaults ? 0.4 : 0.3, u = defaults ? 1 : 2.5, c = defaults ? std::exp(-1) : std::exp(-0.15);
      WalkOptions options{.sampler = sampler};
      if (!defaults) options = {.sampler = sampler, .step_size = 0.3, .friction = 0.5, .inverse_mass = 2.5};
      Walk walk = Walking(free, Tensor({1000, 100}), options);
      const double unit = delta * delta * u * (1 - c * c) / 4, five_errors = 5 * std::sqrt(2.0 / 100000);
      ASSERT_TRUE(walk.Run(1).ok());
      EXPECT_NEAR(VarianceOf(walk.y()), unit, five_errors * unit) << Name(sampler);
      ASSERT_TRUE(walk.Run(1).ok());
      const double second = unit * ((2 + c) * (2 + c) + 1);
      EXPECT_NEAR(VarianceOf(walk.y()), second, five_errors * second) << Name(sampler);
      EXPECT_EQ(walk.step_size(), delta);
    }
  }
}

// Without friction a splitting is a leapfrog scheme: on φ = y²/2s², from rest, y_k = y_0 cos kθ, cos θ = 1 − uδ²/2s².
TEST(Splittings, WithoutFrictionTurnAtTheLeapfrogAngle) {
  const double variance = 1.7, delta = 0.9, u = 1.3;
  Model model = Created(Gaussian(variance), 1, 1);
  const double theta = std::acos(1 - u * delta * delta / (2 * variance));
  for (const Sampler sampler : {Sampler::kBaoab, Sampler::kAboba}) {
    Walk walk = Walking(model, Tensor::Full({1, 1}, 100),
                        {.sampler = sampler, .step_size = delta, .friction = 1e-12, .inverse_mass = u});
    for (int k = 1; k <= 20; ++k) {
      ASSERT_TRUE(walk.Run(1).ok());
      EXPECT_NEAR(walk.y().at(0), 100 * std::cos(k * theta), 2e-3) << Name(sampler) << " " << k;
    }
  }
}

// --- What is sampled: METHOD.md §8, items 8 and 9 ---

// BAOAB and ABOBA have the exact variance for any stable step, δ < 2s, and any friction.
TEST(Splittings, SampleAGaussianExactly) {
  const double variance = 1.7, s = std::sqrt(variance);
  for (const Sampler sampler : {Sampler::kBaoab, Sampler::kAboba}) {
    for (const double delta : {0.5 * s, 1.2 * s, 1.7 * s}) {
      for (const double friction : {0.5, 2.0}) {
        const ChainSummary m = SecondMoment({.sampler = sampler, .step_size = delta, .friction = friction}, variance);
        EXPECT_NEAR(m.mean, variance, 5 * m.standard_error) << Name(sampler) << " " << delta << " " << friction;
        EXPECT_LT(m.standard_error, 0.01 * variance);
      }
    }
  }
}

// MALA is exact for any step, ULA at the same step is not: it has s²/(1 − δ²/2s²).
TEST(Mala, IsExactWhereUlaIsBiased) {
  const double variance = 1.7;
  for (const double eta : {0.3, 0.6}) {
    const double delta = std::sqrt(eta * variance);
    Model model = Created(Gaussian(variance), kDims, 1);
    Walk walk = Walking(model, NormalTensor({kChains, kDims}, 0, std::sqrt(variance), 5),
                        {.sampler = Sampler::kMala, .step_size = delta});
    const ChainSummary m = MeanOf(walk, {.iterations = 2500}, Square);
    EXPECT_GT(walk.mean_acceptance(), 0.2);
    EXPECT_LT(walk.mean_acceptance(), 0.99);
    EXPECT_EQ(walk.step_size(), delta);
    EXPECT_NEAR(m.mean, variance, 5 * m.standard_error) << eta;

    const ChainSummary biased = SecondMoment({.sampler = Sampler::kUla, .step_size = delta}, variance);
    EXPECT_NEAR(biased.mean, variance / (1 - eta / 2), 5 * biased.standard_error) << eta;
    EXPECT_GT(biased.mean - variance, 10 * (biased.standard_error + m.standard_error)) << eta;
  }
}

// φ of w N(−1, v) + (1 − w) N(2, v) on a line.
Energy TwoBumps(double w, double v) {
  return [w, v](Var y, Params&) {
    const Var line = reshape(y, {y.dim(0)});
    const Var left = std::log(w) - square(line + 1.0) * (0.5 / v);
    const Var right = std::log(1 - w) - square(line - 2.0) * (0.5 / v);
    return -autodiff::logsumexp(autodiff::stack({left, right}, 1), {1});
  };
}

// The moments of a mixture, which no rejection-free step of this size gets right.
TEST(Mala, SamplesAMixtureExactly) {
  const double w = 0.3, v = 0.5;
  Model model = Created(TwoBumps(w, v), 1, 0.5);
  const auto run = [&](Sampler sampler) {
    Walk walk = Walking(model, NormalTensor({64, 1}, 0, 2, 3), {.sampler = sampler, .step_size = 0.75});
    const ChainSummary square = MeanOf(walk, {.burn_in = 0, .iterations = 4000, .keep_every = 2}, Square);
    EXPECT_FALSE(walk.mean_acceptance() < 0.2);
    return square;
  };
  const double second = w * (1 + v) + (1 - w) * (4 + v);
  const ChainSummary exact = run(Sampler::kMala), biased = run(Sampler::kUla);
  EXPECT_NEAR(exact.mean, second, 5 * exact.standard_error);
  EXPECT_GT(std::abs(biased.mean - second), 5 * biased.standard_error);

  Walk walk = Walking(model, NormalTensor({64, 1}, 0, 2, 3), {.sampler = Sampler::kMala, .step_size = 0.75});
  const ChainSummary first = MeanOf(walk, {.iterations = 4000, .keep_every = 2},
                                    [](std::span<const float> y) { return static_cast<double>(y[0]); });
  EXPECT_NEAR(first.mean, -w + 2 * (1 - w), 5 * first.standard_error);
}

TEST(Mala, BurnInFindsTheTargetAcceptance) {
  Model model = Created(Gaussian(1), 64, 1);
  for (const double target : {0.4, 0.574, 0.8}) {
    Walk walk = Walking(model, NormalTensor({16, 64}, 0, 1, 1),
                        {.sampler = Sampler::kMala, .step_size = 0.01, .target_acceptance = target});
    ASSERT_TRUE(walk.BurnIn(500).ok());
    const double found = walk.step_size();
    EXPECT_GT(found, 0.1);
    EXPECT_TRUE(std::isnan(walk.mean_acceptance()));
    ASSERT_TRUE(walk.Run(500).ok());
    EXPECT_EQ(walk.step_size(), found);
    EXPECT_NEAR(walk.mean_acceptance(), target, 0.04) << target;
    const std::vector<double> each = walk.acceptance();
    ASSERT_EQ(each.size(), 16u);
    // 500 proposals of one chain: ±0.022 each if they were independent.
    for (double share : each) EXPECT_NEAR(share, target, 0.15);
  }
}

TEST(Mala, BurnInInTwoPartsIsTheSame) {
  Model model = Created(Gaussian(1), 8, 1);
  const Tensor start = NormalTensor({5, 8}, 0, 1, 1);
  Walk whole = Walking(model, start, {.sampler = Sampler::kMala}), parts = Walking(model, start, {Sampler::kMala});
  ASSERT_TRUE(whole.BurnIn(200).ok());
  ASSERT_TRUE(parts.BurnIn(70).ok());
  ASSERT_TRUE(parts.BurnIn(130).ok());
  EXPECT_EQ(whole.step_size(), parts.step_size());
  EXPECT_NE(whole.step_size(), 0.5);
  EXPECT_TRUE(SameBits(Values(whole.y()), Values(parts.y())));
}

// On N(0, τ²), φ the energy of N(0, τ² + σ²): variance σ²a²/(1 − a²), a = 1 − σ²/2(τ² + σ²).
TEST(HalfDenoising, HasItsStationaryVariance) {
  const double tau2 = 1.3;
  for (const double sigma : {0.3, 0.8}) {
    const double sigma2 = sigma * sigma, a = 1 - sigma2 / (2 * (tau2 + sigma2));
    const ChainSummary m = SecondMoment({.sampler = Sampler::kHalfDenoising}, tau2 + sigma2, sigma, 4000);
    EXPECT_NEAR(m.mean, sigma2 * a * a / (1 - a * a), 5 * m.standard_error) << sigma;
    EXPECT_GT(tau2 + sigma2 - m.mean, 5 * m.standard_error);  // it is X, not Y
  }
}

// x is halfway from ỹ to x̂(ỹ), which is what its jumps are.
TEST(HalfDenoising, JumpsFromItsNoisyPoint) {
  Model model = Created(Gaussian(1.3), 4, 0.5);
  Walk walk = Walking(model, NormalTensor({6, 4}, 0, 1, 1), {.sampler = Sampler::kHalfDenoising});
  const absl::Status early = walk.Jump().status();
  EXPECT_EQ(early.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(early.message()), HasSubstr("before its first iteration"));
  ASSERT_TRUE(walk.Run(3).ok());
  const Tensor x_hat = walk.Jump().value();
  EXPECT_EQ(walk.step_size(), 0.5);
  for (int64_t i = 0; i < x_hat.num_elements(); ++i) {
    EXPECT_NEAR(walk.y().at(i), (walk.noisy().at(i) + x_hat.at(i)) / 2, 1e-6);
    EXPECT_NEAR(x_hat.at(i), walk.noisy().at(i) * (1 - 0.25 / 1.3), 1e-6);
  }
}

// --- Mistakes ---

// A chain that starts where φ is no number would reject for ever, and is reported instead.
TEST(Mala, ReportsAnEnergyThatIsNoNumber) {
  Model model = Created([](Var y, Params&) { return sum(log(y), {1}); }, 2, 0.5);
  Tensor start = Tensor::Full({4, 2}, 1);
  start.set(5, -1);
  Walk walk = Walking(model, start, {.sampler = Sampler::kMala});
  const absl::Status status = walk.Run(3);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("chain 2"));
}

// A proposal where φ is no number, here left of 0, is rejected.
TEST(Mala, StaysWhereTheEnergyIsDefined) {
  Model model = Created([](Var y, Params&) { return sum(y - 3.0 * log(y), {1}); }, 1, 1);  // Gamma(4): mean 4
  Walk walk = Walking(model, Tensor::Full({64, 1}, 4), {.sampler = Sampler::kMala, .step_size = 1.5});
  const ChainSummary m = MeanOf(walk, {.burn_in = 0, .iterations = 4000, .keep_every = 2},
                                [](std::span<const float> y) { return static_cast<double>(y[0]); });
  EXPECT_NEAR(m.mean, 4, 5 * m.standard_error);
  EXPECT_LT(walk.mean_acceptance(), 1);
}

}  // namespace
}  // namespace neb
