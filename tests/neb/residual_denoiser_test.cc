#include "neb/residual_denoiser.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/layers.h"
#include "neb/model.h"
#include "neb/walk.h"
#include "tests/autodiff/test_tensors.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::ParamStore;
using autodiff::Tape;
using testing::AllOf;
using testing::HasSubstr;

Scales SomeScales(int64_t d, double radius) {
  // The deviation is kept as a float, so take one that is.
  return {.mean = NormalTensor({d}, 0.5, 0.2, 4), .stddev = 0.3125, .sigma = 0.4, .radius = radius};
}

// A point at this distance ‖z‖/√d from the mean.
Tensor PointAt(const Scales& s, double distance, uint64_t seed) {
  const int64_t d = s.mean.num_elements();
  Tensor y = autodiff::Uniform({1, d}, -1, 1, seed);
  double squared = 0;
  for (double v : autodiff::Numbers(y)) squared += v * v;
  const double unit = std::sqrt(static_cast<double>(d) * (s.stddev * s.stddev + s.sigma * s.sigma) / squared);
  for (int64_t j = 0; j < d; ++j) y.set(j, s.mean.at(j) + distance * unit * y.at(j));
  return y;
}

Var ZeroNetwork(Var z, Params& p) { return Mlp(p, z, {16, z.dim(1)}, {.last_weight_init = autodiff::Zeros()}); }

// With n = 0, x̂ = μ + s²/(s² + σ²)(y − μ), the best multiple of y − μ for data of variance s²; and
// φ = ‖y − μ‖²/2(s² + σ²). At any distance, since a network of zeros is bounded anyway.
TEST(ResidualDenoiser, StartsAsTheIsotropicWienerFilter) {
  const int64_t d = 7;
  const Scales s = SomeScales(d, 2);
  const double total = s.stddev * s.stddev + s.sigma * s.sigma;
  absl::StatusOr<Model> model = Model::Create(ResidualDenoiser(ZeroNetwork, s), {d}, s.sigma);
  ASSERT_TRUE(model.ok()) << model.status();
  for (const double scale : {0.1, 1.0, 100.0}) {
    const Tensor y = NormalTensor({50, d}, 0.5, scale, 5);
    const std::vector<float> x_hat = XHatOf(*model, Values(y)), phi = EnergyOf(*model, Values(y));
    for (int64_t i = 0; i < 50; ++i) {
      double squared = 0;
      for (int64_t j = 0; j < d; ++j) {
        const double centred = y.at(i * d + j) - s.mean.at(j);
        squared += centred * centred;
        const double expected = s.mean.at(j) + s.stddev * s.stddev / total * centred;
        EXPECT_NEAR(x_hat[static_cast<size_t>(i * d + j)], expected, 4e-7 * (1 + std::abs(y.at(i * d + j))));
      }
      EXPECT_NEAR(phi[static_cast<size_t>(i)], squared / (2 * total), 1e-6 * squared / total);
    }
  }
}

// Half the squared distance of y from ν(y) = μ + (1 − σ/√(s² + σ²))(y − μ) + σ n(z), over σ²: the formula of the
// header, by other means.
TEST(ResidualDenoiser, IsTheSquaredDistanceToTheDenoised) {
  const int64_t d = 5;
  const Scales s = SomeScales(d, 0);
  const auto network = [](Var z, Params& p) { return Mlp(p, z, {9, d}); };
  ParamStore store(3);
  Tape tape(DType::kF64);
  Params p(&tape, &store), q(&tape, &store);
  const Var y = tape.Input("y", {6, d});
  const Var phi = RecordEnergy(ResidualDenoiser(network, s), y, p);

  const double root = std::sqrt(s.stddev * s.stddev + s.sigma * s.sigma);
  Tensor mean = s.mean.Cast(DType::kF64);
  const Var centred = y - tape.Constant(mean);
  Params scope = q.Scope("nu");
  const Var n = network(centred * (1 / root), scope);
  const Var nu = tape.Constant(mean) + (1 - s.sigma / root) * centred + s.sigma * n;
  const Var distance = squared_norm(y - nu, {1}) * (0.5 / (s.sigma * s.sigma));

  std::vector<Var> inputs = BoundVars(p);
  std::vector<Tensor> values;
  for (const Tensor* t : BoundTensors(p, store)) values.push_back(*t);
  for (const Params::Bound& b : q.bound()) {
    inputs.push_back(b.var);
    values.push_back(store[b.index].value);
  }
  inputs.push_back(y);
  values.push_back(autodiff::Uniform({6, d}, -1, 2, 8));
  const auto results = autodiff::Evaluate({phi, distance}, inputs, values);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE(autodiff::AllNear((*results)[0], (*results)[1], 1e-12));
}

