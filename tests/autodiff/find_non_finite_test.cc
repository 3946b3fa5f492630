#include "autodiff/find_non_finite.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor F32(const Shape& shape, const std::vector<float>& values) { return Tensor::From<float>(shape, values); }

// The first op that goes wrong for this x; a failure, or none, fails the test.
NonFinite Found(const std::vector<Var>& results, Var x, const Tensor& value) {
  const auto found = FindNonFinite(results, {x}, {&value});
  EXPECT_EQ(found.status(), absl::OkStatus());
  EXPECT_TRUE(found.ok() && found->has_value()) << "all is finite";
  return found.ok() && found->has_value() ? **found : NonFinite{};
}

bool AllFinite(const std::vector<Var>& results, Var x, const Tensor& value) {
  const auto found = FindNonFinite(results, {x}, {&value});
  EXPECT_EQ(found.status(), absl::OkStatus());
  return found.ok() && !found->has_value();
}

// As a user writes an energy.
Var LogEnergy(Var y) {
  const Var u = y - 1.0;
  const Var l = log(u);
  return sum(square(l), {1});
}
constexpr int kLogLine = __LINE__ - 3;

TEST(FindNonFinite, NamesTheLogarithmOfANegativeNumber) {
  Tape tape;
  const Var y = tape.Input("y", {2, 3});
  const Var phi = LogEnergy(y), slope = grad(phi, y);
  const NonFinite found = Found({phi, slope}, y, F32({2, 3}, {2, 3, 4, 2, 0.5f, 2}));
  EXPECT_EQ(found.op, "log");
  EXPECT_EQ(found.shape, (Shape{2, 3}));
  EXPECT_EQ(found.index, (std::vector<int64_t>{1, 1}));
  EXPECT_TRUE(std::isnan(found.value));
  EXPECT_EQ(found.operands, std::vector<double>{-0.5});
  EXPECT_TRUE(found.gradient_of.empty());
  EXPECT_EQ(found.location.line, kLogLine);
  EXPECT_EQ(ToString(found),
            absl::StrCat("log of shape [2, 3] made nan of -0.5 at [1, 1] (", __FILE__, ":", kLogLine, ")"));
}

TEST(FindNonFinite, NamesAPoleAndAnOverflow) {
  Tape tape;
  const Var y = tape.Input("y", {3});
  const NonFinite pole = Found({sum(1.0 / y)}, y, F32({3}, {1, 0, 2}));
  EXPECT_EQ(pole.op, "div");
  EXPECT_EQ(pole.value, kInf);
  EXPECT_EQ(pole.operands, (std::vector<double>{1, 0}));
  const NonFinite overflow = Found({sum(exp(square(y)))}, y, F32({3}, {1, 2, 10}));
  EXPECT_EQ(overflow.op, "exp");
  EXPECT_EQ(overflow.operands, std::vector<double>{100});
  // Of products and sums the inputs are too many to list.
  const NonFinite product = Found({matmul(reshape(y, {1, 3}), reshape(y, {3, 1}))}, y, F32({3}, {1e30f, 1, 1e30f}));
  EXPECT_EQ(product.op, "matmul");
  EXPECT_EQ(product.value, kInf);
  EXPECT_TRUE(product.operands.empty());
}

// φ = √x is 0 at 0 and its slope infinite: the forward pass is finite, the gradient is not.
TEST(FindNonFinite, TellsAGradientFromTheForwardPass) {
  Tape tape;
  const Var y = tape.Input("y", {3});
  const int line = __LINE__ + 1;
  const Var root = sqrt(y);
  const Var phi = sum(root);
  const Tensor at = F32({3}, {1, 4, 0});
  EXPECT_TRUE(AllFinite({phi}, y, at));
  const NonFinite found = Found({phi, grad(phi, y)}, y, at);
  EXPECT_EQ(found.op, "div");  // 0.5 / √y
  EXPECT_EQ(found.index, std::vector<int64_t>{2});
  EXPECT_EQ(found.gradient_of, std::vector<std::string>{"sqrt"});
  EXPECT_EQ(found.location.line, line);
  EXPECT_NE(ToString(found).find("in the gradient of sqrt ("), std::string::npos) << found;
}

