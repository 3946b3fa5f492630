// The tests that a new energy deserves, as docs/write_your_own_energy.md tells.
#include "examples/write_your_own_energy.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/check_grad.h"
#include "autodiff/random.h"
#include "gtest/gtest.h"
#include "neb/neb.h"

namespace examples {
namespace {

Tensor Points() {
  Tensor y({5, 3}, autodiff::DType::kF64);
  autodiff::FillNormal({.seed = 1, .stream = autodiff::kSynthetic}, 0, y.data<double>());
  return y;
}

TEST(MyEnergies, HaveTheGradientsOfFiniteDifferences) {
  for (const Energy& energy : {Energy(Quadratic), Mixture(Expert, 3), Energy(HeavyTails), Box(/*sigma=*/0.7)}) {
    EXPECT_EQ(autodiff::CheckGrad(energy, Points()), absl::OkStatus());
  }
}

// The message names the op, both shapes and the line.
TEST(MyEnergies, SayWhatIsWrong) {
  const int line = __LINE__ + 1;
  auto wrong = [](Var y, Params& p) { return sum(matmul(y, p("w", {3, 8})), {1}); };
  absl::StatusOr<neb::Model> model = neb::Model::Create(wrong, /*item_shape=*/{2}, /*sigma=*/0.5);
  EXPECT_EQ(std::string(model.status().message()),
            "matmul: inner extents differ: shapes [2, 2] and [3, 8] (examples/write_your_own_energy_test.cc:" +
                std::to_string(line) + ")");
}

// stop_gradient(y) is y to the finite differences, and a constant to the recorded gradient.
TEST(MyEnergies, ShowAGradientThatIsNotTheirs) {
  auto half = [](Var y, Params& /*p*/) { return sum(y * stop_gradient(y), {1}); };
  EXPECT_EQ(std::string(autodiff::CheckGrad(half, Points()).message()),
            "derivative 1: recorded 7.56371, finite differences 15.1274");
}

// Uniform on [−1, 1] with noise: p_Y integrates to one, and x̂ stays inside the box.
TEST(Box, IsTheSmoothedUniformDensity) {
  const double sigma = 0.4;
  absl::StatusOr<neb::Model> model = neb::Model::Create(Box(sigma), {1}, sigma);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> y, phi(501), x_hat(501);
  for (int i = 0; i <= 500; ++i) y.push_back(static_cast<float>(-2.5 + 0.01 * i));
  ASSERT_TRUE(model->Evaluate(y, {.energy = phi, .x_hat = x_hat}).ok());
  double mass = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    mass += 0.01 * std::exp(-phi[i]) / 2;
    EXPECT_LT(std::abs(x_hat[i]), 1.001) << y[i];
  }
  EXPECT_NEAR(mass, 1, 2e-4);  // p_Y beyond ±2.5 is 1e-5; the rest is the sum's
}

// The composed log cosh is smooth where |x| is not, and does not overflow.
TEST(LogCosh, IsLogCosh) {
  autodiff::Tape tape;
  Var x = tape.Input("x", {5});
  const auto got = autodiff::Evaluate({LogCosh(x)}, {x}, {Tensor::From<float>({5}, {-200, -1, 0, 0.5, 90})});
  ASSERT_TRUE(got.ok()) << got.status();
  const double want[] = {200 - std::log(2), std::log(std::cosh(1)), 0, std::log(std::cosh(0.5)), 90 - std::log(2)};
  for (int i = 0; i < 5; ++i) EXPECT_NEAR((*got)[0].at(i), want[i], 1e-6 * (1 + want[i]));
}

}  // namespace
}  // namespace examples
