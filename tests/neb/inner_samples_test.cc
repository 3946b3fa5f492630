#include "neb/inner_samples.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "autodiff/random.h"
#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::Tensor;

constexpr int64_t kBatch = 64, kD = 50;

Tensor Noise() {
  Tensor noise({kBatch, kD});
  autodiff::FillNormal({.seed = 3, .stream = autodiff::kSynthetic}, 0, noise.data<float>());
  return noise;
}

// The factor of each row, which must be the same for all its numbers.
std::vector<double> Factors(double fraction, uint64_t step) {
  const Tensor before = Noise();
  Tensor after = before;
  ShrinkNoise(fraction, {.seed = 1, .stream = autodiff::kInnerSamples, .step = step}, after);
  std::vector<double> factors;
  for (int64_t i = 0; i < kBatch; ++i) {
    factors.push_back(after.at(i * kD) / before.at(i * kD));
    for (int64_t j = 1; j < kD; ++j) {
      EXPECT_NEAR(after.at(i * kD + j), factors.back() * before.at(i * kD + j), 1e-6) << "row " << i;
    }
  }
  return factors;
}

TEST(ShrinkNoise, ShrinksThatShareOfTheBatchAndNothingElse) {
  for (const double fraction : {0.0, 0.25, 0.5, 1.0}) {
    const std::vector<double> factors = Factors(fraction, 0);
    const int64_t first = kBatch - static_cast<int64_t>(fraction * kBatch);
    for (int64_t i = 0; i < kBatch; ++i) {
      const double factor = factors[static_cast<size_t>(i)];
      EXPECT_EQ(factor == 1, i < first) << fraction << " row " << i;
      EXPECT_GE(factor, 0);
      EXPECT_LE(factor, 1);
    }
  }
}

// U(0, 1) has mean 1/2 and standard deviation 1/√12: over n draws, 5 standard errors.
TEST(ShrinkNoise, DrawsFactorsUniformly) {
  double sum = 0, squares = 0;
  constexpr uint64_t kSteps = 200;
  for (uint64_t step = 0; step < kSteps; ++step) {
    for (const double factor : Factors(1, step)) {
      sum += factor;
      squares += factor * factor;
    }
  }
  const double n = static_cast<double>(kSteps * kBatch);
  EXPECT_NEAR(sum / n, 0.5, 5 * 0.2887 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 5 * 0.2981 / std::sqrt(n));  // Var(a²) = 1/5 − 1/9
}

TEST(ShrinkNoise, IsAFunctionOfItsKey) {
  EXPECT_EQ(Factors(0.5, 7), Factors(0.5, 7));
  EXPECT_NE(Factors(0.5, 7), Factors(0.5, 8));
}

}  // namespace
}  // namespace neb
