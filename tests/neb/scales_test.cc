#include "neb/scales.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

TEST(MeasureScales, AreMeanAndRootMeanSquareDeviation) {
  // Columns 1, 2, 3 and 0, 4, −4: means 2 and 0, squared deviations 1 0 1 and 0 16 16.
  const Scales s = MeasureScales(Tensor::From<float>({3, 2}, {1, 0, 2, 4, 3, -4}), 0.5);
  ASSERT_EQ(s.mean.shape(), (autodiff::Shape{2}));
  EXPECT_FLOAT_EQ(static_cast<float>(s.mean.at(0)), 2);
  EXPECT_NEAR(s.mean.at(1), 0, 1e-7);
  EXPECT_NEAR(s.stddev, std::sqrt(34.0 / 6), 1e-12);
  EXPECT_EQ(s.sigma, 0.5);
}

TEST(MeasureScales, OfOneSampleHaveNoSpread) {
  const Scales s = MeasureScales(Tensor::From<float>({1, 3}, {1, 2, 3}), 0.25);
  EXPECT_EQ(s.stddev, 0);
  EXPECT_EQ(s.mean.at(2), 3);
  EXPECT_TRUE(std::isfinite(s.radius));
  EXPECT_GT(s.radius, 1);
}

// The radius is for all data with their noise: 20,000 noisy draws around the farthest sample are well inside.
TEST(MeasureScales, TheRadiusHoldsTheNoisyData) {
  for (const int64_t d : {1, 2, 20}) {
    const double sigma = 0.7;
    const Tensor x = NormalTensor({500, d}, 3, 2, static_cast<uint64_t>(d));
    const Scales s = MeasureScales(x, sigma);
    const double unit = std::sqrt(static_cast<double>(d) * (s.stddev * s.stddev + sigma * sigma));
    double farthest = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < 500; ++i) {
      double squared = 0;
      for (int64_t j = 0; j < d; ++j) squared += std::pow(x.at(i * d + j) - s.mean.at(j), 2);
      if (squared > farthest) at = i;
      farthest = std::max(farthest, squared);
    }
    EXPECT_GT(s.radius * unit, 1.25 * std::sqrt(farthest));
    const Tensor noise = NormalTensor({20000, d}, 0, sigma, 9);
    for (int64_t i = 0; i < 20000; ++i) {
      double squared = 0;
      for (int64_t j = 0; j < d; ++j) squared += std::pow(x.at(at * d + j) - s.mean.at(j) + noise.at(i * d + j), 2);
      ASSERT_LT(std::sqrt(squared), s.radius * unit) << "d = " << d;
    }
  }
}

// μ = (1, −1), √(s² + σ²) = 5: y = (16, 19) has z = (3, 4), at a distance of 5/√2; a radius of half of that halves it.
TEST(Standardize, BoundsWhatIsFarFromTheMean) {
  for (const double radius : {0.0, 100.0, 2.5 / std::sqrt(2.0)}) {
    const Scales scales{.mean = Tensor::From<float>({2}, {1, -1}), .stddev = 3, .sigma = 4, .radius = radius};
    autodiff::Tape tape;
    autodiff::ParamStore store;
    Params p(&tape, &store);
    const Var y = tape.Input("y", {1, 2});
    const Standardized s = Standardize(y, scales, p);
    std::vector<Var> inputs = BoundVars(p);
    std::vector<Tensor> values;
    for (const Tensor* t : BoundTensors(p, store)) values.push_back(*t);
    inputs.push_back(y);
    values.push_back(Tensor::From<float>({1, 2}, {16, 19}));
    const std::vector<Tensor> out = *autodiff::Evaluate({s.z, s.bounded, s.noisy_stddev}, inputs, values);
    const double share = radius == 2.5 / std::sqrt(2.0) ? 0.5 : 1;
    for (int64_t j = 0; j < 2; ++j) {
      EXPECT_FLOAT_EQ(static_cast<float>(out[0].at(j)), static_cast<float>(3 + j));
      EXPECT_FLOAT_EQ(static_cast<float>(out[1].at(j)), static_cast<float>(share * static_cast<double>(3 + j)));
    }
    EXPECT_FLOAT_EQ(static_cast<float>(out[2].at(0)), 5);
    EXPECT_EQ(store.num_trainable(), 0);
  }
}

TEST(Standardize, ScalesOfAnotherSizeAreAMistake) {
  autodiff::Tape tape;
  autodiff::ParamStore store;
  Params p(&tape, &store);
  EXPECT_FALSE(Standardize(tape.Input("y", {4, 2}), {.mean = Tensor({1})}, p).z.ok());
  EXPECT_NE(std::string(tape.status().message()).find("mean of shape [1]"), std::string::npos) << tape.status();
}

}  // namespace
}  // namespace neb
