#include "neb/sample_quality.h"

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/pairwise.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::ThreadPool;
using testing::AllOf;
using testing::HasSubstr;

// Uniform on a cube, from Park and Miller's generator. The same in Python, for the values below:
//   def points(n, d, s, scale=1, shift=0):
//       x = np.zeros((n, d))
//       for i in range(n):
//           for j in range(d): s = s * 48271 % (2**31 - 1); x[i, j] = scale * s / (2**31 - 1) + shift
//       return x.astype(np.float32).astype(float)
Tensor Points(int64_t n, int64_t d, unsigned seed, double scale = 1, double shift = 0) {
  std::minstd_rand generator(seed);
  Tensor x({n, d});
  for (float& v : x.data<float>()) v = static_cast<float>(scale * generator() / 2147483647.0 + shift);
  return x;
}

Tensor Shifted(Tensor x, float by) {
  for (float& v : x.data<float>()) v += by;
  return x;
}

// --- Wasserstein ---

//   a, b = points(7, 1, 1)[:, 0], points(5, 1, 2, 2)[:, 0]
//   scipy.stats.wasserstein_distance(a, b), np.sqrt(ot.wasserstein_1d(a, b, p=2))         (SciPy 1.17.1, POT 0.9.7)
TEST(Wasserstein1D, OfDifferentSizesAgreesWithSciPyAndPot) {
  std::vector<float> a = Values(Points(7, 1, 1)), b = Values(Points(5, 1, 2, 2));
  EXPECT_NEAR(Wasserstein1D(a, b, 1), 0.424611273528, 1e-9);
  EXPECT_NEAR(Wasserstein1D(a, b, 2), 0.574293586349, 1e-9);
  EXPECT_NEAR(Wasserstein1D(b, a, 2), 0.574293586349, 1e-9);
}

TEST(Wasserstein1D, OfRepeatedPointsIsThatOfThePoints) {
  std::vector<float> a = {3, 0}, b = {0, 0, 0, 3, 3, 3}, c = {1, 4, 1, 4, 1, 4, 1, 4};
  EXPECT_EQ(Wasserstein1D(a, b, 2), 0);
  EXPECT_EQ(Wasserstein1D(a, c, 1), 1);
  EXPECT_NEAR(Wasserstein1D(a, c, 3), 1, 1e-15);
}

// A shift by v costs ⟨θ, v⟩ along θ: E⟨θ, v⟩² = ‖v‖²/d.
TEST(SlicedWasserstein, OfAShift) {
  for (const int64_t d : {2, 10, 100}) {
    const Tensor x = NormalTensor({50, d}, 0, 1, 3);
    const Measured w = SlicedWasserstein(x, Shifted(x, 0.5), {.directions = 2000}).value();
    EXPECT_NEAR(w.value, 0.5, 5 * w.standard_error) << d;  // ‖v‖² = d/4
    // ⟨θ, v⟩² has the relative variance 2 (d − 1)/(d + 2), and a root halves relative errors.
    const double spread = std::sqrt(2.0 * static_cast<double>(d - 1) / static_cast<double>(d + 2) / 2000) / 2;
    EXPECT_NEAR(w.standard_error, 0.5 * spread, 0.1 * 0.5 * spread) << d;
    EXPECT_EQ(SlicedWasserstein(x, x, {}).value().value, 0);
  }
}

//   ot.sliced_wasserstein_distance(points(200, 3, 1), points(150, 3, 2, 1.2, 0.1), n_projections=200000, p=p, seed=0)
TEST(SlicedWasserstein, AgreesWithPot) {
  const Tensor x = Points(200, 3, 1), y = Points(150, 3, 2, 1.2, 0.1);
  const Measured w1 = SlicedWasserstein(x, y, {.directions = 4000, .p = 1}).value();
  const Measured w2 = SlicedWasserstein(x, y, {.directions = 4000, .p = 2}).value();
  EXPECT_NEAR(w1.value, 0.17924523, 5 * w1.standard_error);
  EXPECT_NEAR(w2.value, 0.21123757, 5 * w2.standard_error);
  EXPECT_LT(w1.standard_error, 0.01 * w1.value);
  EXPECT_LT(w2.standard_error, 0.01 * w2.value);
}

