#include "neb/walk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/residual_denoiser.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::ThreadPool;
using testing::AllOf;
using testing::HasSubstr;

Model Created(const Energy& energy, const autodiff::Shape& item_shape, double sigma) {
  absl::StatusOr<Model> model = Model::Create(energy, item_shape, sigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

Walk Walking(Model& model, const Tensor& start, const WalkOptions& options) {
  absl::StatusOr<Walk> walk = Walk::Create(model, start, options);
  EXPECT_TRUE(walk.ok()) << walk.status();
  return *std::move(walk);
}

struct Moments {
  double mean = 0, variance = 0;
};
Moments MomentsOf(const std::vector<float>& values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (float v : values) m.mean += v / n;
  for (float v : values) m.variance += (v - m.mean) * (v - m.mean) / n;
  return m;
}

// --- Starts ---

// Mean and variance of n draws are known to s/√n and (for a kurtosis up to 3) s²√(2/n); five of those.
void ExpectMoments(const std::vector<float>& values, double mean, double variance) {
  const double n = static_cast<double>(values.size());
  const Moments m = MomentsOf(values);
  EXPECT_NEAR(m.mean, mean, 5 * std::sqrt(variance / n));
  EXPECT_NEAR(m.variance, variance, 5 * variance * std::sqrt(2 / n));
}

TEST(NoisyStarts, AddNoiseOfDeviationSigma) {
  const Model model = Created(Gaussian(1), {50}, 0.7);
  const Tensor x = NormalTensor({2000, 50}, 3, 2, 9);
  const Tensor y = NoisyStarts(x, model, 1);
  ASSERT_EQ(y.shape(), x.shape());
  std::vector<float> noise;
  for (int64_t i = 0; i < x.num_elements(); ++i) noise.push_back(static_cast<float>(y.at(i) - x.at(i)));
  ExpectMoments(noise, 0, 0.49);
  EXPECT_TRUE(SameBits(Values(NoisyStarts(x, model, 1)), Values(y)));
  EXPECT_FALSE(SameBits(Values(NoisyStarts(x, model, 2)), Values(y)));
}

// U(0, 1) + σN(0, 1): mean ½, variance 1/12 + σ².
TEST(UniformStarts, AreUniformPlusNoise) {
  for (const double sigma : {0.01, 0.5}) {
    const Model model = Created(Gaussian(1), {50}, sigma);
    const Tensor y = UniformStarts(2000, model, 1);
    ASSERT_EQ(y.shape(), (autodiff::Shape{2000, 50}));
    ExpectMoments(Values(y), 0.5, 1.0 / 12 + sigma * sigma);
    EXPECT_FALSE(SameBits(Values(UniformStarts(2000, model, 2)), Values(y)));
    // The first chains are the same however many there are.
    const std::vector<float> few = Values(UniformStarts(3, model, 1)), all = Values(y);
    EXPECT_TRUE(SameBits(few, {all.begin(), all.begin() + 150}));
  }
}

// ‖Y − X‖ concentrates at σ√d with relative spread 1/√(2d) (METHOD.md §8, item 7): 0.025 at d = 784.
TEST(NoisyStarts, LieOnASphereAroundTheSample) {
  const int64_t d = 784, n = 4000;
  const double sigma = 0.3;
  const Model model = Created(Gaussian(1), {28, 28, 1}, sigma);
  const Tensor x = NormalTensor({n, d}, 0.5, 0.3, 2), y = NoisyStarts(x, model, 7);
  std::vector<float> ratios;
  for (int64_t i = 0; i < n; ++i) {
    double squared = 0;
    for (int64_t j = i * d; j < (i + 1) * d; ++j) squared += std::pow(y.at(j) - x.at(j), 2);
    ratios.push_back(static_cast<float>(std::sqrt(squared / static_cast<double>(d)) / sigma));
  }
  const double spread = 1 / std::sqrt(2.0 * static_cast<double>(d));
  const Moments m = MomentsOf(ratios);
  EXPECT_NEAR(m.mean, 1 - 0.25 / static_cast<double>(d), 5 * spread / std::sqrt(n));  // mean of χ_d/√d to first order
  EXPECT_NEAR(std::sqrt(m.variance), spread, 5 * spread / std::sqrt(2.0 * static_cast<double>(n)));
  EXPECT_NEAR(spread, 0.025, 0.0005);
}

// --- What a walk samples ---

// One iteration is y ← y − δ²∇φ(y) + √2 δε: with φ = 0 it adds noise of variance 2δ², and default δ = σ/2.
TEST(Walk, IsEulerMaruyama) {
  Model free = Created(NoEnergy(), {100}, 0.8);
  for (const double step_size : {0.0, 0.3}) {
    const double delta = step_size == 0 ? 0.4 : step_size;
    Walk walk = Walking(free, Tensor::Full({1000, 100}, 5), {.step_size = step_size});
    ASSERT_TRUE(walk.Run(1).ok());
    ExpectMoments(Values(walk.y()), 5, 2 * delta * delta);
    ASSERT_TRUE(walk.Run(3).ok());
    ExpectMoments(Values(walk.y()), 5, 8 * delta * delta);
    EXPECT_EQ(walk.iterations(), 4);
  }
  // The drift alone, as the mean over many chains: 5 (1 − δ²/v).
  Model bound = Created(Gaussian(2), {100}, 0.8);
  Walk walk = Walking(bound, Tensor::Full({1000, 100}, 5), {.step_size = 0.5});
  ASSERT_TRUE(walk.Run(1).ok());
  ExpectMoments(Values(walk.y()), 5 * (1 - 0.25 / 2), 0.5);
}

// On N(0, s²) the chain y ← (1 − η/s²) y + √(2η) ε is stationary at s²/(1 − η/2s²), not at s² (METHOD.md §8, item 8).
TEST(Walk, HasTheStationaryVarianceOfItsStep) {
  const double variance = 1.7;
  for (const double fraction : {0.1, 0.5, 1.2}) {
    const double eta = fraction * variance, a = 1 - fraction;
    Model model = Created(Gaussian(variance), {64}, 1);
    Walk walk = Walking(model, Tensor({64, 64}), {.step_size = std::sqrt(eta)});
    ASSERT_TRUE(walk.Run(100).ok());  // a^(2·100) < 1e-9 of the start is left
    double square = 0;
    const int64_t iterations = 200;
    for (int64_t i = 0; i < iterations; ++i) {
      ASSERT_TRUE(walk.Run(1).ok());
      for (float v : walk.y().data<float>()) square += static_cast<double>(v) * v;
    }
    const double samples = 64.0 * 64 * static_cast<double>(iterations);
    // y² is correlated like a^(2t), so that many of the samples count.
    const double effective = samples * (1 - a * a) / (1 + a * a);
    const double expected = variance / (1 - eta / (2 * variance));
    EXPECT_NEAR(square / samples, expected, 5 * expected * std::sqrt(2 / effective)) << fraction;
  }
}

// --- What a walk depends on ---

constexpr int64_t kDims = 64;

Model& Learned() {
  static Model& model = *new Model(Created(
      RandomDenoiser({.mean = NormalTensor({kDims}, 0.5, 0.2, 4), .stddev = 0.3, .sigma = 0.4, .radius = 3}, 150),
      {kDims}, 0.4));
  return model;
}

std::vector<float> EndOf(const Tensor& start, const WalkOptions& options, int64_t iterations = 60) {
  Walk walk = Walking(Learned(), start, options);
  EXPECT_TRUE(walk.Run(iterations).ok());
  return Values(walk.y());
}

class EverySampler : public testing::TestWithParam<Sampler> {};

TEST_P(EverySampler, IsUnchangedByJumping) {
  const Tensor start = UniformStarts(9, Learned(), 1);
  Walk walk = Walking(Learned(), start, {.sampler = GetParam()});
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(walk.Run(1).ok());
    const std::vector<float> before = Values(walk.y());
    const absl::StatusOr<Tensor> x_hat = walk.Jump();
    ASSERT_TRUE(x_hat.ok());
    EXPECT_TRUE(SameBits(Values(*x_hat), XHatOf(Learned(), Values(walk.noisy()))));
    EXPECT_TRUE(SameBits(Values(walk.y()), before));
    EXPECT_EQ(&walk.noisy() == &walk.y(), GetParam() != Sampler::kHalfDenoising);
  }
  EXPECT_EQ(walk.iterations(), 60);
  EXPECT_TRUE(SameBits(Values(walk.y()), EndOf(start, {.sampler = GetParam()})));
}

// The adaptation of MALA's step included.
TEST_P(EverySampler, DoesNotDependOnThreads) {
  const Tensor start = UniformStarts(40, Learned(), 1);
  const auto end = [&](ThreadPool* pool) {
    Walk walk = Walking(Learned(), start, {.sampler = GetParam(), .pool = pool});
    EXPECT_TRUE(walk.BurnIn(10).ok());
    EXPECT_TRUE(walk.Run(10).ok());
    return Values(walk.y());
  };
  const std::vector<float> expected = end(nullptr);
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    EXPECT_TRUE(SameBits(end(&pool), expected)) << threads;
  }
}

