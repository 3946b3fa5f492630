#include "neb/energy.h"

#include <cmath>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/layers.h"
#include "neb/model.h"
#include "tests/autodiff/test_tensors.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::ParamStore;
using autodiff::Shape;
using autodiff::Tape;
using testing::AllOf;
using testing::HasSubstr;

// φ(y) = ½ ‖y − c‖², with c a parameter.
Var Quadratic(Var y, Params& p) { return 0.5 * squared_norm(y - p("center", {y.dim(1)}, autodiff::Normal(1)), {1}); }
// φ(y) = Σ log cosh(y) in a smooth form without parameters.
Var Even(Var y, Params&) { return sum(softplus(2.0 * y) - y, {1}); }

// φ and ∇φ of an energy at y, in float64; parameters are created in `store`.
struct PhiAndGradient {
  std::vector<double> phi, gradient;
};
PhiAndGradient At(const Energy& energy, ParamStore& store, const Tensor& y) {
  Tape tape(DType::kF64);
  Params p(&tape, &store);
  const Var v = tape.Input("y", y.shape());
  const Var phi = RecordEnergy(energy, v, p);
  std::vector<Var> inputs = BoundVars(p);
  std::vector<Tensor> values;
  for (const Tensor* t : BoundTensors(p, store)) values.push_back(*t);
  inputs.push_back(v);
  values.push_back(y);
  const auto results = autodiff::Evaluate({phi, autodiff::grad(phi, v)}, inputs, values);
  EXPECT_TRUE(results.ok()) << results.status();
  if (!results.ok()) return {};
  return {autodiff::Numbers((*results)[0]), autodiff::Numbers((*results)[1])};
}

const Tensor& Points() {
  static const Tensor& y = *new Tensor(Tensor::From<double>({2, 3}, {0.5, -1.0, 2.0, 1.5, 0.25, -0.75}));
  return y;
}

TEST(Sum, AddsEnergiesAndGradients) {
  ParamStore store(1);
  const PhiAndGradient both = At(Sum({{"left", Quadratic}, {"right", Even}}), store, Points());
  ASSERT_EQ(store.size(), 1);
  ASSERT_EQ(store[0].name, "left/center");

  ParamStore same(1);  // the parts on their own, with the same centre
  same.Add("center", store[0].value, true);
  const PhiAndGradient left = At(Quadratic, same, Points()), right = At(Even, same, Points());
  for (size_t i = 0; i < both.phi.size(); ++i) EXPECT_DOUBLE_EQ(both.phi[i], left.phi[i] + right.phi[i]);
  for (size_t i = 0; i < both.gradient.size(); ++i) {
    EXPECT_NEAR(both.gradient[i], left.gradient[i] + right.gradient[i], 1e-15 * (1 + std::abs(both.gradient[i])));
  }
}

TEST(Sum, ScopesKeepParametersApart) {
  ParamStore store(1);
  At(Sum({{"a", Quadratic}, {"b", Sum({{"a", Quadratic}, {"c", Quadratic}})}}), store, Points());
  ASSERT_EQ(store.size(), 3);
  EXPECT_EQ(store[0].name, "a/center");
  EXPECT_EQ(store[1].name, "b/a/center");
  EXPECT_EQ(store[2].name, "b/c/center");
  EXPECT_NE(store[0].value.at(0), store[1].value.at(0));  // first values depend on the whole name
}

TEST(Sum, TwoTermsOfOneNameAreAMistake) {
  const absl::StatusOr<Model> model = Model::Create(Sum({{"a", Quadratic}, {"a", Quadratic}}), {3}, 0.5);
  EXPECT_THAT(std::string(model.status().message()), AllOf(HasSubstr("\"a/center\""), HasSubstr("twice")));
}

TEST(Sum, OfNothingIsZero) {
  ParamStore store;
  const PhiAndGradient none = At(Sum({}), store, Points());
  EXPECT_EQ(none.phi, std::vector<double>(2, 0.0));
  EXPECT_EQ(none.gradient, std::vector<double>(6, 0.0));
}

