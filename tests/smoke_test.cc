// Record, differentiate twice, compile, run: the whole engine once, on a problem small enough for pen and paper. The
// test to run first; when it fails, no other failure means much.
//
// Energy φ(y; w) = w ‖y‖² / 2 has ∇φ = w y, so the estimate x̂ = y − σ² ∇φ is (1 − σ² w) y. One sample of the
// objective, L(w) = ‖x − x̂‖², then has dL/dw = 2 σ² ⟨x − x̂, y⟩: the derivative of a loss that contains a derivative.
#include "autodiff/autodiff.h"
#include "gtest/gtest.h"

namespace autodiff {
namespace {

TEST(Smoke, OneStepOfTheObjectiveMatchesPenAndPaper) {
  constexpr double kVariance = 0.25, kRate = 0.125;

  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {1, 2}), y = tape.Input("y", {1, 2}), w = tape.Input("w", {});
  const Var phi = 0.5 * w * squared_norm(y, {1});
  const Var x_hat = y - kVariance * grad(phi, y);
  const Var loss = sum(square(x - x_hat));
  const Var slope = grad(loss, w);

  absl::StatusOr<Program> step =
      Compile({.inputs = {x, y}, .state = {{w, w - kRate * slope}}, .outputs = {loss, slope, x_hat}});
  ASSERT_EQ(step.status(), absl::OkStatus());

  const Tensor xs = Tensor::From<double>({1, 2}, {1.0, -2.0}), ys = Tensor::From<double>({1, 2}, {4.0, 8.0});
  Tensor weight = Tensor::From<double>({}, {2.0});
  Tensor loss_value({}, DType::kF64), slope_value({}, DType::kF64), estimate({1, 2}, DType::kF64);
  ASSERT_EQ(step->Run({&xs, &ys}, {&weight}, {&loss_value, &slope_value, &estimate}), absl::OkStatus());

  // 1 − σ²w = ½: x̂ = (2, 4), x − x̂ = (−1, −6), L = 37, dL/dw = ½ (−4 − 48) = −26. All exact in binary.
  EXPECT_EQ(estimate.at(0), 2.0);
  EXPECT_EQ(estimate.at(1), 4.0);
  EXPECT_EQ(loss_value.at(0), 37.0);
  EXPECT_EQ(slope_value.at(0), -26.0);
  EXPECT_EQ(weight.at(0), 2.0 + kRate * 26.0);
}

}  // namespace
}  // namespace autodiff