// A walk in two parts is the walk in one.
TEST_P(EverySampler, GoesOnWhereItStopped) {
  const Tensor start = UniformStarts(6, Learned(), 1);
  Walk walk = Walking(Learned(), start, {.sampler = GetParam()});
  ASSERT_TRUE(walk.Run(23).ok());
  ASSERT_TRUE(walk.Run(37).ok());
  EXPECT_TRUE(SameBits(Values(walk.y()), EndOf(start, {.sampler = GetParam()})));
  EXPECT_EQ(walk.acceptance().size(), GetParam() == Sampler::kMala ? 6u : 0u);
}

// From five chains on, the first ones are the same however many there are.
TEST_P(EverySampler, HasChainsOfTheirOwn) {
  const std::vector<float> all = EndOf(UniformStarts(40, Learned(), 1), {.sampler = GetParam()});
  const std::vector<float> few = EndOf(UniformStarts(7, Learned(), 1), {.sampler = GetParam()});
  EXPECT_TRUE(SameBits(few, {all.begin(), all.begin() + 7 * kDims}));
}

TEST_P(EverySampler, OfNoChains) {
  Walk walk = Walking(Learned(), Tensor({0, kDims}), {.sampler = GetParam()});
  EXPECT_TRUE(walk.BurnIn(3).ok());
  EXPECT_TRUE(walk.Run(3).ok());
}

