#include "neb/step_adaptation.h"

#include <cmath>

#include "gtest/gtest.h"

namespace neb {
namespace {

// Where acceptance falls with the step as exp(−step/scale), the step found is scale · log(1/target).
TEST(StepAdaptation, FindsTheStepOfTheTarget) {
  for (const double scale : {0.03, 1.0, 40.0}) {
    for (const double target : {0.3, 0.574, 0.9}) {
      StepAdaptation adaptation(1, target);
      EXPECT_EQ(adaptation.current(), 1);
      EXPECT_EQ(adaptation.averaged(), 1);
      for (int i = 0; i < 1000; ++i) adaptation.Observe(std::exp(-adaptation.current() / scale));
      EXPECT_NEAR(std::exp(-adaptation.averaged() / scale), target, 0.02) << scale << " " << target;
    }
  }
}

// The paper's formulas with μ = log(10 ε₀), γ = 0.05, t₀ = 10, κ = 0.75, by hand for two acceptances, 1 and 0.
TEST(StepAdaptation, IsDualAveraging) {
  StepAdaptation adaptation(0.5, 0.6);
  adaptation.Observe(1);
  const double h1 = (0.6 - 1) / 11, x1 = std::log(5) - h1 / 0.05;
  EXPECT_NEAR(adaptation.current(), std::exp(x1), 1e-12 * std::exp(x1));
  EXPECT_NEAR(adaptation.averaged(), std::exp(x1), 1e-12 * std::exp(x1));
  adaptation.Observe(0);
  const double h2 = (1 - 1.0 / 12) * h1 + 0.6 / 12, x2 = std::log(5) - std::sqrt(2) * h2 / 0.05;
  const double weight = std::pow(2, -0.75), averaged = std::exp(weight * x2 + (1 - weight) * x1);
  EXPECT_NEAR(adaptation.current(), std::exp(x2), 1e-12 * std::exp(x2));
  EXPECT_NEAR(adaptation.averaged(), averaged, 1e-12 * averaged);
}

TEST(StepAdaptation, StaysWithinAMillionTimes) {
  StepAdaptation up(2, 0.5), down(2, 0.5);
  for (int i = 0; i < 100000; ++i) {
    up.Observe(1);
    down.Observe(0);
  }
  EXPECT_NEAR(up.current(), 2e6, 1);
  EXPECT_NEAR(down.current(), 2e-6, 1e-12);
}

}  // namespace
}  // namespace neb