TEST(ResidualDenoiser, WithinTheRadiusTheBoundChangesNothing) {
  const int64_t d = 24;
  absl::StatusOr<Model> bounded = Model::Create(RandomDenoiser(SomeScales(d, 2), 40), {d}, 0.4, 1);
  absl::StatusOr<Model> unbounded = Model::Create(RandomDenoiser(SomeScales(d, 0), 40), {d}, 0.4, 1);
  ASSERT_TRUE(bounded.ok() && unbounded.ok());
  std::vector<float> inside, outside;
  const Scales s = SomeScales(d, 2);
  for (int64_t i = 0; i < 200; ++i) {
    // ‖z‖/√d from 0.01 to 4 in steps of 0.02.
    const double distance = 0.01 + 0.02 * static_cast<double>(i);
    const Tensor y = PointAt(s, distance, static_cast<uint64_t>(i));
    std::vector<float>& side = distance < 2 ? inside : outside;
    for (double v : autodiff::Numbers(y)) side.push_back(static_cast<float>(v));
  }
  ASSERT_EQ(inside.size(), outside.size());
  EXPECT_TRUE(SameBits(EnergyOf(*bounded, inside), EnergyOf(*unbounded, inside)));
  EXPECT_TRUE(SameBits(GradientOf(*bounded, inside), GradientOf(*unbounded, inside)));
  EXPECT_TRUE(SameBits(XHatOf(*bounded, inside), XHatOf(*unbounded, inside)));
  EXPECT_FALSE(SameBits(GradientOf(*bounded, outside), GradientOf(*unbounded, outside)));
}

// An energy recorded in float64 for points y [rows, d], its gradient, and what is needed to run it.
class Doubles {
 public:
  Doubles(const Energy& energy, int64_t rows, int64_t d) : store_(7) {
    Params p(&tape_, &store_);
    y_ = tape_.Input("y", {rows, d});
    phi_ = RecordEnergy(energy, y_, p);
    gradient_ = autodiff::grad(phi_, y_);
    inputs_ = BoundVars(p);
    for (const Tensor* t : BoundTensors(p, store_)) values_.push_back(*t);
    inputs_.push_back(y_);
  }

  Var y() const { return y_; }
  Var phi() const { return phi_; }
  Var gradient() const { return gradient_; }
  std::vector<double> At(Var what, const Tensor& y) {
    std::vector<Tensor> values = values_;
    values.push_back(y);
    return autodiff::Numbers(autodiff::Value(what, inputs_, values));
  }

 private:
  Tape tape_{DType::kF64};
  ParamStore store_;
  Var y_, phi_, gradient_;
  std::vector<Var> inputs_;
  std::vector<Tensor> values_;
};

// Inside a radius of 1, near its edge on both sides, and far outside.
constexpr double kDistances[] = {0.3, 0.9, 1.1, 3, 50};

