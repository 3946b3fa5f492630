#include "neb/reference.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::Tensor;
using testing::AllOf;
using testing::HasSubstr;

TEST(NoModelLoss, IsTheVarianceOfTheNoise) {  // METHOD.md §8, item 1
  EXPECT_NEAR(NoModelLoss(0.15, 784), 17.64, 1e-9);
  EXPECT_NEAR(NoModelLoss(0.3, 784), 70.56, 1e-9);
  EXPECT_DOUBLE_EQ(NoModelLoss(0.5, 784), 196);
  EXPECT_DOUBLE_EQ(NoModelLoss(1, 784), 784);
}

LinearEstimator Fitted(const Tensor& x, double sigma, autodiff::ThreadPool* pool = nullptr) {
  absl::StatusOr<LinearEstimator> wiener = LinearEstimator::Fit(x, sigma, pool);
  EXPECT_TRUE(wiener.ok()) << wiener.status();
  return *std::move(wiener);
}

double LossOf(const LinearEstimator& wiener, const Tensor& x, autodiff::ThreadPool* pool = nullptr) {
  const absl::StatusOr<double> loss = wiener.Loss(x, pool);
  EXPECT_TRUE(loss.ok()) << loss.status();
  return *loss;
}

// Two coordinates with sample covariance diag(4, 1): tr(Σ) − tr(Σ(Σ + σ²I)⁻¹Σ) = Σ λσ²/(λ + σ²).
TEST(LinearEstimator, OnItsOwnDataHasTheLossOfTheFormula) {
  const Tensor x = Tensor::From<float>({4, 2}, {5, 1, 1, 1, 3, 2, 3, 0});  // means 3 and 1
  // Deviations (2, 0), (−2, 0), (0, 1), (0, −1): covariance diag(2, ½).
  for (const double sigma : {0.1, 1.0, 3.0}) {
    const double s = sigma * sigma;
    EXPECT_NEAR(LossOf(Fitted(x, sigma), x), 2 * s / (2 + s) + 0.5 * s / (0.5 + s), 1e-6);
  }
}

// On other data the loss is the mean of ‖B(x − μ)‖² + σ²‖A‖², B = I − A: here A = diag(2/(2 + σ²), ½/(½ + σ²)).
TEST(LinearEstimator, OnOtherDataCountsItsBias) {
  const Tensor x = Tensor::From<float>({4, 2}, {5, 1, 1, 1, 3, 2, 3, 0});
  const Tensor other = Tensor::From<float>({2, 2}, {10, 1, 3, 5});  // deviations (7, 0) and (0, 4)
  const double s = 0.49, a = 2 / (2 + s), b = 0.5 / (0.5 + s);
  const double bias = 0.5 * (std::pow((1 - a) * 7, 2) + std::pow((1 - b) * 4, 2));
  EXPECT_NEAR(LossOf(Fitted(x, 0.7), other), bias + s * (a * a + b * b), 1e-5);
}

// Rotated data: only the eigenvalues matter. x_j = u + 0.3v_j has 0.09 + d once and 0.09 otherwise; 40,000 samples know
// the larger, which decides, to 0.7 %, but the loss hardly depends on it.
TEST(LinearEstimator, IsExactForGaussianData) {
  const int64_t n = 40000, d = 5;
  Tensor x = NormalTensor({n, d}, 0, 0.3, 1);
  const Tensor u = NormalTensor({n}, 0, 1, 2);
  for (int64_t i = 0; i < n * d; ++i) x.set(i, x.at(i) + u.at(i / d));
  for (const double sigma : {0.2, 0.5, 1.5}) {
    const auto cost = [&](double lambda) { return lambda * sigma * sigma / (lambda + sigma * sigma); };
    const double mmse = cost(0.09 + d) + (d - 1) * cost(0.09);
    EXPECT_NEAR(LossOf(Fitted(x, sigma), x), mmse, 0.01 * mmse);
  }
}

// More rows than one block of the covariance, and a number that fills none.
TEST(LinearEstimator, DoesNotDependOnThreads) {
  const Tensor x = NormalTensor({1300, 70}, 0.5, 1, 1), other = NormalTensor({700, 70}, 0.5, 1, 2);
  const double loss = LossOf(Fitted(x, 0.5), other);
  for (const int threads : {1, 2, 3}) {
    autodiff::ThreadPool pool(threads);
    EXPECT_EQ(LossOf(Fitted(x, 0.5, &pool), other, &pool), loss) << threads;
  }
}

TEST(LinearEstimator, OfOneSampleIsThatSample) {
  const Tensor x = Tensor::From<float>({1, 3}, {1, 2, 3});
  EXPECT_NEAR(LossOf(Fitted(x, 0.5), x), 0, 1e-12);
}

// The loss is what it says: an average over noise of ‖x − x̂(y)‖² with x̂ = μ + A(y − μ), in two dimensions by hand.
TEST(LinearEstimator, TheNoiseIsAveragedExactly) {
  const Tensor x = Tensor::From<float>({4, 2}, {5, 1, 1, 1, 3, 2, 3, 0});
  const double sigma = 0.8, a[] = {2 / (2 + sigma * sigma), 0.5 / (0.5 + sigma * sigma)}, mean[] = {3, 1};
  const int64_t n = 200000;
  const Tensor noise = NormalTensor({n, 2}, 0, sigma, 3);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      const double clean = x.at(2 * (i % 4) + j), y = clean + noise.at(2 * i + j);
      const double x_hat = mean[j] + a[j] * (y - mean[j]);
      total += (clean - x_hat) * (clean - x_hat);
    }
  }
  EXPECT_NEAR(total / static_cast<double>(n), LossOf(Fitted(x, sigma), x), 0.01);
}

TEST(LinearEstimator, Errors) {
  const auto error = [](const Tensor& x, double sigma) {
    const absl::StatusOr<LinearEstimator> wiener = LinearEstimator::Fit(x, sigma);
    EXPECT_EQ(wiener.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(wiener.status().message());
  };
  EXPECT_THAT(error(Tensor({5}), 1), HasSubstr("[5]"));
  EXPECT_THAT(error(Tensor({0, 5}), 1), HasSubstr("[0, 5]"));
  EXPECT_THAT(error(Tensor({5, 0}), 1), HasSubstr("[5, 0]"));
  EXPECT_THAT(error(Tensor({5, 2}, autodiff::DType::kF64), 1), HasSubstr("f64"));
  EXPECT_THAT(error(Tensor({1, 5000}), 1), AllOf(HasSubstr("4096"), HasSubstr("5000")));
  for (const double sigma : {0.0, -1.0, std::nan("")}) EXPECT_THAT(error(Tensor({5, 2}), sigma), HasSubstr("sigma"));
  const LinearEstimator wiener = Fitted(NormalTensor({5, 2}, 0, 1, 1), 1);
  EXPECT_THAT(std::string(wiener.Loss(Tensor({5, 3})).status().message()),
              AllOf(HasSubstr("[n, 2]"), HasSubstr("[5, 3]")));
  EXPECT_FALSE(wiener.Loss(Tensor({0, 2})).ok());
  EXPECT_FALSE(wiener.Loss(Tensor({5, 2}, autodiff::DType::kF64)).ok());
}

}  // namespace
}  // namespace neb