TEST(Scale, MultipliesEnergyAndGradient) {
  ParamStore store;
  const PhiAndGradient once = At(Even, store, Points()), scaled = At(Scale(-2.5, Even), store, Points());
  for (size_t i = 0; i < once.phi.size(); ++i) EXPECT_DOUBLE_EQ(scaled.phi[i], -2.5 * once.phi[i]);
  for (size_t i = 0; i < once.gradient.size(); ++i) EXPECT_DOUBLE_EQ(scaled.gradient[i], -2.5 * once.gradient[i]);
}

TEST(Scale, LeavesTheParametersInTheirScope) {
  ParamStore store;
  At(Scale(2, Quadratic), store, Points());
  ASSERT_EQ(store.size(), 1);
  EXPECT_EQ(store[0].name, "center");
}

// A product of N(0, a) and N(0, b) is N(0, ab / (a + b)), a square of N(0, a) is N(0, a/2): the jump of a composed
// energy is that of the composed density.
TEST(SumAndScale, ComposeGaussianDensities) {
  const double sigma = 0.5, v = 1 / (1 / 2.0 + 3 / 5.0);
  absl::StatusOr<Model> model = Model::Create(Sum({{"a", Gaussian(2)}, {"b", Scale(3, Gaussian(5))}}), {2}, sigma);
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<float> y = {1.0f, -3.0f};
  const std::vector<float> x_hat = XHatOf(*model, y);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(x_hat[i], (1 - sigma * sigma / v) * y[i], 1e-6);
}

// --- The estimate and the loss, against pen and paper ---

// X ~ N(0, τ²): φ(y) = ‖y‖²/2(τ² + σ²) gives x̂ = τ²/(τ² + σ²) y. With the other sign x̂ would lie beyond y.
TEST(XHat, ShrinksGaussianDataTowardsTheirMean) {
  const double tau = 1.5, sigma = 0.8, variance = tau * tau + sigma * sigma;
  absl::StatusOr<Model> model = Model::Create(Gaussian(variance), {2}, sigma);
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<float> y = {2.0f, -1.0f, 0.0f, 7.5f};
  const std::vector<float> x_hat = XHatOf(*model, y), gradient = GradientOf(*model, y);
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(x_hat[i], tau * tau / variance * y[i], 1e-6 * std::abs(y[i]));
    EXPECT_NEAR(gradient[i], y[i] / variance, 1e-6 * std::abs(y[i]));
  }
  const std::vector<float> phi = EnergyOf(*model, y);
  EXPECT_NEAR(phi[0], (4.0 + 1.0) / (2 * variance), 1e-6);
  EXPECT_NEAR(phi[1], (7.5 * 7.5) / (2 * variance), 1e-5);
}

// φ = y₁⁴/4 + y₁y₂: ∇φ = (y₁³ + y₂, y₁). x = (1, 2), ε = (2, −2), σ = ½: y = (2, 1), ∇φ = (9, 2),
// x̂ = (2 − 9/4, 1 − 2/4) = (−¼, ½), x − x̂ = (5/4, 3/2), loss = 25/16 + 9/4 = 61/16. Exact in binary.
TEST(NebLoss, EqualsItsDefinitionByHand) {
  const Energy energy = [](Var y, Params&) {
    const Var a = slice(y, 1, 0, 1), b = slice(y, 1, 1, 2);
    return reshape(0.25 * square(square(a)) + a * b, {-1});
  };
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    Tape tape(dtype);
    ParamStore store;
    Params p(&tape, &store);
    const Var x = tape.Input("x", {2, 2}), noise = tape.Input("noise", {2, 2});
    const Var loss = NebLoss(energy, x, x + 0.5 * noise, 0.5, p);
    ASSERT_EQ(loss.shape(), (Shape{2}));
    // The second sample has no noise and lies where ∇φ = 0: no loss.
    const Tensor result = autodiff::Value(loss, {x, noise},
                                          {Tensor::From<double>({2, 2}, {1, 2, 0, 0}).Cast(dtype),
                                           Tensor::From<double>({2, 2}, {2, -2, 0, 0}).Cast(dtype)});
    EXPECT_EQ(result.at(0), 61.0 / 16);
    EXPECT_EQ(result.at(1), 0.0);
  }
}