TEST(ResidualDenoiser, GradientsAreThoseOfFiniteDifferences) {
  const int64_t d = 5;
  const Scales s = SomeScales(d, 1);
  Doubles energy(RandomDenoiser(s, 8), 1, d);
  for (const double distance : kDistances) {
    const Tensor y = PointAt(s, distance, 3);
    const std::vector<double> gradient = energy.At(energy.gradient(), y);
    for (int64_t j = 0; j < d; ++j) {
      const double h = 1e-5 * (1 + distance);
      Tensor above = y, below = y;
      above.set(j, y.at(j) + h);
      below.set(j, y.at(j) - h);
      const double difference = (energy.At(energy.phi(), above)[0] - energy.At(energy.phi(), below)[0]) / (2 * h);
      EXPECT_NEAR(gradient[static_cast<size_t>(j)], difference, 1e-7 * (1 + std::abs(difference))) << distance;
    }
  }
}

// The Jacobian of the score is a Hessian, so it is symmetric (METHOD.md §8, item 10): the learned field is a gradient,
// which that of a plain denoiser y − ν(y) is not.
TEST(ResidualDenoiser, TheJacobianOfTheScoreIsSymmetric) {
  const int64_t d = 5;
  const Scales s = SomeScales(d, 1);
  Doubles energy(RandomDenoiser(s, 8), 1, d);
  std::vector<Var> rows;
  for (int64_t i = 0; i < d; ++i) {
    rows.push_back(autodiff::grad(autodiff::slice(energy.gradient(), 1, i, i + 1), energy.y()));
  }
  const Var hessian = autodiff::concat(rows, 0);
  for (const double distance : kDistances) {
    const Tensor y = PointAt(s, distance, 3);
    const std::vector<double> h = energy.At(hessian, y);
    double asymmetry = 0, off_diagonal = 0, largest = 0;
    const size_t n = static_cast<size_t>(d);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        largest = std::max(largest, std::abs(h[i * n + j]));
        if (i == j) continue;
        asymmetry = std::max(asymmetry, std::abs(h[i * n + j] - h[j * n + i]));
        off_diagonal = std::max(off_diagonal, std::abs(h[i * n + j]));
      }
    }
    EXPECT_LT(asymmetry, 1e-13 * largest) << distance;
    EXPECT_GT(off_diagonal, 1e-4 * largest) << distance;
    // And it is the derivative of the gradient.
    for (int64_t j = 0; j < d; ++j) {
      const double step = 1e-5 * (1 + distance);
      Tensor above = y, below = y;
      above.set(j, y.at(j) + step);
      below.set(j, y.at(j) - step);
      const std::vector<double> up = energy.At(energy.gradient(), above), down = energy.At(energy.gradient(), below);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(h[i * n + static_cast<size_t>(j)], (up[i] - down[i]) / (2 * step), 1e-6 * (1 + largest))
            << distance;
      }
    }
  }
}

TEST(ResidualDenoiser, WantsANetworkFromPointsToPoints) {
  const auto error = [](const Network& network, const autodiff::Shape& item_shape) {
    const absl::StatusOr<Model> model = Model::Create(ResidualDenoiser(network, SomeScales(5, 2)), item_shape, 0.4);
    EXPECT_FALSE(model.ok());
    return std::string(model.status().message());
  };
  EXPECT_THAT(error([](Var z, Params& p) { return Mlp(p, z, {4}); }, {5}),
              AllOf(HasSubstr("[2, 5]"), HasSubstr("[2, 4]")));
  // These would broadcast.
  EXPECT_THAT(error([](Var z, Params& p) { return Mlp(p, z, {1}); }, {5}),
              AllOf(HasSubstr("[2, 5]"), HasSubstr("[2, 1]")));
  EXPECT_THAT(error([](Var z, Params&) { return sum(z, {0}); }, {5}), AllOf(HasSubstr("[2, 5]"), HasSubstr("[5]")));
  EXPECT_THAT(error(ZeroNetwork, {6}), AllOf(HasSubstr("[2, 6]"), HasSubstr("[5]")));
  EXPECT_THAT(error(ZeroNetwork, {1}), AllOf(HasSubstr("[2, 1]"), HasSubstr("[5]")));
}