TEST(SlicedWasserstein, OnALineIsTheDistance) {
  const Tensor x = Points(7, 1, 1), y = Points(5, 1, 2, 2);
  const Measured w = SlicedWasserstein(x, y, {.directions = 20}).value();
  EXPECT_NEAR(w.value, 0.574293586349, 1e-7);
  EXPECT_NEAR(w.standard_error, 0, 1e-8);
}

// --- Mean discrepancy ---

//   k = lambda a, b: np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * h * h))
//   (k(x, x).sum() - n) / n / (n - 1) + (k(y, y).sum() - m) / m / (m - 1) - 2 * k(x, y).mean()
// and its jackknife by deleting rows one at a time; h 0.2, or the median of the distances.
TEST(MeanDiscrepancy, AgreesWithItsFormula) {
  const Tensor x = Points(200, 3, 1), y = Points(150, 3, 2, 1.2, 0.1);
  const Discrepancy narrow = MeanDiscrepancy(x, y, {.bandwidth = 0.2}).value();
  EXPECT_NEAR(narrow.value, 0.0286872493274, 1e-7);
  EXPECT_NEAR(narrow.standard_error, 0.00636816932977, 1e-7);
  const Discrepancy median = MeanDiscrepancy(x, y, {}).value();
  EXPECT_NEAR(median.bandwidth, 0.734984234868, 1e-6);
  EXPECT_NEAR(median.value, 0.0913002549888, 1e-6);
}

// N(0, I) and N(μ, I): E k = (h²/(h² + 2))^(d/2) exp(−‖Δμ‖²/2(h² + 2)). The mean of many estimates is right (they are
// unbiased), and they scatter as the standard error says; the more so, by up to √2, if μ = 0.
TEST(MeanDiscrepancy, OfGaussiansIsUnbiasedWithTheRightError) {
  const int64_t d = 3;
  const int repeats = 400;
  const double h = 1.5, spread = h * h + 2;
  for (const double shift : {0.0, 0.4}) {
    const double level = std::pow(h * h / spread, static_cast<double>(d) / 2);
    const double expected = 2 * level * (1 - std::exp(-shift * shift * static_cast<double>(d) / (2 * spread)));
    double sum = 0, squares = 0, errors = 0;
    for (uint64_t r = 0; r < repeats; ++r) {
      const Tensor x = NormalTensor({60, d}, 0, 1, 2 * r), y = NormalTensor({40, d}, shift, 1, 2 * r + 1);
      const Discrepancy e = MeanDiscrepancy(x, y, {.bandwidth = h}).value();
      sum += e.value / repeats;
      squares += e.value * e.value / repeats;
      errors += e.standard_error * e.standard_error / repeats;
    }
    const double scatter = squares - sum * sum;
    EXPECT_NEAR(sum, expected, 5 * std::sqrt(scatter / repeats)) << shift;
    // A variance of 400 draws is known to 1/√200 of itself (more for the skew values at μ = 0): three of those.
    const double ratio = errors / scatter;
    EXPECT_GT(ratio, 1 - 3 * 0.07) << shift;
    EXPECT_LT(ratio, (shift == 0 ? 2 : 1.15) + 3 * 0.1) << shift;
  }
}

// --- Nearest samples ---

// Far from the origin, where ‖x‖² + ‖y‖² − 2⟨x, y⟩ in float32 would have lost everything.
TEST(NearestSamples, AreExact) {
  for (const float offset : {0.0f, 1000.0f}) {
    const Tensor among = Shifted(NormalTensor({1000, 5}, 0, 1, 1), offset);
    const Tensor x = Shifted(NormalTensor({150, 5}, 0, 1, 2), offset);
    const std::vector<Nearest> nearest = NearestSamples(x, among).value();
    ASSERT_EQ(nearest.size(), 150u);
    for (int64_t i = 0; i < 150; ++i) {
      Nearest best{.index = -1, .distance = std::numeric_limits<double>::infinity()};
      for (int64_t j = 0; j < 1000; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < 5; ++k) sum += std::pow(x.at(5 * i + k) - among.at(5 * j + k), 2);
        if (std::sqrt(sum) < best.distance) best = {.index = j, .distance = std::sqrt(sum)};
      }
      EXPECT_EQ(nearest[static_cast<size_t>(i)].index, best.index);
      EXPECT_NEAR(nearest[static_cast<size_t>(i)].distance, best.distance, 1e-12);
    }
  }
}

