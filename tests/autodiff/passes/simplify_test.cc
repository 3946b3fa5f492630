// Each rewrite fires, and each that would change an IEEE result does not.
#include "autodiff/passes/simplify.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The nodes that a value needs, itself included, without inputs and constants.
int CountOps(Var v) {
  std::vector<bool> live(static_cast<size_t>(v.id()) + 1, false);
  live.back() = true;
  int count = 0;
  for (int id = v.id(); id >= 0; --id) {
    if (!live[static_cast<size_t>(id)]) continue;
    const Node& n = v.tape()->node(id);
    count += n.inputs.empty() ? 0 : 1;
    for (int input : n.inputs) live[static_cast<size_t>(input)] = true;
  }
  return count;
}

using Expression = std::function<Var(Var x, Var y)>;  // of x, y [3, 4]

struct Rewrite {
  const char* name;
  Expression before, after;
};

std::vector<Rewrite> Rewrites() {
  return {
      {"x·1 -> x", [](Var x, Var y) { return exp(x * 1.0) + y; }, [](Var x, Var y) { return exp(x) + y; }},
      {"1·x -> x", [](Var x, Var y) { return exp(1.0 * x) + y; }, [](Var x, Var y) { return exp(x) + y; }},
      {"x/1 -> x", [](Var x, Var y) { return exp(x / 1.0) + y; }, [](Var x, Var y) { return exp(x) + y; }},
      {"x−0 -> x", [](Var x, Var y) { return exp(x - 0.0) + y; }, [](Var x, Var y) { return exp(x) + y; }},
      {"−(−x) -> x", [](Var x, Var y) { return exp(-(-x)) + y; }, [](Var x, Var y) { return exp(x) + y; }},
      {"x + (−y) -> x − y", [](Var x, Var y) { return x + (-y); }, [](Var x, Var y) { return x - y; }},
      {"(−x) + y -> y − x", [](Var x, Var y) { return (-x) + y; }, [](Var x, Var y) { return y - x; }},
      {"x − (−y) -> x + y", [](Var x, Var y) { return x - (-y); }, [](Var x, Var y) { return x + y; }},
      {"(−x)(−y) -> x y", [](Var x, Var y) { return (-x) * (-y); }, [](Var x, Var y) { return x * y; }},
      {"stop_gradient(x) -> x", [](Var x, Var y) { return stop_gradient(x) * y; }, [](Var x, Var y) { return x * y; }},
      {"reshape of reshape",
       [](Var x, Var) {
         return exp(reshape(reshape(x, {12}), {2, 6}));
       },
       [](Var x, Var) {
         return exp(reshape(x, {2, 6}));
       }},
      {"reshape and back",
       [](Var x, Var y) {
         return reshape(reshape(x, {12}), {3, 4}) * y;
       },
       [](Var x, Var y) { return x * y; }},
      {"permute of permute",
       [](Var x, Var y) {
         return exp(permute(permute(stack({x, y}), {1, 2, 0}), {1, 2, 0}));
       },
       [](Var x, Var y) {
         return exp(permute(stack({x, y}), {2, 0, 1}));
       }},
      {"transpose and back", [](Var x, Var y) { return transpose(transpose(x)) * y; },
       [](Var x, Var y) { return x * y; }},
      {"permute of extent-1 axes",
       [](Var x, Var) {
         return exp(permute(reshape(x, {3, 1, 4}), {1, 0, 2}));
       },
       [](Var x, Var) {
         return exp(reshape(x, {1, 3, 4}));
       }},
      {"xᵀ y", [](Var x, Var y) { return matmul(transpose(x), y); },
       [](Var x, Var y) { return matmul(x, y, {.transpose_a = true}); }},
      {"x yᵀ", [](Var x, Var y) { return matmul(x, transpose(y)); },
       [](Var x, Var y) { return matmul(x, y, {.transpose_b = true}); }},
      {"(xᵀ)ᵀ y by flag", [](Var x, Var y) { return matmul(transpose(x), transpose(y), {.transpose_a = true}); },
       [](Var x, Var y) { return matmul(x, y, {.transpose_b = true}); }},
      {"dead nodes",
       [](Var x, Var y) {
         exp(sin(x));
         return x * y;
       },
       [](Var x, Var y) { return x * y; }},
  };
}

