#include "neb/landscape.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/residual_denoiser.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::ThreadPool;
using testing::HasSubstr;

constexpr int64_t kDims = 24;

// A random network: nothing about it is symmetric by construction.
Model RandomModel() {
  const Scales scales = {.mean = NormalTensor({kDims}, 0.5, 0.2, 4), .stddev = 0.3, .sigma = 0.4, .radius = 3};
  absl::StatusOr<Model> model = Model::Create(RandomDenoiser(scales, 40), {kDims}, 0.4, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

Landscape Of(Model& model, ThreadPool* pool = nullptr) {
  absl::StatusOr<Landscape> landscape = Landscape::Create(model, pool);
  EXPECT_TRUE(landscape.ok()) << landscape.status();
  return *std::move(landscape);
}

std::vector<double> Normals(int64_t n, uint64_t seed) {
  std::vector<double> v(static_cast<size_t>(n));
  autodiff::FillNormal({.seed = seed, .stream = autodiff::kSynthetic}, 0, v);
  return v;
}

std::vector<double> Gradient(Landscape& landscape, const std::vector<double>& y) {
  std::vector<double> energy(y.size() / kDims), gradient(y.size());
  EXPECT_TRUE(landscape.Evaluate(y, energy, gradient).ok());
  return gradient;
}

std::vector<double> HessianTimes(Landscape& landscape, const std::vector<double>& y, const std::vector<double>& v) {
  std::vector<double> product(y.size());
  EXPECT_TRUE(landscape.HessianTimes(y, v, product).ok());
  return product;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b, size_t row) {
  double sum = 0;
  for (size_t j = row * kDims; j < (row + 1) * kDims; ++j) sum += a[j] * b[j];
  return sum;
}

TEST(Landscape, IsTheModelItself) {
  Model model = RandomModel();
  Landscape landscape = Of(model);
  const Tensor y = NormalTensor({30, kDims}, 0.5, 0.5, 2);
  const std::vector<double> wide(y.data<float>().begin(), y.data<float>().end());
  std::vector<double> energy(30), gradient(wide.size());
  ASSERT_TRUE(landscape.Evaluate(wide, energy, gradient).ok());
  const std::vector<float> narrow_energy = EnergyOf(model, Values(y)), narrow = GradientOf(model, Values(y));
  for (size_t i = 0; i < 30; ++i) EXPECT_NEAR(energy[i], narrow_energy[i], 1e-5 * std::abs(energy[i]));
  for (size_t i = 0; i < wide.size(); ++i) EXPECT_NEAR(gradient[i], narrow[i], 1e-4);
}

// ∂(∇φ)/∂y is symmetric (METHOD.md §8, item 10): ⟨u, Hv⟩ = ⟨v, Hu⟩ to float64's rounding.
TEST(Landscape, HessianIsSymmetric) {
  Model model = RandomModel();
  Landscape landscape = Of(model);
  const size_t n = 40;
  const std::vector<double> y = Normals(n * kDims, 1), u = Normals(n * kDims, 2), v = Normals(n * kDims, 3);
  const std::vector<double> hv = HessianTimes(landscape, y, v), hu = HessianTimes(landscape, y, u);
  for (size_t i = 0; i < n; ++i) {
    EXPECT_NEAR(Dot(u, hv, i), Dot(v, hu, i), 1e-12 * std::sqrt(Dot(u, u, i) * Dot(hv, hv, i))) << i;
    EXPECT_GT(std::abs(Dot(u, hv, i)), 1e-6) << i;
  }
}

// (∇φ(y + hv) − ∇φ(y − hv)) / 2h = Hv + O(h²).
TEST(Landscape, HessianIsTheDerivativeOfTheGradient) {
  Model model = RandomModel();
  Landscape landscape = Of(model);
  const std::vector<double> y = Normals(5 * kDims, 1), v = Normals(5 * kDims, 3);
  const double h = 1e-5;
  std::vector<double> ahead = y, behind = y;
  for (size_t i = 0; i < y.size(); ++i) {
    ahead[i] += h * v[i];
    behind[i] -= h * v[i];
  }
  const std::vector<double> after = Gradient(landscape, ahead), before = Gradient(landscape, behind);
  const std::vector<double> product = HessianTimes(landscape, y, v);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(product[i], (after[i] - before[i]) / (2 * h), 1e-6);
}

TEST(Landscape, RowsStandAlone) {
  Model model = RandomModel();
  ThreadPool pool(3);
  Landscape landscape = Of(model), threaded = Of(model, &pool);
  const int64_t n = 300;
  const std::vector<double> y = Normals(n * kDims, 1), v = Normals(n * kDims, 2);
  const std::vector<double> gradient = Gradient(landscape, y), product = HessianTimes(landscape, y, v);
  EXPECT_EQ(Gradient(threaded, y), gradient);
  EXPECT_EQ(HessianTimes(threaded, y, v), product);
  for (const int64_t few : {1, 3, 9, 130}) {
    const auto end = static_cast<std::ptrdiff_t>(few * kDims);
    const std::vector<double> part(y.begin(), y.begin() + end), direction(v.begin(), v.begin() + end);
    EXPECT_EQ(Gradient(landscape, part), std::vector<double>(gradient.begin(), gradient.begin() + end)) << few;
    EXPECT_EQ(HessianTimes(landscape, part, direction), std::vector<double>(product.begin(), product.begin() + end));
  }
}

// It is of the parameters as they were: training goes on without it.
TEST(Landscape, KeepsItsParameters) {
  Model model = RandomModel();
  Landscape landscape = Of(model);
  const std::vector<double> y = Normals(kDims, 1), before = Gradient(landscape, y);
  const int bias = model.params().Find("nu/0/b");
  ASSERT_GE(bias, 0);
  model.params()[bias].value.set(0, 5);
  EXPECT_EQ(Gradient(landscape, y), before);
  Landscape later = Of(model);
  EXPECT_NE(Gradient(later, y), before);
}

TEST(LandscapeMistake, Sizes) {
  Model model = RandomModel();
  Landscape landscape = Of(model);
  std::vector<double> y(2 * kDims), energy(3), product(kDims);
  EXPECT_THAT(std::string(landscape.Evaluate(y, energy, y).message()), HasSubstr("energy of 3"));
  EXPECT_THAT(std::string(landscape.HessianTimes(y, y, product).message()), HasSubstr("product of 24"));
  EXPECT_TRUE(landscape.Evaluate({}, {}, {}).ok());
}

}  // namespace
}  // namespace neb