TEST(NearestSamples, FindCopies) {
  Tensor among = Points(500, 784, 7);
  std::copy_n(among.data<float>().subspan(80 * 784).begin(), 784, among.data<float>().subspan(300 * 784).begin());
  const std::vector<Nearest> nearest = NearestSamples(among, among).value();
  for (int64_t i = 0; i < 500; ++i) {
    EXPECT_EQ(nearest[static_cast<size_t>(i)].index, i == 300 ? 80 : i);  // of equal ones, the first
    EXPECT_EQ(nearest[static_cast<size_t>(i)].distance, 0);
  }
}

// What the bound of the products' error promises, also for points that are nearly equal.
TEST(SquaredDistances, AreWithinTheirBound) {
  const Tensor y = Points(300, 200, 3);
  Tensor x = y;
  for (float& v : x.data<float>()) v += 1e-4f * (v - 0.5f);
  const SquaredDistances squared(x, y);
  squared.ForEachRow(nullptr, [&](int64_t i, std::span<const float> row) {
    for (int64_t j = 0; j < 300; ++j) {
      double exact = 0;
      for (int64_t k = 0; k < 200; ++k) exact += std::pow(x.at(200 * i + k) - y.at(200 * j + k), 2);
      ASSERT_NEAR(row[static_cast<size_t>(j)], exact, squared.ErrorBound(i));
    }
    EXPECT_LT(squared.ErrorBound(i), 1e-2);  // of distances near 33
  });
}

// --- All of them ---

TEST(SampleQuality, DoesNotDependOnThreads) {
  const Tensor x = NormalTensor({333, 20}, 0, 1, 1), y = NormalTensor({259, 20}, 0.1, 1, 2);
  const Measured w = SlicedWasserstein(x, y, {.directions = 100}).value();
  const Discrepancy m = MeanDiscrepancy(x, y, {}).value();
  const std::vector<Nearest> nearest = NearestSamples(x, y).value();
  for (const int threads : {2, 3}) {
    ThreadPool pool(threads);
    EXPECT_EQ(SlicedWasserstein(x, y, {.directions = 100, .pool = &pool}).value().value, w.value);
    EXPECT_EQ(MeanDiscrepancy(x, y, {.pool = &pool}).value().value, m.value);
    EXPECT_EQ(MeanDiscrepancy(x, y, {.pool = &pool}).value().standard_error, m.standard_error);
    const std::vector<Nearest> again = NearestSamples(x, y, &pool).value();
    for (size_t i = 0; i < nearest.size(); ++i) {
      EXPECT_EQ(again[i].index, nearest[i].index);
      EXPECT_EQ(again[i].distance, nearest[i].distance);
    }
  }
}

TEST(SampleQualityMistake, PointsAndOptions) {
  const Tensor good = Points(10, 3, 1);
  const auto message = [](const auto& result) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  };
  EXPECT_THAT(message(SlicedWasserstein(good, Points(10, 4, 1), {})),
              AllOf(HasSubstr("[10, 3]"), HasSubstr("[10, 4]")));
  EXPECT_THAT(message(SlicedWasserstein(good, Tensor({0, 3}), {})), AllOf(HasSubstr("y"), HasSubstr("[0, 3]")));
  EXPECT_THAT(message(SlicedWasserstein(good, good, {.directions = 1})), HasSubstr("directions"));
  EXPECT_THAT(message(SlicedWasserstein(good, good, {.p = 3})), HasSubstr("p must be"));
  EXPECT_THAT(message(MeanDiscrepancy(good, Points(2, 3, 1), {})), HasSubstr("n >= 3"));
  EXPECT_THAT(message(MeanDiscrepancy(good, good, {.bandwidth = -1})), HasSubstr("bandwidth"));
  EXPECT_THAT(message(MeanDiscrepancy(Tensor({5, 3}), Tensor({5, 3}), {})), HasSubstr("median"));
  EXPECT_THAT(message(NearestSamples(good, Tensor({3}))), HasSubstr("[3]"));
  EXPECT_THAT(message(NearestSamples(good, Tensor({4, 3}, autodiff::DType::kF64))), HasSubstr("f64"));
  Tensor bad = good;
  bad.set(7, std::nan(""));
  EXPECT_THAT(message(NearestSamples(bad, good)), HasSubstr("row 2"));
}

}  // namespace
}  // namespace neb
