#include "neb/spheres.h"

#include <algorithm>
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

Chi Measured(const Tensor& x, autodiff::ThreadPool* pool = nullptr) {
  absl::StatusOr<Chi> chi = Chi::Measure(x, pool);
  EXPECT_TRUE(chi.ok()) << chi.status();
  return *std::move(chi);
}

// All χ in increasing order.
std::vector<double> BruteForce(const Tensor& x) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  std::vector<double> all;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j) {
      double squared = 0;
      for (int64_t k = 0; k < d; ++k) squared += std::pow(x.at(i * d + k) - x.at(j * d + k), 2);
      all.push_back(std::sqrt(squared / static_cast<double>(d)) / 2);
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

// As NumPy's default.
double QuantileOf(const std::vector<double>& sorted, double q) {
  const double rank = q * static_cast<double>(sorted.size() - 1), below = std::floor(rank);
  const size_t i = static_cast<size_t>(below), j = std::min(i + 1, sorted.size() - 1);
  return sorted[i] + (rank - below) * (sorted[j] - sorted[i]);
}

void ExpectTheSame(const Chi& chi, const std::vector<double>& all) {
  ASSERT_EQ(chi.pairs(), static_cast<int64_t>(all.size()));
  EXPECT_NEAR(chi.min(), all.front(), 1e-12 * all.front());
  EXPECT_NEAR(chi.max(), all.back(), 1e-12 * all.back());
  EXPECT_EQ(chi.max(), chi.sigma_c());
  double mean = 0;
  for (double v : all) mean += v / static_cast<double>(all.size());
  EXPECT_NEAR(chi.mean(), mean, 1e-6 * mean);
  for (const double q : {0.0, 0.001, 0.05, 0.3, 0.5, 0.95, 1.0}) {
    const double exact = QuantileOf(all, q);
    EXPECT_NEAR(chi.Quantile(q), exact, 1e-4 * exact) << q;
    // The share below is known but for the pairs in the same bin.
    const auto below = [&](double bound) {
      const auto count = std::lower_bound(all.begin(), all.end(), bound) - all.begin();
      return static_cast<double>(count) / static_cast<double>(all.size());
    };
    EXPECT_GE(chi.Overlapping(exact), below(exact * (1 - 1e-4)) - 1e-12) << q;
    EXPECT_LE(chi.Overlapping(exact), below(exact * (1 + 1e-4)) + 1e-12) << q;
  }
}

// One panel of points, several, and a number that fills none; χ over several powers of two.
TEST(Chi, AgreesWithBruteForce) {
  for (const int64_t n : {3, 64, 65, 300}) {
    for (const int64_t d : {1, 2, 50}) {
      SCOPED_TRACE(testing::Message() << n << " points in " << d << " dimensions");
      const Tensor x = NormalTensor({n, d}, 0.5, 1, static_cast<uint64_t>(n + d));
      ExpectTheSame(Measured(x), BruteForce(x));
    }
  }
}

// 3-4-5 triangle, d = 2: distances 3, 4, 5 over 2√2.
TEST(Chi, OfATriangle) {
  const Chi chi = Measured(Tensor::From<float>({3, 2}, {0, 4, 3, 0, 0, 0}));
  const double unit = 2 * std::sqrt(2.0);
  EXPECT_DOUBLE_EQ(chi.min(), 3 / unit);
  EXPECT_DOUBLE_EQ(chi.max(), 5 / unit);
  EXPECT_NEAR(chi.mean(), 4 / unit, 1e-7);
  EXPECT_NEAR(chi.Quantile(0.5), 4 / unit, 1e-4);
  EXPECT_EQ(chi.closest(), std::make_pair(int64_t{1}, int64_t{2}));
  EXPECT_EQ(chi.farthest(), std::make_pair(int64_t{0}, int64_t{1}));
  EXPECT_EQ(chi.Overlapping(2.9 / unit), 0);
  EXPECT_NEAR(chi.Overlapping(3.5 / unit), 1.0 / 3, 1e-12);
  EXPECT_NEAR(chi.Overlapping(4.5 / unit), 2.0 / 3, 1e-12);
  EXPECT_EQ(chi.Overlapping(5.1 / unit), 1);
}

TEST(Chi, OfTwoSamplesIsOneNumber) {
  const Chi chi = Measured(Tensor::From<float>({2, 1}, {1, 4}));
  EXPECT_EQ(chi.pairs(), 1);
  for (const double q : {0.0, 0.3, 1.0}) EXPECT_DOUBLE_EQ(chi.Quantile(q), 1.5);
  EXPECT_NEAR(chi.mean(), 1.5, 1e-7);
}

TEST(Chi, DuplicatesHaveDistanceZero) {
  // 70 points of which 0 and 69 are equal, far from the origin.
  Tensor x = NormalTensor({70, 30}, 1e4, 1, 5);
  for (int64_t k = 0; k < 30; ++k) x.set(69 * 30 + k, x.at(k));
  const Chi chi = Measured(x);
  EXPECT_EQ(chi.min(), 0);
  EXPECT_EQ(chi.closest(), std::make_pair(int64_t{0}, int64_t{69}));
  EXPECT_GT(chi.Quantile(0.01), 0.1);
  const Chi equal = Measured(Tensor::Full({100, 3}, 0.7));
  EXPECT_EQ(equal.max(), 0);
  EXPECT_EQ(equal.Quantile(0.5), 0);
  EXPECT_EQ(equal.closest(), std::make_pair(int64_t{0}, int64_t{1}));
}

// Of equally close pairs the first, also where tiles of 64 points come in another order than pairs do.
TEST(Chi, TiesGoToTheFirstPair) {
  Tensor x = NormalTensor({200, 3}, 0, 1, 5);
  for (int64_t k = 0; k < 3; ++k) {
    x.set(60 * 3 + k, x.at(5 * 3 + k));
    x.set(70 * 3 + k, x.at(k));
    x.set(199 * 3 + k, x.at(150 * 3 + k));
  }
  EXPECT_EQ(Measured(x).closest(), std::make_pair(int64_t{0}, int64_t{70}));
}

TEST(Chi, ScalesWithTheData) {
  const Tensor x = NormalTensor({80, 20}, 0, 1, 2);
  const Chi chi = Measured(x);
  for (const double scale : {1e-30, 1e-12, 3e6, 1e30}) {
    Tensor scaled = x;
    for (float& v : scaled.data<float>()) v = static_cast<float>(v * scale);
    const Chi other = Measured(scaled);
    EXPECT_NEAR(other.max() / scale, chi.max(), 1e-6);
    EXPECT_NEAR(other.mean() / scale, chi.mean(), 1e-6);
    EXPECT_NEAR(other.Quantile(0.3) / scale, chi.Quantile(0.3), 1e-4);
  }
}

TEST(Chi, CountsAddUpToThePairs) {
  const Tensor x = NormalTensor({200, 4}, 0, 1, 2);
  const Chi chi = Measured(x);
  const std::vector<double> all = BruteForce(x), counts = chi.Counts(0, 1.02 * chi.max(), 40);
  double total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double width = 1.02 * chi.max() / 40, low = width * static_cast<double>(i);
    const auto inside = [&](double v) { return v >= low && v < low + width; };
    // What is in the two bins at the borders may be on the wrong side.
    EXPECT_NEAR(counts[i], static_cast<double>(std::count_if(all.begin(), all.end(), inside)), 6);
    EXPECT_GE(counts[i], 0);
    total += counts[i];
  }
  EXPECT_NEAR(total, 19900, 1e-6);
}

