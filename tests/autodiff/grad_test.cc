// Every op's gradient against finite differences, first and second order, in float64; third order for a few; and the
// checker itself against wrong rules planted on purpose.
#include "autodiff/grad.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/check_grad.h"
#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "autodiff/random.h"
#include "gtest/gtest.h"

namespace autodiff {
namespace {

using Function = std::function<Var(absl::Span<const Var>)>;

Tensor Uniform(const Shape& shape, double lo, double hi, uint64_t seed) {
  Tensor t(shape, DType::kF64);
  FillUniform({.seed = seed, .stream = kFirstFreeStream, .step = 0}, 0, t.data<double>());
  for (double& v : t.data<double>()) v = lo + (hi - lo) * v;
  return t;
}
Tensor Uniform(const Shape& shape, uint64_t seed) { return Uniform(shape, -1.5, 1.5, seed); }

// --- The table of elementwise ops ---

struct Row {
  std::string name;
  Function f;
  std::vector<Tensor> at;
  bool differentiable;
  // h = f in value, with a derivative that is 2 % too large.
  Function planted;
};

// Moves points off the kinks at 0 and a == b.
std::vector<Tensor> OffKinks(std::vector<Tensor> at) {
  for (int64_t i = 0; i < at[0].num_elements(); ++i) {
    if (std::abs(at[0].at(i)) < 0.05) at[0].set(i, 0.1);
    if (at.size() > 1 && std::abs(at[0].at(i) - at[1].at(i)) < 0.05) at[1].set(i, at[0].at(i) + 0.2);
  }
  return at;
}

// A function with the value of f and `factor` times its gradient: what a wrong rule looks like from outside.
Function Planted(const Function& f, double factor) {
  return [f, factor](absl::Span<const Var> x) {
    const Var y = f(x);
    return stop_gradient((1.0 - factor) * y) + factor * y;
  };
}

bool IsNoGrad(const char* text) { return std::string(text) == "NO_GRAD"; }

std::vector<Row> ElementwiseRows() {
  std::vector<Row> rows;
  auto push = [&](const char* name, Function f, std::vector<Tensor> at, bool differentiable) {
    rows.push_back({name, f, OffKinks(std::move(at)), differentiable, Planted(f, 1.02)});
  };
  const Shape shape = {3, 5};
#define UNARY(name, lanes, gradient, oracle, lo, hi) \
  push(                                              \
      #name, [](absl::Span<const Var> x) { return name(x[0]); }, {Uniform(shape, lo, hi, 1)}, !IsNoGrad(#gradient));
// pow's exponent must be a number.
#define BINARY(name, lanes, gradient_a, gradient_b, oracle, lo, hi)                                                   \
  push(                                                                                                               \
      #name, [](absl::Span<const Var> x) { return std::string(#name) == "pow" ? pow(x[0], 2.7) : name(x[0], x[1]); }, \
      {Uniform(shape, lo, hi, 1), Uniform(shape, lo, hi, 2)}, !IsNoGrad(#gradient_a));
#define TERNARY(name, lanes, gradient_a, gradient_b, gradient_c, oracle, lo, hi)           \
  push(                                                                                    \
      #name, [](absl::Span<const Var> x) { return name(greater(x[0], 0.0), x[1], x[2]); }, \
      {Uniform(shape, lo, hi, 1), Uniform(shape, lo, hi, 2), Uniform(shape, lo, hi, 3)}, true);
#include "autodiff/elementwise.inc"
  return rows;
}

TEST(ElementwiseGradients, MatchFiniteDifferencesToSecondOrder) {
  for (const Row& row : ElementwiseRows()) {
    if (!row.differentiable) continue;
    EXPECT_EQ(CheckGrad(row.f, row.at), absl::OkStatus()) << row.name;
  }
}

TEST(ElementwiseGradients, CatchPlantedWrongRules) {
  for (const Row& row : ElementwiseRows()) {
    if (!row.differentiable) continue;
    EXPECT_FALSE(CheckGrad(row.planted, row.at).ok()) << row.name;
  }
}

TEST(ElementwiseGradients, AreZeroForStepFunctions) {
  for (const Row& row : ElementwiseRows()) {
    if (row.differentiable) continue;
    EXPECT_EQ(CheckGrad(row.f, row.at, {.order = 1, .step = 1e-7}), absl::OkStatus()) << row.name;
  }
}

// --- Everything else ---

struct Case {
  const char* name;
  Function f;
  std::vector<Tensor> at;
};

std::vector<Case> StructuralCases() {
  const ConvOptions strided{.stride_h = 2, .stride_w = 1, .pad_top = 1, .pad_bottom = 0, .pad_left = 2, .pad_right = 1};
  using X = absl::Span<const Var>;
  return {
      {"silu", [](X x) { return silu(x[0]); }, {Uniform({7}, 1)}},
      {"gelu", [](X x) { return gelu(x[0]); }, {Uniform({7}, 1)}},
      {"leaky_relu", [](X x) { return square(leaky_relu(x[0], 0.2)); }, {Uniform({7}, 1)}},
      {"broadcast row", [](X x) { return tanh(x[0] * x[1]); }, {Uniform({4, 3}, 1), Uniform({3}, 2)}},
      {"broadcast column", [](X x) { return tanh(x[0] * x[1]); }, {Uniform({4, 3}, 1), Uniform({4, 1}, 2)}},
      {"broadcast both", [](X x) { return tanh(x[0] * x[1]); }, {Uniform({4, 1}, 1), Uniform({2, 1, 3}, 2)}},
      {"broadcast scalar", [](X x) { return tanh(x[0] * x[1]); }, {Uniform({4, 3}, 1), Uniform({}, 2)}},
      {"broadcast_to",
       [](X x) {
         return sin(broadcast_to(x[0], {2, 4, 3}));
       },
       {Uniform({4, 1}, 1)}},
      {"sum all", [](X x) { return square(sum(x[0])); }, {Uniform({2, 3, 4}, 1)}},
      {"sum outer and inner",
       [](X x) {
         return square(sum(x[0], {0, -1}));
       },
       {Uniform({2, 3, 4}, 1)}},
      {"sum keepdims", [](X x) { return x[0] * sum(x[0], {1}, true); }, {Uniform({2, 3, 4}, 1)}},
      {"mean",
       [](X x) {
         return exp(mean(x[0], {0, 1}));
       },
       {Uniform({2, 3, 4}, 1)}},
      {"max", [](X x) { return square(max(x[0], {1})); }, {Uniform({5, 6}, 1)}},
      {"logsumexp", [](X x) { return logsumexp(3.0 * x[0], {1}); }, {Uniform({3, 6}, 1)}},
      {"softmax", [](X x) { return softmax(x[0]); }, {Uniform({3, 6}, 1)}},
      {"softmax axis 0", [](X x) { return softmax(x[0], 0); }, {Uniform({3, 6}, 1)}},
      {"dot", [](X x) { return square(dot(x[0], x[1])); }, {Uniform({3, 6}, 1), Uniform({6}, 2)}},
      {"norm", [](X x) { return norm(x[0], {1}); }, {Uniform({3, 6}, 1)}},
      {"reshape",
       [](X x) {
         return sin(reshape(x[0], {3, -1})) * x[1];
       },
       {Uniform({2, 6}, 1), Uniform({3, 4}, 2)}},
      {"permute",
       [](X x) {
         return permute(x[0], {2, 0, 1}) * x[1];
       },
       {Uniform({2, 3, 4}, 1), Uniform({4, 2, 3}, 2)}},
      {"transpose", [](X x) { return sin(transpose(x[0])) * x[1]; }, {Uniform({2, 3}, 1), Uniform({3, 2}, 2)}},
      {"slice", [](X x) { return square(slice(x[0], 1, 1, 3)); }, {Uniform({3, 5}, 1)}},
      {"slice leading", [](X x) { return square(slice(x[0], 0, 1, 3)) * x[1]; }, {Uniform({4, 3}, 1), Uniform({3}, 2)}},
      {"pad", [](X x) { return cos(pad(x[0], 1, 2, 1)); }, {Uniform({3, 5}, 1)}},
      {"concat",
       [](X x) {
         return square(concat({x[0], x[1], x[0]}, 1));
       },
       {Uniform({2, 3}, 1), Uniform({2, 4}, 2)}},
      {"stack",
       [](X x) {
         return square(stack({x[0], x[1]}, -1)) * 3.0;
       },
       {Uniform({2, 3}, 1), Uniform({2, 3}, 2)}},
      {"matmul", [](X x) { return tanh(matmul(x[0], x[1])); }, {Uniform({3, 4}, 1), Uniform({4, 5}, 2)}},
      {"matmul ta",
       [](X x) { return tanh(matmul(x[0], x[1], {.transpose_a = true})); },
       {Uniform({4, 3}, 1), Uniform({4, 5}, 2)}},
      {"matmul tb",
       [](X x) { return tanh(matmul(x[0], x[1], {.transpose_b = true})); },
       {Uniform({3, 4}, 1), Uniform({5, 4}, 2)}},
      {"matmul ta tb",
       [](X x) { return tanh(matmul(x[0], x[1], {.transpose_a = true, .transpose_b = true})); },
       {Uniform({4, 3}, 1), Uniform({5, 4}, 2)}},
      {"matmul of a permuted operand",
       [](X x) { return tanh(matmul(transpose(x[0]), x[1])); },
       {Uniform({4, 3}, 1), Uniform({4, 5}, 2)}},
      {"matmul outer", [](X x) { return tanh(matmul(x[0], x[1])); }, {Uniform({3, 1}, 1), Uniform({1, 5}, 2)}},
      {"matmul batched", [](X x) { return tanh(matmul(x[0], x[1])); }, {Uniform({2, 3, 4}, 1), Uniform({2, 4, 5}, 2)}},
      {"matmul broadcast", [](X x) { return tanh(matmul(x[0], x[1])); }, {Uniform({3, 4}, 1), Uniform({2, 4, 5}, 2)}},
      {"matmul many rows", [](X x) { return tanh(matmul(x[0], x[1])); }, {Uniform({2, 3, 4}, 1), Uniform({4, 5}, 2)}},
      {"conv2d",
       [](X x) { return tanh(conv2d(x[0], x[1], ConvOptions::Same(1, 1))); },
       {Uniform({2, 4, 5, 2}, 1), Uniform({3, 3, 2, 3}, 2)}},
      {"conv2d strided",
       [strided](X x) { return tanh(conv2d(x[0], x[1], strided)); },
       {Uniform({2, 5, 4, 2}, 1), Uniform({3, 2, 2, 3}, 2)}},
      {"conv2d_input_adjoint",
       [strided](X x) { return tanh(conv2d_input_adjoint(x[0], x[1], 5, 4, strided)); },
       {Uniform({2, 2, 6, 3}, 1), Uniform({3, 2, 2, 3}, 2)}},
      {"conv2d_weight_adjoint",
       [strided](X x) { return tanh(conv2d_weight_adjoint(x[0], x[1], 3, 2, strided)); },
       {Uniform({2, 5, 4, 2}, 1), Uniform({2, 2, 6, 3}, 2)}},
  };
}

TEST(StructuralGradients, MatchFiniteDifferencesToSecondOrder) {
  for (const Case& c : StructuralCases()) EXPECT_EQ(CheckGrad(c.f, c.at), absl::OkStatus()) << c.name;
}

TEST(StructuralGradients, CatchPlantedWrongRules) {
  for (const Case& c : StructuralCases()) EXPECT_FALSE(CheckGrad(Planted(c.f, 1.02), c.at).ok()) << c.name;
}

TEST(ThirdOrder, MatchesFiniteDifferences) {
  const CheckGradOptions third{.order = 3, .tolerance = 1e-5};
  const std::vector<Tensor> at = {Uniform({3, 4}, 1), Uniform({4, 2}, 2)};
  EXPECT_EQ(CheckGrad([](absl::Span<const Var> x) { return silu(matmul(x[0], x[1])); }, at, third), absl::OkStatus());
  EXPECT_EQ(CheckGrad([](absl::Span<const Var> x) { return logsumexp(matmul(x[0], x[1]), {1}); }, at, third),
            absl::OkStatus());
  EXPECT_EQ(CheckGrad([](absl::Span<const Var> x) { return softplus(x[0]) * sigmoid(x[0]) + exp(sin(x[0])); },
                      {Uniform({5}, 3)}, third),
            absl::OkStatus());
}

// The checker must also see a rule that is right to first order only.
TEST(CheckGrad, CatchesAWrongSecondDerivative) {
  const Function f = [](absl::Span<const Var> x) {
    // Value and first derivative of x², second derivative of zero.
    const Var frozen = stop_gradient(x[0]);
    return 2.0 * frozen * x[0] - square(frozen);
  };
  EXPECT_EQ(CheckGrad(f, {Uniform({5}, 1)}, {.order = 1}), absl::OkStatus());
  EXPECT_FALSE(CheckGrad(f, {Uniform({5}, 1)}, {.order = 2}).ok());
}

// --- Conventions ---

double Gradient(const Function& f, double at) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {1});
  const Var g = grad(f(absl::Span<const Var>(&x, 1)), x);
  return (*Evaluate({g}, {x}, {Tensor::From<double>({1}, {at})}))[0].at(0);
}

TEST(Conventions, AtKinksAndTies) {
  EXPECT_EQ(Gradient([](auto x) { return abs(x[0]); }, 0), 0);
  EXPECT_EQ(Gradient([](auto x) { return relu(x[0]); }, 0), 0);
  EXPECT_EQ(Gradient([](auto x) { return sign(x[0]); }, 0), 0);
  EXPECT_EQ(Gradient([](auto x) { return maximum(x[0], 0.0); }, 0), 0.5);
  EXPECT_EQ(Gradient([](auto x) { return minimum(x[0], 0.0); }, 0), 0.5);
  EXPECT_EQ(Gradient([](auto x) { return norm(x[0], {0}); }, 0), 0);
  EXPECT_EQ(Gradient([](auto x) { return max(concat({x[0], x[0], 0.0 * x[0] + 7.0}, 0)); }, 7), 2.0 / 3);
}

TEST(Conventions, StopGradientStops) {
  EXPECT_EQ(Gradient([](auto x) { return x[0] * stop_gradient(x[0]); }, 3), 3);
}

TEST(Grad, IsZeroWhereNothingDepends) {
  Tape tape;
  const Var x = tape.Input("x", {2}), y = tape.Input("y", {3});
  const Var g = grad(sum(x), y);
  EXPECT_EQ(g.shape(), Shape({3}));
  const Tensor value = (*Evaluate({g}))[0];
  for (float v : value.data<float>()) EXPECT_EQ(v, 0);
}

// The gradient with respect to something computed, not only to inputs.
TEST(Grad, WithRespectToAnIntermediate) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {2});
  const Var h = square(x);
  const Var g = grad(sum(exp(h) + x), h);
  const Tensor value = (*Evaluate({g}, {x}, {Tensor::From<double>({2}, {0.5, -1.0})}))[0];
  EXPECT_DOUBLE_EQ(value.at(0), std::exp(0.25));
  EXPECT_DOUBLE_EQ(value.at(1), std::exp(1.0));
}

// Clairaut: the Hessian of a scalar function is symmetric. METHOD: the score's Jacobian is symmetric.
TEST(Grad, HessianIsSymmetric) {
  Tape tape(DType::kF64);
  const Var y = tape.Input("y", {1, 4}), u = tape.Input("u", {1, 4}), v = tape.Input("v", {1, 4});
  const Var w = tape.Constant(Uniform({4, 6}, 5));
  const Var phi = sum(softplus(matmul(y, w)) * sin(matmul(y, 0.3 * w)));
  const Var g = grad(phi, y);
  const Var hu = grad(sum(g * u), y), hv = grad(sum(g * v), y);
  const auto values =
      *Evaluate({sum(hu * v), sum(hv * u)}, {y, u, v}, {Uniform({1, 4}, 1), Uniform({1, 4}, 2), Uniform({1, 4}, 3)});
  EXPECT_NEAR(values[0].at(0), values[1].at(0), 1e-12 * std::abs(values[0].at(0)));
}

}  // namespace
}  // namespace autodiff