// Whether it is among the first hundreds of numbers or in what is left of them at the end.
TEST_P(EverySampler, NamesTheChainThatDiverged) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  Model model = Created(Gaussian(1), {2}, 0.5);
  struct Case {
    int64_t chains, chain;
    double value;
  };
  for (const auto& [chains, chain, value] :
       {Case{5, 3, kInfinity}, {600, 0, kNan}, {600, 127, -kInfinity}, {600, 300, kNan}, {600, 599, kInfinity}}) {
    Tensor start({chains, 2});
    start.set(2 * chain + 1, value);
    Walk walk = Walking(model, start, {.sampler = GetParam()});
    const absl::Status status = walk.Run(2);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(absl::StrCat("chain ", chain, " ")), HasSubstr("2 iterations")));
  }
}

TEST_P(EverySampler, HasAName) {
  const absl::StatusOr<Sampler> same = ParseSampler(Name(GetParam()));
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(*same, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Walk, EverySampler,
                         testing::Values(Sampler::kUla, Sampler::kMala, Sampler::kBaoab, Sampler::kAboba,
                                         Sampler::kHalfDenoising));

// To the last bit from five chains on. Fewer are the same walks to rounding, because a product of up to four rows adds
// up in another order; the noise is the same.
TEST(Walk, EachChainIsItsOwn) {
  const std::vector<float> all = EndOf(UniformStarts(100, Learned(), 1), {});
  for (const int64_t chains : {5, 7, 16, 99}) {
    const std::vector<float> few = EndOf(UniformStarts(chains, Learned(), 1), {});
    EXPECT_TRUE(SameBits(few, {all.begin(), all.begin() + chains * kDims})) << chains;
  }
  for (const int64_t chains : {1, 2, 3, 4}) {
    const std::vector<float> few = EndOf(UniformStarts(chains, Learned(), 1), {});
    for (size_t i = 0; i < few.size(); ++i) ASSERT_NEAR(few[i], all[i], 1e-4) << chains;
  }
}

// Weights are prepared within a call of many iterations, and never kept from one call to the next.
TEST(Walk, SeesWeightsThatChangeBetweenCalls) {
  const auto end = [](int64_t per_call) {
    Model model =
        Created(RandomDenoiser({.mean = Tensor({kDims}), .stddev = 0.3, .sigma = 0.4, .radius = 3}, 150), {kDims}, 0.4);
    Walk walk = Walking(model, UniformStarts(6, model, 1), {});
    for (int part = 0; part < 2; ++part) {
      for (int64_t i = 0; i < 20; i += per_call) EXPECT_TRUE(walk.Run(per_call).ok());
      for (int i = 0; i < model.params().size(); ++i) {
        for (float& w : model.params()[i].value.data<float>()) w *= 1.5f;
      }
    }
    return Values(walk.y());
  };
  EXPECT_TRUE(SameBits(end(20), end(1)));
}

TEST(Walk, DependsOnItsSeed) {
  const Tensor start = UniformStarts(3, Learned(), 1);
  EXPECT_FALSE(SameBits(EndOf(start, {.seed = 1}), EndOf(start, {.seed = 2})));
}

TEST(Walk, MovesLikeAValue) {
  const Tensor start = UniformStarts(3, Learned(), 1);
  Walk walk = Walking(Learned(), start, {});
  ASSERT_TRUE(walk.Run(20).ok());
  Walk moved = std::move(walk);
  ASSERT_TRUE(moved.Run(40).ok());
  EXPECT_TRUE(SameBits(Values(moved.y()), EndOf(start, {})));
}

TEST(Walk, OfNoChains) {
  Walk walk = Walking(Learned(), Tensor({0, kDims}), {});
  EXPECT_TRUE(walk.Run(3).ok());
  const absl::StatusOr<Tensor> x_hat = walk.Jump();
  ASSERT_TRUE(x_hat.ok()) << x_hat.status();
  EXPECT_EQ(x_hat->num_elements(), 0);
}

// --- Mistakes ---

TEST(WalkMistake, StartsAndOptions) {
  const auto error = [](const Tensor& start, const WalkOptions& options) {
    const absl::StatusOr<Walk> walk = Walk::Create(Learned(), start, options);
    EXPECT_EQ(walk.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(walk.status().message());
  };
  EXPECT_THAT(error(Tensor({2, 3}), {}), AllOf(HasSubstr("[chains, 64]"), HasSubstr("[2, 3]")));
  EXPECT_THAT(error(Tensor({kDims}), {}), HasSubstr("[64]"));
  EXPECT_THAT(error(Tensor({2, kDims}, autodiff::DType::kF64), {}), HasSubstr("f64"));
  for (const double step_size : {-0.1, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(error(Tensor({2, kDims}), {.step_size = step_size}), HasSubstr("step size"));
    EXPECT_THAT(error(Tensor({2, kDims}), {.friction = step_size}), HasSubstr("friction"));
    EXPECT_THAT(error(Tensor({2, kDims}), {.inverse_mass = step_size}), HasSubstr("inverse mass"));
    EXPECT_THAT(error(Tensor({2, kDims}), {.target_acceptance = step_size}), HasSubstr("target acceptance"));
  }
  EXPECT_THAT(std::string(ParseSampler("hmc").status().message()), AllOf(HasSubstr("hmc"), HasSubstr("baoab")));
}

// φ = −‖y‖² has no lower bound: every chain runs away, faster and faster.
TEST(WalkMistake, DivergenceIsReported) {
  Model model = Created(Scale(-2, Gaussian(1)), {3}, 0.5);
  Walk walk = Walking(model, Tensor::Full({4, 3}, 1), {.step_size = 1});
  const absl::Status status = walk.Run(500);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("chain 0"), HasSubstr("500 iterations")));
}

}  // namespace
}  // namespace neb
