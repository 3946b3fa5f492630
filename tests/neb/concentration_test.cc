#include "neb/concentration.h"

#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using testing::HasSubstr;

// The mean of n draws is known to stddev/√n, their spread to stddev·√((κ − 1)/4n), κ the kurtosis: at most 15 for the
// square of a normal, 3 for what is nearly normal. Four of those.
void ExpectAgreement(const Concentration& c, double kurtosis) {
  const double n = static_cast<double>(c.draws);
  EXPECT_NEAR(c.measured.mean, c.predicted.mean, 4 * c.predicted.stddev / std::sqrt(n));
  EXPECT_NEAR(c.measured.stddev, c.predicted.stddev, 4 * c.predicted.stddev * std::sqrt((kurtosis - 1) / (4 * n)));
}

TEST(NoiseRadius, IsOneWithSpreadOneOverRootTwoD) {  // METHOD.md §8, item 7
  const absl::StatusOr<Concentration> c = NoiseRadius(784, 2000, 1);
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_NEAR(c->predicted.mean, 1, 1e-3);
  EXPECT_NEAR(c->predicted.stddev, 0.025, 5e-4);
  ExpectAgreement(*c, 3);
}

// |ε| of one normal has mean √(2/π), √(x² + y²) of two mean √(π/2): divided by √d.
TEST(NoiseRadius, IsExactInFewDimensions) {
  const Concentration::Moments one = NoiseRadius(1, 2, 1)->predicted, two = NoiseRadius(2, 2, 1)->predicted;
  EXPECT_NEAR(one.mean, std::sqrt(2 / M_PI), 1e-14);
  EXPECT_NEAR(one.stddev, std::sqrt(1 - 2 / M_PI), 1e-14);
  EXPECT_NEAR(two.mean, std::sqrt(M_PI) / 2, 1e-14);
  EXPECT_NEAR(two.stddev, std::sqrt(1 - M_PI / 4), 1e-14);
  ExpectAgreement(*NoiseRadius(1, 20000, 1), 4);
  ExpectAgreement(*NoiseRadius(2, 20000, 1), 4);
}

// Where the series takes over from the Γs: at d = 101 both must say the same. Γ(51)/Γ(50.5) from Γ(½) = √π by hand.
TEST(NoiseRadius, TheSeriesContinuesTheGammaFunction) {
  double quotient = 1 / std::sqrt(M_PI);  // Γ(1)/Γ(½)
  for (int i = 0; i < 50; ++i) quotient *= (1.0 + i) / (0.5 + i);
  const double mean = std::sqrt(2.0 / 101) * quotient;
  const Concentration::Moments series = NoiseRadius(101, 2, 1)->predicted;
  EXPECT_NEAR(series.mean, mean, 1e-8);
  EXPECT_NEAR(series.stddev, std::sqrt(1 - mean * mean), 1e-7);
}

TEST(SquaredNorms, FollowFromTheMomentsOfTheData) {
  for (const double sigma : {0.0, 0.3, 2.0}) {
    const absl::StatusOr<Concentration> c = SquaredNorms(NormalTensor({4000, 40}, 0.4, 1, 2), sigma, 3);
    ASSERT_TRUE(c.ok()) << c.status();
    ExpectAgreement(*c, 4);
  }
}

// Rows (3, 4) and (0, 0): ‖x‖² = 25 and 0, mean 12.5, variance 156.25.
TEST(SquaredNorms, ByHand) {
  const Tensor x = Tensor::From<float>({2, 2}, {3, 4, 0, 0});
  const Concentration c = *SquaredNorms(x, 0.5, 1);
  EXPECT_DOUBLE_EQ(c.predicted.mean, 12.5 + 0.25 * 2);
  EXPECT_DOUBLE_EQ(c.predicted.stddev, std::sqrt(156.25 + 4 * 0.25 * 12.5 + 2 * 0.0625 * 2));
  EXPECT_DOUBLE_EQ(SquaredNorms(x, 0, 1)->measured.mean, 12.5);
}

TEST(Expansion, TheNoisyManifoldBecomesASphere) {
  double before = 1;
  for (const int64_t d : {10, 100, 1000}) {
    const absl::StatusOr<Concentration> c = Expansion({.d = d, .k = 3, .stddev = 2, .sigma = 1}, 3000, 1);
    ASSERT_TRUE(c.ok()) << c.status();
    EXPECT_DOUBLE_EQ(c->predicted.mean, 3 * 4 + static_cast<double>(d));
    ExpectAgreement(*c, 8);  // of χ² with 3 degrees of freedom: 3 + 12/3, and less with the noise
    const double relative = c->measured.stddev / c->measured.mean;
    EXPECT_LT(relative, before / 1.5);
    before = relative;
  }
}

TEST(Concentration, Errors) {
  const auto error = [](const absl::StatusOr<Concentration>& c) {
    EXPECT_EQ(c.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(c.status().message());
  };
  EXPECT_THAT(error(NoiseRadius(0, 10, 1)), HasSubstr("got 0"));
  EXPECT_THAT(error(NoiseRadius(5, 1, 1)), HasSubstr("got 1"));
  EXPECT_THAT(error(SquaredNorms(Tensor({1, 3}), 1, 1)), HasSubstr("[1, 3]"));
  EXPECT_THAT(error(SquaredNorms(Tensor({2, 3}), -1, 1)), HasSubstr("-1"));
  EXPECT_THAT(error(Expansion({.d = 3, .k = 4}, 10, 1)), HasSubstr("k = 4"));
  EXPECT_THAT(error(Expansion({.d = 3, .k = 1, .stddev = -2}, 10, 1)), HasSubstr("-2"));
  EXPECT_THAT(error(Expansion({.d = 3, .k = 1, .sigma = std::nan("")}, 10, 1)), HasSubstr("sigma"));
}

}  // namespace
}  // namespace neb