// x^1.5 and its slope 1.5 √x are 0 at 0, the second derivative is infinite: as in a loss that contains a gradient. The
// rule of pow records a square root, whose rule divides by it.
TEST(FindNonFinite, NamesTheGradientOfAGradient) {
  Tape tape;
  const Var y = tape.Input("y", {2});
  const int line = __LINE__ + 1;
  const Var power = pow(y, 1.5);
  const Var slope = grad(sum(power), y);
  const Tensor at = F32({2}, {1, 0});
  EXPECT_TRUE(AllFinite({slope}, y, at));
  const NonFinite found = Found({grad(sum(square(slope - 1.0)), y)}, y, at);
  EXPECT_EQ(found.gradient_of, (std::vector<std::string>{"sqrt", "pow"}));
  EXPECT_EQ(found.location.line, line);
  EXPECT_EQ(found.value, -kInf);  // 2 (slope − 1) · 0.5 / 0
  EXPECT_NE(ToString(found).find("in the gradient of sqrt in the gradient of pow ("), std::string::npos) << found;
}

// What is thrown away is nobody's fault.
TEST(FindNonFinite, PassesOverWhatIsDiscarded) {
  Tape tape;
  const Var y = tape.Input("y", {3});
  const Tensor at = F32({3}, {-1, 4, 0});
  const Var guarded = where(greater(y, 0.0), log(y), 0.0);
  EXPECT_TRUE(AllFinite({sum(guarded)}, y, at));
  EXPECT_TRUE(AllFinite({sum(exp(log(abs(y))))}, y, at));
  const NonFinite found = Found({sum(guarded) + sum(1.0 / (y - 4.0))}, y, at);
  EXPECT_EQ(found.op, "div");
  EXPECT_EQ(found.index, std::vector<int64_t>{1});
}

// An infinity that was put in on purpose is told from one that was made.
TEST(FindNonFinite, NamesWhatCameFromOutside) {
  Tape tape;
  const Var y = tape.Input("y", {3});
  const NonFinite input = Found({sum(square(y))}, y, F32({3}, {1, -INFINITY, 0}));
  EXPECT_EQ(input.op, "input");
  EXPECT_EQ(input.name, "y");
  EXPECT_EQ(input.value, -kInf);
  EXPECT_EQ(ToString(input).substr(0, 37), "input \"y\" of shape [3] is -inf at [1]");
  // A softmax whose mask leaves nothing: 0/0 is made of finite numbers, −inf is the mask's.
  const Var masked = where(greater(y, 0.0), y, -kInf);
  EXPECT_TRUE(AllFinite({softmax(masked)}, y, F32({3}, {1, -1, 2})));
  EXPECT_EQ(Found({softmax(masked)}, y, F32({3}, {-1, -1, -2})).op, "div");
}

TEST(FindNonFinite, FindsTheFirstOfSeveral) {
  Tape tape(DType::kF64);
  const Var y = tape.Input("y", {2});
  const Var a = log(y), b = sqrt(y), c = sum(a * b);
  const Tensor at = Tensor::From<double>({2}, std::vector<double>{1, -2});
  EXPECT_EQ(Found({c}, y, at).op, "log");
  EXPECT_EQ(Found({sum(b)}, y, at).op, "sqrt");
}

TEST(FindNonFinite, ChecksItsArguments) {
  Tape tape;
  const Var x = tape.Input("x", {2}), y = tape.Input("y", {2});
  const Tensor right({2}), wrong({3});
  EXPECT_FALSE(FindNonFinite({x + y}, {x}, {&right}).ok());
  EXPECT_FALSE(FindNonFinite({x + y}, {x, y}, {&right}).ok());
  EXPECT_FALSE(FindNonFinite({x + y}, {x, y}, {&right, &wrong}).ok());
  EXPECT_FALSE(FindNonFinite({x + y}, {x, y}, {&right, nullptr}).ok());
  EXPECT_TRUE(FindNonFinite({x + y}, {x, y}, {&right, &right}).ok());
}

}  // namespace
}  // namespace autodiff
