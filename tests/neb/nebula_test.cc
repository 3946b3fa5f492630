#include "neb/nebula.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/known_energies.h"
#include "neb/residual_denoiser.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::ThreadPool;
using testing::AllOf;
using testing::HasSubstr;

Model Created(const Energy& energy, int64_t d, double sigma) {
  absl::StatusOr<Model> model = Model::Create(energy, {d}, sigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

Descents Descended(Model& model, const Tensor& start, const DescendOptions& options = {}) {
  absl::StatusOr<Descents> ends = Descend(model, start, options);
  EXPECT_TRUE(ends.ok()) << ends.status();
  return *std::move(ends);
}

// φ = ½ Σ λ_j (y_j − c_j)², with curvatures λ_j evenly spaced on a logarithmic scale from `lowest` to 1/σ².
Energy Valley(int64_t d, double lowest, double sigma, const Tensor& centre) {
  Tensor curvature({d});
  for (int64_t j = 0; j < d; ++j) {
    const double t = static_cast<double>(j) / static_cast<double>(d - 1);
    curvature.set(j, std::pow(lowest, 1 - t) * std::pow(1 / (sigma * sigma), t));
  }
  return [=](Var y, Params& p) {
    return 0.5 * sum(p.Fixed("curvature", curvature) * square(y - p.Fixed("centre", centre)), {1});
  };
}

// --- Where descents end ---

// A quadratic's only attractor is its centre. At σ‖∇φ‖/√d <= ε it is ε σ√d / (σ²λ) away at most, λ the lowest
// curvature. The valley is as narrow as data whose widest direction has a standard deviation of √(κ − 1) σ: 17 σ at κ =
// 300.
TEST(Descend, FindsTheBottomOfAValley) {
  const int64_t d = 50;
  const double sigma = 0.3;
  const Tensor centre = NormalTensor({d}, 1, 2, 5);
  for (const double condition : {1.5, 30.0, 300.0}) {
    Model model = Created(Valley(d, 1 / (condition * sigma * sigma), sigma, centre), d, sigma);
    const Descents ends = Descended(model, NormalTensor({20, d}, 1, 2, 6));
    const double bound = 1e-5 * sigma * std::sqrt(static_cast<double>(d)) * condition;
    for (int64_t i = 0; i < 20; ++i) {
      const Descent& row = ends.rows[static_cast<size_t>(i)];
      ASSERT_EQ(row.outcome, Outcome::kConverged) << Name(row.outcome) << " " << condition;
      EXPECT_LE(row.gradient, 1e-5);
      EXPECT_GT(row.evaluations, row.iterations);
      EXPECT_LE(row.evaluations, 600) << condition;  // up to 552, by SIMD target
      for (int64_t j = 0; j < d; ++j) {
        EXPECT_NEAR(ends.y.at(i * d + j), centre.at(j), bound + 1e-6);
        // ∇φ is as good as 0, so the jump stays.
        EXPECT_NEAR(ends.x_hat.at(i * d + j), ends.y.at(i * d + j), 1e-5 * sigma * std::sqrt(d) + 1e-6);
      }
    }
  }
}

// Three samples in the plane, smoothed until their modes have moved.
struct Mode {
  double x, y, energy;
};
constexpr double kSites[3][2] = {{0, 0}, {1.2, 0.1}, {0.3, 1.4}};
constexpr double kMixtureSigma = 0.45;

Tensor Sites() {
  Tensor x({3, 2});
  for (int64_t i = 0; i < 6; ++i) x.set(i, kSites[i / 2][i % 2]);
  return x;
}

// The mode of p_Y near a point, by Newton's method with derivatives written out here. With weights w_i ∝ exp(−‖y −
// x_i‖²/2σ²): ∇φ = (y − Σ w x)/σ², ∇²φ = (I − Cov_w[x]/σ²)/σ².
Mode NewtonFrom(double x, double y) {
  const double variance = kMixtureSigma * kMixtureSigma;
  double total = 0;
  for (int step = 0; step < 50; ++step) {
    double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
    total = 0;
    for (const auto& s : kSites) {
      const double w = std::exp(-(std::pow(x - s[0], 2) + std::pow(y - s[1], 2)) / (2 * variance));
      total += w;
      mx += w * s[0];
      my += w * s[1];
      xx += w * s[0] * s[0];
      xy += w * s[0] * s[1];
      yy += w * s[1] * s[1];
    }
    mx /= total;
    my /= total;
    const double a = 1 - (xx / total - mx * mx) / variance, b = -(xy / total - mx * my) / variance;
    const double c = 1 - (yy / total - my * my) / variance, gx = x - mx, gy = y - my, det = a * c - b * b;
    x -= (c * gx - b * gy) / det;
    y -= (a * gy - b * gx) / det;
  }
  return {x, y, -std::log(total / (3 * 2 * std::numbers::pi * variance))};
}

TEST(Descend, FindsTheModesOfAMixture) {
  Model model = Created(KernelDensityEnergy(Sites(), kMixtureSigma), 2, kMixtureSigma);
  std::vector<Mode> modes;
  for (const auto& s : kSites) modes.push_back(NewtonFrom(s[0], s[1]));
  // Smoothing has drawn them together, away from the samples.
  EXPECT_GT(std::hypot(modes[0].x, modes[0].y), 0.01);
  const Descents ends = Descended(model, NormalTensor({400, 2}, 0.5, 1, 3));
  std::vector<int> found(3);
  for (int64_t i = 0; i < 400; ++i) {
    const Descent& row = ends.rows[static_cast<size_t>(i)];
    ASSERT_EQ(row.outcome, Outcome::kConverged) << i;
    int hits = 0;
    for (size_t k = 0; k < 3; ++k) {
      if (std::hypot(ends.y.at(2 * i) - modes[k].x, ends.y.at(2 * i + 1) - modes[k].y) > 1e-4) continue;
      EXPECT_NEAR(row.energy, modes[k].energy, 1e-6);
      ++hits;
      ++found[k];
    }
    EXPECT_EQ(hits, 1) << ends.y.at(2 * i) << " " << ends.y.at(2 * i + 1);
  }
  EXPECT_GT(*std::min_element(found.begin(), found.end()), 40);
}

// The basin of a start is that of the flow, here followed by Euler steps of σ²/200. Only starts very near a ridge,
// where the flow itself is decided by its last digits, may differ: one in a hundred.
TEST(Descend, KeepsTheBasinsOfTheFlow) {
  Model model = Created(KernelDensityEnergy(Sites(), kMixtureSigma), 2, kMixtureSigma);
  const int64_t n = 300;
  const Tensor start = NormalTensor({n, 2}, 0.5, 1.5, 8);
  const Descents ours = Descended(model, start);
  std::vector<float> y = Values(start);
  const float h = static_cast<float>(kMixtureSigma * kMixtureSigma / 200);
  for (int step = 0; step < 4000; ++step) {
    const std::vector<float> gradient = GradientOf(model, y);
    for (size_t i = 0; i < y.size(); ++i) y[i] -= h * gradient[i];
  }
  int differ = 0;
  for (size_t i = 0; i < y.size(); i += 2) {
    const auto at = static_cast<int64_t>(i);
    differ += std::hypot(y[i] - ours.y.at(at), y[i + 1] - ours.y.at(at + 1)) > 0.1;
  }
  EXPECT_LE(differ, n / 100);
}

// --- The path ---

constexpr int64_t kDims = 24;
Model& Learned() {
  static Model& model = *new Model(Created(
      RandomDenoiser({.mean = NormalTensor({kDims}, 0.5, 0.2, 4), .stddev = 0.3, .sigma = 0.4, .radius = 3}, 60), kDims,
      0.4));
  return model;
}

// φ never rises (METHOD.md §8, item 11): exactly, as float64 computes it, on a network that keeps no promise about its
// curvature.
TEST(Descend, NeverRises) {
  const Descents ends = Descended(Learned(), NormalTensor({60, kDims}, 0.5, 1, 2), {.path_every = 1});
  for (const Descent& row : ends.rows) {
    const DescentPath& path = row.path;
    ASSERT_EQ(path.energy.size(), static_cast<size_t>(row.iterations) + 1);
    ASSERT_EQ(path.y.size(), path.energy.size() * kDims);
    ASSERT_GT(row.iterations, 3);
    for (size_t k = 1; k < path.energy.size(); ++k) {
      EXPECT_LT(path.energy[k], path.energy[k - 1]);
      EXPECT_GT(path.time[k], path.time[k - 1]);
    }
    EXPECT_EQ(path.energy.back(), row.energy);
  }
}

TEST(Descend, KeepsPartOfThePath) {
  const Tensor start = NormalTensor({3, kDims}, 0.5, 1, 2);
  const Descents all = Descended(Learned(), start, {.path_every = 1}),
                 some = Descended(Learned(), start, {.path_every = 4});
  EXPECT_TRUE(Descended(Learned(), start).rows[0].path.energy.empty());
  EXPECT_TRUE(SameBits(Values(all.y), Values(some.y)));
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<double>& full = all.rows[i].path.energy;
    std::vector<double> expected;
    for (size_t k = 0; k < full.size(); k += 4) expected.push_back(full[k]);
    if ((full.size() - 1) % 4 != 0) expected.push_back(full.back());
    EXPECT_EQ(some.rows[i].path.energy, expected);
    const std::vector<float>& y = some.rows[i].path.y;
    const std::vector<float> first(y.begin(), y.begin() + kDims), last(y.end() - kDims, y.end());
    const std::vector<float> from = Values(start), to = Values(all.y);
    const auto at = static_cast<std::ptrdiff_t>(i * kDims);
    EXPECT_TRUE(SameBits(first, {from.begin() + at, from.begin() + at + kDims}));
    EXPECT_TRUE(SameBits(last, {to.begin() + at, to.begin() + at + kDims}));
  }
}

// --- What a row depends on ---

TEST(Descend, RowsStandAlone) {
  const Tensor start = NormalTensor({150, kDims}, 0.5, 1, 2);
  const Descents all = Descended(Learned(), start);
  const std::vector<float> values = Values(start), ends = Values(all.y);
  ThreadPool pool(3);
  EXPECT_TRUE(SameBits(Values(Descended(Learned(), start, {.pool = &pool}).y), ends));
  for (const int64_t few : {1, 2, 7, 140}) {
    const size_t size = static_cast<size_t>(few * kDims);
    const Tensor part = Tensor::From<float>({few, kDims}, std::span<const float>(values).subspan(0, size));
    EXPECT_TRUE(SameBits(Values(Descended(Learned(), part).y), {ends.begin(), ends.begin() + few * kDims})) << few;
  }
  EXPECT_EQ(Descended(Learned(), Tensor({0, kDims})).rows.size(), 0);
}

// --- Descents without an attractor ---

// φ = ⟨a, y⟩ and φ = −‖y‖² have no lower bound, nor has a bowl that opens downwards along one axis.
TEST(Descend, ReportsRunAways) {
  const Energy linear = [](Var y, Params&) { return sum(0.01 * y, {1}); };
  const Energy trough = [](Var y, Params&) { return sum(square(y), {1}) - 2 * sum(square(slice(y, 1, 0, 1)), {1}); };
  const Tensor start = NormalTensor({10, 3}, 0.5, 1, 1);
  for (const Energy& energy : {linear, Scale(-2, Gaussian(1)), trough}) {
    Model model = Created(energy, 3, 0.5);
    for (const Descent& row : Descended(model, start).rows) {
      EXPECT_EQ(row.outcome, Outcome::kRunAway) << Name(row.outcome);
      EXPECT_LE(row.evaluations, 200);
      EXPECT_LT(row.energy, -10);
    }
  }
}

// Beside a row that runs away, one that does not ends as it would alone: φ = y²(1 − y²) on each side of its ridge.
TEST(Descend, RunAwaysLeaveOthersAlone) {
  Model model = Created([](Var y, Params&) { return sum(square(y) * (1 - square(y)), {1}); }, 1, 0.5);
  const Descents ends = Descended(model, Tensor::From<float>({4, 1}, {0.6f, 0.8f, -0.6f, -5}));
  EXPECT_EQ(ends.rows[0].outcome, Outcome::kConverged);
  EXPECT_EQ(ends.rows[1].outcome, Outcome::kRunAway);
  EXPECT_EQ(ends.rows[2].outcome, Outcome::kConverged);
  EXPECT_EQ(ends.rows[3].outcome, Outcome::kRunAway);
  EXPECT_NEAR(ends.y.at(0), 0, 1e-5);
  EXPECT_NEAR(ends.y.at(2), 0, 1e-5);
}

TEST(Descend, ReportsHowItEnded) {
  const Tensor centre = NormalTensor({10}, 0, 1, 1), start = NormalTensor({5, 10}, 0, 3, 2);
  Model model = Created(Valley(10, 0.1, 1, centre), 10, 1);
  for (const Descent& row : Descended(model, start, {.max_evaluations = 7}).rows) {
    EXPECT_EQ(row.outcome, Outcome::kOutOfEvaluations);
    EXPECT_EQ(row.evaluations, 7);
    EXPECT_GT(row.gradient, 1e-5);
  }
  EXPECT_EQ(Descended(model, start, {.max_evaluations = 1}).rows[0].evaluations, 1);
  // φ + 10¹⁰ hides any fall below 10⁻⁶.
  Model high = Created(Sum({{"valley", Valley(10, 0.1, 1, centre)},
                            {"high", [](Var y, Params&) { return y.tape()->Constant(1e10, {y.dim(0)}); }}}),
                       10, 1);
  for (const Descent& row : Descended(high, start, {.tolerance = 1e-9}).rows) {
    EXPECT_EQ(row.outcome, Outcome::kStalled);
    EXPECT_LT(row.gradient, 0.1);
  }
  // A start that is an attractor stays.
  const Descents there = Descended(model, centre.Reshaped({1, 10}));
  EXPECT_EQ(there.rows[0].outcome, Outcome::kConverged);
  EXPECT_EQ(there.rows[0].iterations, 0);
  EXPECT_TRUE(SameBits(Values(there.y), Values(centre)));
}

// --- Mistakes ---

TEST(DescendMistake, StartsAndOptions) {
  Model model = Created(Gaussian(1), 3, 0.5);
  const auto error = [&model](const Tensor& start, const DescendOptions& options) {
    const absl::StatusOr<Descents> ends = Descend(model, start, options);
    EXPECT_EQ(ends.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(ends.status().message());
  };
  EXPECT_THAT(error(Tensor({2, 4}), {}), AllOf(HasSubstr("[n, 3]"), HasSubstr("[2, 4]")));
  EXPECT_THAT(error(Tensor({2, 3}, autodiff::DType::kF64), {}), HasSubstr("f64"));
  EXPECT_THAT(error(Tensor::From<float>({2, 3}, {0, 0, 0, 0, std::nanf(""), 0}), {}), HasSubstr("start 1"));
  EXPECT_THAT(error(Tensor({2, 3}), {.tolerance = 0}), HasSubstr("tolerance"));
  EXPECT_THAT(error(Tensor({2, 3}), {.max_evaluations = 0}), HasSubstr("max_evaluations"));
  EXPECT_THAT(error(Tensor({2, 3}), {.run_away = std::nan("")}), HasSubstr("run_away"));
  EXPECT_THAT(error(Tensor({2, 3}), {.path_every = -1}), HasSubstr("path_every"));
}

TEST(DescendMistake, StartWithoutEnergy) {
  Model model = Created([](Var y, Params&) { return sum(log(y), {1}); }, 1, 0.5);
  const absl::StatusOr<Descents> ends = Descend(model, Tensor::From<float>({3, 1}, {1, 2, -1}), {});
  EXPECT_EQ(ends.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ends.status().message()), HasSubstr("start 2"));
}

}  // namespace
}  // namespace neb
