#include "neb/far_samples.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "autodiff/random.h"
#include "gtest/gtest.h"
#include "neb/statistics.h"

namespace neb {
namespace {

using autodiff::Tensor;

constexpr int64_t kBatch = 64, kD = 50;

Tensor Samples() {
  Tensor x({kBatch, kD});
  autodiff::FillUniform({.seed = 3, .stream = autodiff::kSynthetic}, 0, x.data<float>());
  return x;
}

Tensor Shift(const Tensor& x, double fraction, uint64_t step) {
  Tensor shift({kBatch, kD});
  FarSamples(x, fraction).FillShift(x, {.seed = 1, .stream = autodiff::kFarSamples, .step = step}, shift);
  return shift;
}

double Norm(const Tensor& x, int64_t row) {
  double squared = 0;
  for (int64_t j = 0; j < kD; ++j) squared += std::pow(x.at(row * kD + j), 2);
  return std::sqrt(squared);
}

TEST(FarSamples, MovesThatShareOfTheBatchAndNothingElse) {
  const Tensor x = Samples();
  for (const double fraction : {0.0, 0.125, 0.5}) {
    const Tensor shift = Shift(x, fraction, 0);
    for (int64_t i = 0; i < kBatch; ++i) {
      EXPECT_EQ(Norm(shift, i) > 0, i < static_cast<int64_t>(fraction * kBatch)) << fraction << " row " << i;
    }
  }
}

// Faded rows go a quarter of the way to the centre or more, overlaid ones get 0.3 of another sample or more.
TEST(FarSamples, GoesFarEnough) {
  const Tensor x = Samples();
  const std::vector<double> mean = Mean(x);
  Tensor centred({kBatch, kD});
  for (int64_t i = 0; i < kBatch * kD; ++i) centred.set(i, x.at(i) - mean[static_cast<size_t>(i % kD)]);
  double least = HUGE_VAL;
  for (int64_t i = 0; i < kBatch; ++i) least = std::min(least, Norm(centred, i));
  for (uint64_t step = 0; step < 20; ++step) {
    const Tensor shift = Shift(x, 0.5, step);
    for (int64_t i = 0; i < kBatch / 2; ++i) EXPECT_GE(Norm(shift, i), 0.2499 * least);
  }
}

TEST(FarSamples, DependsOnTheKeyOnly) {
  const Tensor x = Samples();
  const Tensor a = Shift(x, 0.5, 7), b = Shift(x, 0.5, 7), c = Shift(x, 0.5, 8);
  double difference = 0;
  for (int64_t i = 0; i < kBatch * kD; ++i) {
    EXPECT_EQ(a.at(i), b.at(i));
    difference += std::abs(a.at(i) - c.at(i));
  }
  EXPECT_GT(difference, 1);
}

// 1 + 2 + ... in float32 would stop growing at 2^24.
TEST(Mean, IsExactForManySamples) {
  const int64_t n = 1 << 20;
  Tensor x({n, 2});
  for (int64_t i = 0; i < n; ++i) {
    x.set(2 * i, 1000.25);
    x.set(2 * i + 1, i % 2 == 0 ? 3 : -3);
  }
  const std::vector<double> mean = Mean(x);
  EXPECT_EQ(mean[0], 1000.25);
  EXPECT_EQ(mean[1], 0);
}

}  // namespace
}  // namespace neb
