#include "neb/kernel_density.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using testing::HasSubstr;

KernelDensity Created(const Tensor& x, double sigma) {
  absl::StatusOr<KernelDensity> kde = KernelDensity::Create(x, sigma);
  EXPECT_TRUE(kde.ok()) << kde.status();
  return *std::move(kde);
}

// The same density as a mixture of points, by another route.
SmoothedMixture AsMixture(const Tensor& x, double sigma) {
  std::vector<GaussianComponent> components;
  const int64_t d = x.shape()[1];
  for (int64_t i = 0; i < x.shape()[0]; ++i) {
    GaussianComponent c;
    for (int64_t k = 0; k < d; ++k) c.mean.push_back(x.at(i * d + k));
    components.push_back(c);
  }
  return *SmoothedMixture::Create(components, sigma);
}

void ExpectClose(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.num_elements(); ++i) {
    ASSERT_NEAR(a.at(i), b.at(i), tolerance * (1 + std::abs(b.at(i)))) << i;
  }
}

// One block of samples and several; few points and many; far from the origin.
TEST(KernelDensity, IsAMixtureOfPoints) {
  for (const int64_t n : {1, 5, 600, 1100}) {
    for (const double sigma : {0.1, 1.0}) {
      const Tensor x = NormalTensor({n, 6}, 50, 1, 1), y = NormalTensor({40, 6}, 50, 1.5, 2);
      const Smoothed at = *Created(x, sigma).Evaluate(y), exact = *AsMixture(x, sigma).Evaluate(y);
      ExpectClose(at.energy, exact.energy, 1e-10);
      ExpectClose(at.gradient, exact.gradient, 1e-9);
      ExpectClose(at.x_hat, exact.x_hat, 1e-10);
    }
  }
}

// Two samples at 0 and 2: x̂ = 2 sigmoid((2y − 2)/σ²).
TEST(KernelDensity, OfTwoSamplesIsASigmoid) {
  const KernelDensity kde = Created(Tensor::From<float>({2, 1}, {0, 2}), 0.8);
  const Tensor y = Tensor::From<double>({4, 1}, {-1, 0.7, 1, 3});
  const Smoothed at = *kde.Evaluate(y);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(at.x_hat.at(i), 2 / (1 + std::exp(-(2 * y.at(i) - 2) / 0.64)), 1e-14);
    EXPECT_NEAR(at.gradient.at(i), (y.at(i) - at.x_hat.at(i)) / 0.64, 1e-13);
  }
}

TEST(KernelDensity, FarAwayItIsTheNearestSample) {
  const KernelDensity kde = Created(Tensor::From<float>({3, 1}, {0, 1, -2}), 1e-3);
  const Smoothed at = *kde.Evaluate(Tensor::From<double>({3, 1}, {1e5, -1e5, 0.4}));
  EXPECT_NEAR(at.x_hat.at(0), 1, 1e-9);
  EXPECT_NEAR(at.x_hat.at(1), -2, 1e-9);
  EXPECT_NEAR(at.x_hat.at(2), 0, 1e-12);
  EXPECT_TRUE(std::isfinite(at.energy.at(0)));
}

TEST(KernelDensity, DependsOnlyOnThePoint) {
  const Tensor x = NormalTensor({700, 30}, 0, 1, 1), y = NormalTensor({1500, 30}, 0, 1, 2);
  const KernelDensity kde = Created(x, 0.5);
  const Smoothed all = *kde.Evaluate(y);
  for (const int threads : {2, 3}) {
    autodiff::ThreadPool pool(threads);
    const Smoothed at = *kde.Evaluate(y, &pool);
    for (int64_t i = 0; i < y.num_elements(); ++i) ASSERT_EQ(at.x_hat.at(i), all.x_hat.at(i));
    for (int64_t i = 0; i < 1500; ++i) ASSERT_EQ(at.energy.at(i), all.energy.at(i));
  }
  for (const int64_t row : {0, 1030, 1499}) {
    Tensor one({1, 30});
    for (int64_t k = 0; k < 30; ++k) one.set(k, y.at(row * 30 + k));
    const Smoothed at = *kde.Evaluate(one);
    EXPECT_EQ(at.energy.at(0), all.energy.at(row));
    for (int64_t k = 0; k < 30; ++k) ASSERT_EQ(at.gradient.at(k), all.gradient.at(row * 30 + k));
  }
}

// Of many samples of N(0, 1), the estimate is nearly that of N(0, 1), whose loss is dσ²/(1 + σ²): on fresh samples a
// little more.
TEST(KernelDensity, OfManySamplesIsNearlyTheTruth) {
  const KernelDensity kde = Created(NormalTensor({5000, 1}, 0, 1, 1), 0.6);
  const LossEstimate loss = *kde.Loss(NormalTensor({2000, 1}, 0, 1, 2), 3);
  const double mmse = 0.36 / 1.36;
  EXPECT_NEAR(loss.mean, mmse, 4 * loss.standard_error);
  EXPECT_LT(loss.standard_error, 0.04 * mmse);
}

TEST(KernelDensity, Errors) {
  const auto error = [](const Tensor& x, double sigma) {
    const absl::StatusOr<KernelDensity> kde = KernelDensity::Create(x, sigma);
    EXPECT_EQ(kde.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(kde.status().message());
  };
  EXPECT_THAT(error(Tensor({0, 3}), 1), HasSubstr("[0, 3]"));
  EXPECT_THAT(error(Tensor({3}), 1), HasSubstr("[3]"));
  EXPECT_THAT(error(Tensor({3, 3}, autodiff::DType::kF64), 1), HasSubstr("f64"));
  EXPECT_THAT(error(Tensor({3, 3}), 0), HasSubstr("sigma"));
  EXPECT_THAT(error(Tensor::From<float>({2, 1}, {0, std::nanf("")}), 1), HasSubstr("sample 1"));
  const KernelDensity kde = Created(Tensor({3, 2}), 1);
  EXPECT_FALSE(kde.Evaluate(Tensor({3, 3})).ok());
  EXPECT_FALSE(kde.Loss(Tensor({1, 2}), 1).ok());
  EXPECT_EQ(kde.Evaluate(Tensor({0, 2}))->energy.num_elements(), 0);
}

}  // namespace
}  // namespace neb