TEST(Chi, DoesNotDependOnThreads) {
  const Tensor x = NormalTensor({1000, 7}, 0, 1, 4);
  const Chi alone = Measured(x);
  for (const int threads : {1, 2, 5}) {
    autodiff::ThreadPool pool(threads);
    const Chi chi = Measured(x, &pool);
    EXPECT_EQ(chi.mean(), alone.mean());
    EXPECT_EQ(chi.min(), alone.min());
    EXPECT_EQ(chi.max(), alone.max());
    EXPECT_EQ(chi.closest(), alone.closest());
    EXPECT_EQ(chi.farthest(), alone.farthest());
    for (const double q : {0.01, 0.4, 0.99}) EXPECT_EQ(chi.Quantile(q), alone.Quantile(q));
  }
}

// Quantiles of values whose bins lie on both sides of powers of two.
TEST(FloatHistogram, RanksAndCountsAreInverse) {
  FloatHistogram histogram;
  const int n = 3000;
  for (int i = 0; i < n; ++i) histogram.Add(static_cast<float>(std::exp2(i * 8.0 / n - 4)));
  for (int i = 0; i < n; ++i) {
    const double exact = std::exp2(i * 8.0 / n - 4);
    ASSERT_NEAR(histogram.AtRank(i), exact, 1.3e-4 * exact);
    ASSERT_NEAR(histogram.CountBelow(exact), i, 1);
  }
  EXPECT_EQ(histogram.CountBelow(1e30), n);
  EXPECT_EQ(histogram.CountBelow(0.01), 0);
}

TEST(SigmaFromGeometry, IsAMultipleOfAQuantile) {
  const Tensor x = Tensor::From<float>({3, 1}, {0, 3, 7});  // χ = 1.5, 2, 3.5
  EXPECT_DOUBLE_EQ(*SigmaFromGeometry(x), 3.5);
  EXPECT_DOUBLE_EQ(*SigmaFromGeometry(x, {.multiple = 2}), 7);
  EXPECT_NEAR(*SigmaFromGeometry(x, {.quantile = 0.5, .multiple = 0.5}), 1, 1e-4);
  EXPECT_DOUBLE_EQ(*SigmaFromGeometry(x, {.quantile = 0}), 1.5);
}

TEST(Chi, Errors) {
  const auto error = [](const Tensor& x, const SigmaChoice& choice = {}) {
    const absl::StatusOr<double> sigma = SigmaFromGeometry(x, choice);
    EXPECT_EQ(sigma.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(sigma.status().message());
  };
  EXPECT_THAT(error(Tensor({1, 3})), HasSubstr("[1, 3]"));
  EXPECT_THAT(error(Tensor({3, 0})), HasSubstr("[3, 0]"));
  EXPECT_THAT(error(Tensor({3})), HasSubstr("[3]"));
  EXPECT_THAT(error(Tensor({3, 2}, autodiff::DType::kF64)), HasSubstr("f64"));
  EXPECT_THAT(error(Tensor::From<float>({2, 2}, {0, 1, 2, std::nanf("")})), HasSubstr("sample 1 is not finite"));
  EXPECT_THAT(error(Tensor::From<float>({2, 1}, {HUGE_VALF, 0})), HasSubstr("sample 0 is not finite"));
  EXPECT_THAT(error(Tensor({4, 2})), HasSubstr("equal"));
  const Tensor x = Tensor::From<float>({2, 1}, {0, 1});
  EXPECT_THAT(error(x, {.quantile = 1.5}), HasSubstr("1.5"));
  EXPECT_THAT(error(x, {.multiple = -2}), HasSubstr("-2"));
}

}  // namespace
}  // namespace neb