// dL/dw of φ = w ‖y‖²/2: L = ‖x − (1 − σ²w) y‖² and so dL/dw = 2σ² ⟨x − x̂, y⟩: double backprop through the loss.
TEST(NebLoss, HasTheGradientOfDoubleBackprop) {
  const double sigma = 0.5, w = 3;
  Tape tape(DType::kF64);
  ParamStore store;
  Params p(&tape, &store);
  const Var x = tape.Input("x", {1, 2}), noise = tape.Input("noise", {1, 2});
  const Var loss =
      NebLoss([&](Var y, Params& q) { return 0.5 * q("w", {}, autodiff::Constant(w)) * squared_norm(y, {1}); }, x,
              x + sigma * noise, sigma, p);
  const Var weight = p.bound()[0].var;
  const Tensor slope = autodiff::Value(
      autodiff::grad(loss, weight), {x, noise, weight},
      {Tensor::From<double>({1, 2}, {1, -2}), Tensor::From<double>({1, 2}, {0.5, 4}), Tensor::From<double>({}, {w})});
  const double y[] = {1 + sigma * 0.5, -2 + sigma * 4}, keep = 1 - sigma * sigma * w;
  const double expected = 2 * sigma * sigma * ((1 - keep * y[0]) * y[0] + (-2 - keep * y[1]) * y[1]);
  EXPECT_NEAR(slope.at(0), expected, 1e-14);
}

// --- Mistakes ---

std::string CreateError(const Energy& energy, const Shape& item_shape = {3}) {
  const absl::StatusOr<Model> model = Model::Create(energy, item_shape, 0.5);
  EXPECT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(model.status().message());
}
// "(…/energy_test.cc:123)", as messages end.
std::string AtLine(int line) { return "tests/neb/energy_test.cc:" + std::to_string(line) + ")"; }

TEST(RecordEnergy, WantsOneNumberPerRow) {
  EXPECT_THAT(CreateError([](Var y, Params&) { return sum(square(y)); }), AllOf(HasSubstr("[2]"), HasSubstr("got []")));
  EXPECT_THAT(CreateError([](Var y, Params&) { return square(y); }), AllOf(HasSubstr("[2]"), HasSubstr("got [2, 3]")));
  EXPECT_THAT(CreateError([](Var y, Params&) { return sum(y, {1}, true); }),
              AllOf(HasSubstr("[2]"), HasSubstr("got [2, 1]")));
  EXPECT_THAT(CreateError([](Var y, Params&) { return sum(y, {0}); }), AllOf(HasSubstr("[2]"), HasSubstr("got [3]")));
}

// The line is that of the op whose value was returned.
TEST(RecordEnergy, NamesTheLineOfAWrongResult) {
  int line = __LINE__ + 1;
  EXPECT_THAT(CreateError([](Var y, Params&) { return square(y); }), HasSubstr(AtLine(line)));
  line = __LINE__ + 1;
  EXPECT_THAT(CreateError([](Var y, Params&) { return sum(y, {1}, true); }), HasSubstr(AtLine(line)));
  line = __LINE__ + 1;
  EXPECT_THAT(CreateError([](Var y, Params&) { return mean(silu(y)); }), HasSubstr(AtLine(line)));
  line = __LINE__ + 1;
  EXPECT_THAT(CreateError([](Var y, Params& p) { return Dense(p, "out", y, 1); }), HasSubstr(AtLine(line)));
}

TEST(RecordEnergy, WantsAVarOfThisTape) {
  EXPECT_THAT(CreateError([](Var, Params&) { return Var(); }), HasSubstr("no tape"));
  EXPECT_THAT(CreateError(Scale(2, [](Var, Params&) { return Var(); })), HasSubstr("tape"));
  Tape other;
  const Var foreign = other.Input("elsewhere", {2});
  EXPECT_THAT(CreateError([foreign](Var, Params&) { return foreign; }), HasSubstr("tape"));
  EXPECT_THAT(CreateError(Sum({{"a", Gaussian(1)}, {"b", [foreign](Var, Params&) { return foreign; }}})),
              HasSubstr("tape"));
}