TEST(Simplify, RewritesFire) {
  for (const Rewrite& r : Rewrites()) {
    SCOPED_TRACE(r.name);
    Tape tape(DType::kF64), simplified(DType::kF64), copied(DType::kF64);
    const Var x = tape.Input("x", {3, 4}), y = tape.Input("y", {3, 4});
    const Var before = r.before(x, y), after = r.after(x, y);
    ASSERT_TRUE(before.ok() && after.ok()) << tape.status();
    const Var result = Simplify({before}, simplified, true)[0];
    EXPECT_EQ(CountOps(result), CountOps(after));
    // The very same expression: recording what was expected finds it there.
    EXPECT_EQ(Simplify({after}, simplified, true)[0].node().kind, result.node().kind);
    // Without rewriting, the live part as it is.
    EXPECT_EQ(CountOps(Simplify({before}, copied, false)[0]), CountOps(before));
    EXPECT_EQ(result.shape(), after.shape());
    const std::vector<Tensor> at = {Uniform({3, 4}, -1, 1, 1), Uniform({3, 4}, -1, 1, 2)};
    EXPECT_TRUE(AllNear(Value(before, {x, y}, at), Value(after, {x, y}, at, {.optimize = false}), 1e-15));
  }
}

TEST(Simplify, KeepsInputsAndSharesWhatBecomesEqual) {
  Tape tape, simplified;
  tape.Input("unused", {5});
  const Var x = tape.Input("x", {3}), y = tape.Input("y", {3});
  const std::vector<Var> roots = Simplify({exp(x * 1.0) * y, exp(x), y}, simplified, true);
  EXPECT_EQ(roots[2].node().name, "y");
  EXPECT_EQ(roots[2].node().attributes, y.node().attributes);
  EXPECT_EQ(CountOps(roots[0]), 2);
  const absl::InlinedVector<int, 3>& inputs = roots[0].node().inputs;
  EXPECT_TRUE(inputs[0] == roots[1].id() || inputs[1] == roots[1].id());
}

// The gradient of exp starts with a product by one, and reverse mode adds up negations: nothing of that is left.
TEST(Simplify, GradientsAreCleanedUp) {
  Tape tape, simplified;
  const Var x = tape.Input("x", {3});
  EXPECT_EQ(CountOps(Simplify({grad(exp(x), x)}, simplified, true)[0]), 1);
  const Var y = tape.Input("y", {3});
  // d/dy sin(x − y) = −cos(x − y).
  EXPECT_EQ(CountOps(Simplify({grad(sin(x - y), y)}, simplified, true)[0]), 3);
}

double At(const std::function<Var(Var)>& f, double x) {
  Tape tape(DType::kF64);
  const Var v = tape.Input("x", {1});
  return Value(f(v), {v}, {Tensor::From<double>({1}, {x})}).at(0);
}

TEST(Simplify, NeverChangesAnIeeeResult) {
  const auto times_zero = [](Var x) { return x * 0.0; };
  EXPECT_TRUE(std::isnan(At(times_zero, kNan)));
  EXPECT_TRUE(std::isnan(At(times_zero, kInf)));
  EXPECT_TRUE(std::signbit(At(times_zero, -1)));
  const auto minus_itself = [](Var x) { return x - x; };
  EXPECT_TRUE(std::isnan(At(minus_itself, kInf)));
  EXPECT_TRUE(std::isnan(At(minus_itself, kNan)));
  const auto plus_its_negative = [](Var x) { return x + (-x); };
  EXPECT_TRUE(std::isnan(At(plus_its_negative, kInf)));
  const auto over_itself = [](Var x) { return x / x; };
  EXPECT_TRUE(std::isnan(At(over_itself, 0)));
  EXPECT_TRUE(std::isnan(At(over_itself, kInf)));
  const auto zero_over = [](Var x) { return 0.0 / x; };
  EXPECT_TRUE(std::isnan(At(zero_over, 0)));
  const auto equals_itself = [](Var x) { return equal(x, x); };
  EXPECT_EQ(At(equals_itself, kNan), 0);
  const auto exp_of_log = [](Var x) { return exp(log(x)); };
  EXPECT_TRUE(std::isnan(At(exp_of_log, -1)));
  const auto root_of_square = [](Var x) { return sqrt(x) * sqrt(x); };
  EXPECT_TRUE(std::isnan(At(root_of_square, -1)));
  // (x + 1e16) − 1e16 is not x, and x·3/3 need not be.
  EXPECT_EQ(At([](Var x) { return (x + 1e16) - 1e16; }, 1), 0);
  EXPECT_EQ(At([](Var x) { return x * 1e308 * 10.0 / 1e308; }, 1), kInf);
  // x + 0 is not x for x = −0, nor is x − (−0).
  EXPECT_FALSE(std::signbit(At([](Var x) { return x + 0.0; }, -0.0)));
  EXPECT_FALSE(std::signbit(At([](Var x) { return x - (-0.0); }, -0.0)));
  EXPECT_TRUE(std::signbit(At([](Var x) { return x - 0.0; }, -0.0)));
  EXPECT_TRUE(std::signbit(At([](Var x) { return x * 1.0; }, -0.0)));
}

}  // namespace
}  // namespace autodiff