// ‖z‖/√d of each chain, the worst of them.
double Farthest(const Tensor& y, const Scales& s) {
  const int64_t d = y.shape()[1];
  double farthest = 0;
  for (int64_t i = 0; i < y.shape()[0]; ++i) {
    double squared = 0;
    for (int64_t j = 0; j < d; ++j) squared += std::pow(y.at(i * d + j) - s.mean.at(j), 2);
    farthest = std::max(farthest, squared / static_cast<double>(d) / (s.stddev * s.stddev + s.sigma * s.sigma));
  }
  return std::sqrt(farthest);
}

// One row per kind of start: far out in every direction, constant pictures, uniform noise.
Tensor Starts(int64_t d) {
  std::vector<float> all;
  const Tensor direction = NormalTensor({d}, 0, 1, 11), uniform = autodiff::Uniform({d}, 0, 1, 12);
  for (const float far : {1e3f, 1e6f, 1e15f}) {
    for (int64_t j = 0; j < d; ++j) all.push_back(far * static_cast<float>(direction.at(j)));
    for (int64_t j = 0; j < d; ++j) all.push_back(j == 0 ? far : 0);
    for (int64_t j = 0; j < d; ++j) all.push_back(-far);
  }
  for (const float constant : {0.0f, 0.5f, 1.0f, 255.0f}) all.insert(all.end(), static_cast<size_t>(d), constant);
  for (int64_t j = 0; j < d; ++j) all.push_back(static_cast<float>(uniform.at(j)));
  return Tensor::From<float>({static_cast<int64_t>(all.size()) / d, d}, all);
}

// δ = σ/2 takes a far point home by the factor 1 − δ²/(s² + σ²) = 0.84 per iteration: 1e15 is 200 iterations away.
TEST(ResidualDenoiser, AWalkComesBackFromAnywhere) {
  const int64_t d = 12;
  const Scales s = SomeScales(d, 2);
  for (const uint64_t seed : {1u, 2u, 3u}) {
    absl::StatusOr<Model> model = Model::Create(RandomDenoiser(s, 32), {d}, s.sigma, seed);
    ASSERT_TRUE(model.ok()) << model.status();
    absl::StatusOr<Walk> walk = Walk::Create(*model, Starts(d), {.seed = seed});
    ASSERT_TRUE(walk.ok()) << walk.status();
    for (int i = 0; i < 4; ++i) {
      const absl::Status status = walk->Run(300);
      ASSERT_TRUE(status.ok()) << status;
      // The energy is ½‖z‖² but for a network that saw at most ‖z‖ = 2√d, so the chains stay around there.
      EXPECT_LT(Farthest(walk->y(), s), 2 * s.radius);
    }
  }
}

// Not even when the network's layers blow up what they see (a walk that is too coarse for such an energy does not
// sample it, but it stays finite).
TEST(ResidualDenoiser, AWalkStaysFiniteWithAWildNetwork) {
  const int64_t d = 12;
  const Scales s = SomeScales(d, 2);
  const Energy wild = ResidualDenoiser(
      [](Var z, Params& p) {
        return Mlp(p, z, {32, 32, d}, {.weight_init = autodiff::Normal(1), .last_weight_init = autodiff::Normal(1)});
      },
      s);
  absl::StatusOr<Model> model = Model::Create(wild, {d}, s.sigma, 1);
  ASSERT_TRUE(model.ok()) << model.status();
  absl::StatusOr<Walk> walk = Walk::Create(*model, Starts(d), {});
  ASSERT_TRUE(walk.ok()) << walk.status();
  for (int i = 0; i < 10; ++i) {
    const absl::Status status = walk->Run(100);
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_LT(Farthest(walk->y(), s), 1e6);
}

}  // namespace
}  // namespace neb