TEST(RecordEnergy, AFunctionIsNeeded) { EXPECT_THAT(CreateError(Energy()), HasSubstr("energy")); }

// The wrong line is three calls below the energy: the error names it, the op and both shapes.
constexpr int kMistakeLine = __LINE__ + 1;
Var Innermost(Var h, Var w) { return matmul(h, w); }
Var Middle(Var h, Params& p) { return tanh(Innermost(h, p("w", {5, 2}))); }
Var Outer(Var h, Params& p) { return sum(Middle(h, p), {1}); }

TEST(Mistake, ThreeCallsDeepIsNamedWithItsLine) {
  const std::string error = CreateError([](Var y, Params& p) { return 2.0 * Outer(y, p) + 1.0; });
  EXPECT_THAT(error, HasSubstr("matmul"));
  EXPECT_THAT(error, HasSubstr("[2, 3]"));
  EXPECT_THAT(error, HasSubstr("[5, 2]"));
  EXPECT_THAT(error, HasSubstr(AtLine(kMistakeLine)));
}

TEST(Mistake, InBroadcastingNamesBothShapes) {
  const int line = __LINE__ + 1;
  const std::string error = CreateError([](Var y, Params& p) { return sum(y * p("scale", {4}), {1}); });
  EXPECT_THAT(error, AllOf(HasSubstr("mul"), HasSubstr("[2, 3]"), HasSubstr("[4]"), HasSubstr(AtLine(line))));
}

TEST(Mistake, InsideALayerNamesTheLineThatCalledIt) {
  int line = __LINE__ + 1;
  std::string error = CreateError([](Var y, Params& p) { return sum(Dense(p, "out", sum(y, {1}), 7), {1}); });
  EXPECT_THAT(error, AllOf(HasSubstr("matmul"), HasSubstr("[2]"), HasSubstr("[2, 7]"), HasSubstr(AtLine(line))));

  line = __LINE__ + 1;
  error = CreateError([](Var y, Params& p) { return sum(Conv2d(p, "flat", y, 4), {1}); });
  EXPECT_THAT(error,
              AllOf(HasSubstr("conv2d"), HasSubstr("[2, 3]"), HasSubstr("[3, 3, 3, 4]"), HasSubstr(AtLine(line))));

  line = __LINE__ + 3;
  error = CreateError([](Var y, Params& p) {
    const Var image = reshape(y, {-1, 3, 1, 1});
    return sum(Conv2d(p, "big", image, 4, {.kernel = 5, .padding = 1}), {1, 2, 3});
  });
  EXPECT_THAT(
      error, AllOf(HasSubstr("conv2d"), HasSubstr("[2, 3, 1, 1]"), HasSubstr("[5, 5, 1, 4]"), HasSubstr(AtLine(line))));

  line = __LINE__ + 1;
  error = CreateError([](Var y, Params& p) { return sum(Mlp(p, sum(y, {1}), {8, 1}), {1}); });
  EXPECT_THAT(error, AllOf(HasSubstr("matmul"), HasSubstr("[2]"), HasSubstr("[2, 8]"), HasSubstr(AtLine(line))));

  line = __LINE__ + 1;
  error = CreateError([](Var y, Params& p) { return sum(Dense(p, "none", y, 0), {1}); });
  EXPECT_THAT(error, AllOf(HasSubstr("\"none/w\""), HasSubstr("[3, 0]"), HasSubstr(AtLine(line))));
}

// What follows a mistake does not cover it up, and a later mistake does not replace it.
TEST(Mistake, TheFirstOneIsReported) {
  const int line = __LINE__ + 2;
  const std::string error = CreateError([](Var y, Params& p) {
    const Var a = reshape(y, {7});
    return sum(Conv2d(p, "c", a + p("b", {9}), 3), {1});
  });
  EXPECT_THAT(error, AllOf(HasSubstr("reshape"), HasSubstr("[2, 3]"), HasSubstr("[7]"), HasSubstr(AtLine(line))));
}

}  // namespace
}  // namespace neb
