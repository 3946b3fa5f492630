#include "neb/stability.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/known_energies.h"
#include "neb/nebula.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::ThreadPool;
using testing::HasSubstr;

Model Created(const Energy& energy, int64_t d, double sigma) {
  absl::StatusOr<Model> model = Model::Create(energy, {d}, sigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

std::vector<Spectrum> Spectra(Model& model, const Tensor& y, const LanczosOptions& options = {}) {
  absl::StatusOr<std::vector<Spectrum>> spectra = ExtremeCurvatures(model, y, options);
  EXPECT_TRUE(spectra.ok()) << spectra.status();
  return *std::move(spectra);
}

// φ = ½ yᵀ R Λ Rᵀ y with R = I − 2uuᵀ, ‖u‖ = 1, a reflection: the eigenvalues are Λ's, the directions R's columns.
struct Reflected {
  Tensor u, lambda;
  Var operator()(Var y, Params& p) const {
    const Var along = p.Fixed("u", u);
    const Var turned = y - 2 * sum(y * along, {1}, true) * along;
    return 0.5 * sum(p.Fixed("lambda", lambda) * square(turned), {1});
  }
};
Reflected WithSpectrum(const Tensor& lambda) {
  Tensor u = NormalTensor(lambda.shape(), 0, 1, 3);
  double squared = 0;
  for (float v : u.data<float>()) squared += static_cast<double>(v) * v;
  for (float& v : u.data<float>()) v = static_cast<float>(v / std::sqrt(squared));
  return {u, lambda};
}

TEST(ExtremeCurvatures, OfAQuadratic) {
  const int64_t d = 300;
  for (const double lowest : {-0.7, 0.001, 0.2}) {
    Tensor lambda({d});
    for (int64_t j = 0; j < d; ++j) lambda.set(j, 0.3 + 0.7 * static_cast<double>(j) / d);
    lambda.set(17, lowest);
    lambda.set(18, 1.5);
    const Reflected energy = WithSpectrum(lambda);
    Model model = Created(energy, d, 1);
    for (const Spectrum& s : Spectra(model, NormalTensor({3, d}, 0, 1, 1))) {
      EXPECT_LE(s.error, 1e-4);
      // u is of unit length to float32's rounding, 6e-8 per element.
      EXPECT_NEAR(s.smallest, lowest, s.error + 1e-6);
      EXPECT_NEAR(s.largest, 1.5, s.error + 1e-6);
      EXPECT_LT(s.products, 200);
      // The direction is e_17 − 2 u_17 u. Its angle is the residual over the gap to the rest of the spectrum.
      double overlap = 0;
      for (int64_t j = 0; j < d; ++j) {
        overlap += s.direction[static_cast<size_t>(j)] * ((j == 17) - 2 * energy.u.at(17) * energy.u.at(j));
      }
      EXPECT_NEAR(std::abs(overlap), 1, 0.01);
    }
  }
}

// In few dimensions the Krylov space is the whole space, and the result exact.
TEST(ExtremeCurvatures, ExhaustsSmallSpaces) {
  const Tensor lambda = Tensor::From<float>({5}, {2, -3, 0.5, 0.25, 7});
  Model model = Created(WithSpectrum(lambda), 5, 1);
  const Spectrum s = Spectra(model, Tensor({1, 5}), {.tolerance = 1e-13})[0];
  EXPECT_NEAR(s.smallest, -3, 1e-5);  // float32's parameters
  EXPECT_NEAR(s.largest, 7, 1e-5);
  EXPECT_LE(s.products, 5);
  // One eigenvalue, one product: the isotropic Gaussian, and φ = 0.
  Model round = Created(Gaussian(4), 50, 1), flat = Created(NoEnergy(), 50, 1);
  const Spectrum of_round = Spectra(round, Tensor({1, 50}))[0], of_flat = Spectra(flat, Tensor({1, 50}))[0];
  EXPECT_NEAR(of_round.smallest, 0.25, 1e-12);
  EXPECT_NEAR(of_round.largest, 0.25, 1e-12);
  EXPECT_EQ(of_round.products, 1);
  EXPECT_EQ(of_flat.smallest, 0);
  EXPECT_EQ(of_flat.largest, 0);
}

// Two Gaussians at ±a e₁, smoothed to variance v: along e₁, ∇²φ = (1 − a²/v)/v in the middle, where the posterior has
// variance a²; across, 1/v. With a² > v the middle is a saddle between two attractors; with a² < v the only attractor.
TEST(ExtremeCurvatures, TellSaddlesFromAttractors) {
  const double sigma = 0.5, v = sigma * sigma;
  for (const double a : {0.45, 0.55, 1.0}) {
    Tensor sites({2, 6});
    sites.set(0, a);
    sites.set(6, -a);
    Model model = Created(KernelDensityEnergy(sites, sigma), 6, sigma);
    const Spectrum middle = Spectra(model, Tensor({1, 6}))[0];
    // The energy is written with a as a float.
    EXPECT_NEAR(middle.smallest, (1 - a * a / v) / v, 1e-5) << a;
    EXPECT_NEAR(middle.largest, 1 / v, 1e-5);
    EXPECT_EQ(middle.smallest > 0, a < sigma);
    // The middle's gradient is 0, so a descent from there stays; from beside it, it ends at an attractor.
    const absl::StatusOr<Descents> ends =
        Descend(model, Tensor::From<float>({2, 6}, {0, 1, 0, 0, 0, 0, 0.01f, 1, 0, 0, 0, 0}), {});
    ASSERT_TRUE(ends.ok()) << ends.status();
    const std::vector<Spectrum> s = Spectra(model, ends->y);
    EXPECT_EQ(s[0].smallest > 0, a < sigma) << a;
    EXPECT_GT(s[1].smallest, s[1].error);
    EXPECT_LE(s[1].largest, 1 / v + 1e-5);
  }
}

TEST(ExtremeCurvatures, RowsStandAlone) {
  const int64_t d = 24;
  Model model = Created(
      RandomDenoiser({.mean = NormalTensor({d}, 0.5, 0.2, 4), .stddev = 0.3, .sigma = 0.4, .radius = 3}, 40), d, 0.4);
  const Tensor y = NormalTensor({40, d}, 0.5, 0.5, 2);
  ThreadPool pool(3);
  const std::vector<Spectrum> all = Spectra(model, y), threaded = Spectra(model, y, {.pool = &pool});
  const std::vector<Spectrum> few = Spectra(model, Tensor::From<float>({3, d}, y.data<float>().subspan(0, 3 * 24)));
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(threaded[i].smallest, all[i].smallest);
    EXPECT_TRUE(SameBits(threaded[i].direction, all[i].direction));
    EXPECT_LT(all[i].smallest, all[i].largest);
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(few[i].smallest, all[i].smallest);
}

TEST(ExtremeCurvaturesMistake, PointsAndOptions) {
  Model model = Created(Gaussian(1), 3, 0.5);
  const auto error = [&model](const Tensor& y, const LanczosOptions& options) {
    const auto spectra = ExtremeCurvatures(model, y, options);
    EXPECT_EQ(spectra.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(spectra.status().message());
  };
  EXPECT_THAT(error(Tensor({2, 4}), {}), HasSubstr("[2, 4]"));
  EXPECT_THAT(error(Tensor({2, 3}), {.tolerance = -1}), HasSubstr("tolerance"));
  EXPECT_THAT(error(Tensor({2, 3}), {.max_products = 0}), HasSubstr("max_products"));
  EXPECT_EQ(Spectra(model, Tensor({0, 3})).size(), 0);
  Model kinked = Created([](Var y, Params&) { return sum(log(y), {1}); }, 1, 0.5);
  EXPECT_THAT(std::string(ExtremeCurvatures(kinked, Tensor({1, 1}), {}).status().message()), HasSubstr("point 0"));
}

}  // namespace
}  // namespace neb
