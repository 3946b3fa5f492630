// What is recorded once, and what is said about mistakes: the first one, with its op, both shapes and the user's line.
#include "autodiff/tape.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"

namespace autodiff {
namespace {

// "(tests/autodiff/tape_test.cc:17)", as it stands in a message.
std::string At(int line) { return absl::StrCat("(", __FILE__, ":", line, ")"); }

std::string Message(const Tape& tape) { return std::string(tape.status().message()); }

// --- Hash-consing ---

TEST(HashConsing, SameExpressionIsTheSameNode) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3}), w = tape.Input("w", {3, 3});
  auto f = [&] { return logsumexp(tanh(matmul(x, w)) + 1.0, {1}); };
  const Var first = f();
  const int size = tape.size();
  EXPECT_EQ(f(), first);
  EXPECT_EQ(tape.size(), size);
}

TEST(HashConsing, CommutedOperandsAreTheSameNodeWhereTheOpCommutes) {
  Tape tape;
  const Var x = tape.Input("x", {3}), y = tape.Input("y", {3});
  EXPECT_EQ(x + y, y + x);
  EXPECT_EQ(x * y, y * x);
  EXPECT_EQ(2.0 * x, x * 2.0);
  EXPECT_EQ(maximum(x, y), maximum(y, x));
  EXPECT_EQ(minimum(x, y), minimum(y, x));
  EXPECT_EQ(equal(x, y), equal(y, x));
  EXPECT_NE(x - y, y - x);
  EXPECT_NE(x / y, y / x);
  EXPECT_NE(less(x, y), less(y, x));
}

TEST(HashConsing, GradientsShareTheForwardPass) {
  Tape tape;
  const Var x = tape.Input("x", {3});
  const Var y = exp(x);
  // The derivative of exp is exp, the same node times one.
  EXPECT_EQ(grad(y, x), 1.0 * y);
  const Var once = grad(sum(square(y)), x);
  const int size = tape.size();
  EXPECT_EQ(grad(sum(square(y)), x), once);
  EXPECT_EQ(tape.size(), size);
}

TEST(HashConsing, InputsAreNeverMerged) {
  Tape tape;
  const Var a = tape.Input("x", {3}), b = tape.Input("x", {3});
  EXPECT_NE(a, b);
  EXPECT_NE(exp(a), exp(b));
}

TEST(HashConsing, DifferentAttributesAreDifferentNodes) {
  Tape tape;
  const Var x = tape.Input("x", {4, 4});
  EXPECT_NE(sum(x, {0}), sum(x, {1}));
  EXPECT_NE(sum(x, {0}), max(x, {0}));
  EXPECT_NE(slice(x, 0, 0, 2), slice(x, 0, 1, 3));
  EXPECT_NE(pad(x, 0, 1, 0), pad(x, 0, 0, 1));
  EXPECT_NE(matmul(x, x), matmul(x, x, {.transpose_b = true}));
  EXPECT_NE(reshape(x, {16}), reshape(x, {2, 8}));
}

TEST(HashConsing, ConstantsAreMergedByContent) {
  Tape tape;
  EXPECT_EQ(tape.Constant(2.5), tape.Constant(2.5));
  EXPECT_NE(tape.Constant(2.5), tape.Constant(2.5, {1}));
  EXPECT_NE(tape.Constant(0.0), tape.Constant(-0.0));
  EXPECT_EQ(tape.Constant(std::nan("")), tape.Constant(std::nan("")));

  // Longer than any prefix that a hash may look at.
  Tensor t({1000}), u({1000});
  EXPECT_EQ(tape.Constant(t), tape.Constant(t));
  EXPECT_EQ(tape.Constant(t), tape.Constant(u));
  EXPECT_NE(tape.Constant(t), tape.Constant(t.Reshaped({10, 100})));
  u.set(999, 1);
  EXPECT_NE(tape.Constant(t), tape.Constant(u));
  // Rounded to the tape's dtype first.
  EXPECT_EQ(tape.Constant(t), tape.Constant(t.Cast(DType::kF64)));
}

TEST(HashConsing, NothingIsRecordedForTheIdentity) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  EXPECT_EQ(reshape(x, {2, 3}), x);
  EXPECT_EQ(reshape(x, {-1, 3}), x);
  EXPECT_EQ(permute(x, {0, 1}), x);
  EXPECT_EQ(broadcast_to(x, {2, 3}), x);
  EXPECT_EQ(slice(x, 1, 0, 3), x);
  EXPECT_EQ(pad(x, 1, 0, 0), x);
  EXPECT_EQ(concat({x}, 0), x);
  EXPECT_EQ(sum(x, {}), x);
}

TEST(HashConsing, ArithmeticOnNumbersIsDoneAtOnce) {
  Tape tape(DType::kF64);
  const Var two = tape.Constant(2.0);
  const Var v = exp(two) * 3.0 + sqrt(two);
  ASSERT_EQ(v.node().kind, OpKind::kConstant);
  EXPECT_DOUBLE_EQ(v.node().constant(), 3 * std::exp(2.0) + std::sqrt(2.0));
}

// --- Vars ---

TEST(VarTest, KnowsItsShape) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3, 5});
  EXPECT_EQ(x.shape(), Shape({2, 3, 5}));
  EXPECT_EQ(x.rank(), 3);
  EXPECT_EQ(x.dim(0), 2);
  EXPECT_EQ(x.dim(-1), 5);
  EXPECT_EQ(x.dim(-3), 2);
  EXPECT_EQ(x.dim(3), 1);
  EXPECT_EQ(x.dim(-4), 1);
}

TEST(VarTest, TheDefaultBelongsToNoTape) {
  const Var v;
  EXPECT_FALSE(v.ok());
  EXPECT_EQ(v.tape(), nullptr);
  EXPECT_EQ(v.shape(), Shape());
  EXPECT_EQ(v.dim(-1), 1);
  // Without a tape there is nowhere to record a mistake; nothing crashes either.
  EXPECT_FALSE((v + 1.0).ok());
  EXPECT_FALSE(sum(v).ok());
  EXPECT_FALSE(mean(v, {0}).ok());
  EXPECT_FALSE(softmax(v).ok());
  EXPECT_FALSE(norm(v, {0}).ok());
  EXPECT_FALSE(matmul(v, v).ok());
  EXPECT_FALSE(stack({v, v}).ok());
  EXPECT_FALSE(concat({}, 0).ok());
  EXPECT_FALSE(stack({}).ok());
  EXPECT_FALSE(grad(v, v).ok());
  EXPECT_FALSE(Compile({.inputs = {}, .state = {}, .outputs = {v}}).ok());
}

// --- Mistakes ---

Var Ones(Var like, const Shape& shape) { return like.tape()->Constant(1, shape); }

struct Mistake {
  const char* op;
  std::vector<std::string> said;  // parts of the message
  int line;                       // of the call in `make`
  std::function<Var(Var)> make;   // x [2, 3] -> the mistake
};

std::vector<Mistake> Mistakes() {
  return {
      // clang-format off
      {"add", {"[2, 3]", "[4, 1]", "axis 0 has 2 and 4"}, __LINE__ + 1,
       [](Var x) { return x + Ones(x, {4, 1}); }},
      {"sub", {"[2, 3]", "[2]"}, __LINE__ + 1,
       [](Var x) { return x - Ones(x, {2}); }},
      {"mul", {"[2, 3]", "[3, 2]"}, __LINE__ + 1,
       [](Var x) { return x * Ones(x, {3, 2}); }},
      {"div", {"[2, 3]", "[3, 2]"}, __LINE__ + 1,
       [](Var x) { return 1.0 / x / Ones(x, {3, 2}); }},
      {"maximum", {"[2, 3]", "[3, 2]"}, __LINE__ + 1,
       [](Var x) { return maximum(x, Ones(x, {3, 2})); }},
      {"where", {"[2, 3]", "[5]"}, __LINE__ + 1,
       [](Var x) { return where(x, x, Ones(x, {5})); }},
      {"pow", {"exponent"}, __LINE__ + 1,
       [](Var x) { return pow(2.0, x); }},
      {"sum", {"axis 2", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return sum(x, {2}); }},
      {"sum", {"axis -3", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return sum(x, {-3}); }},
      {"sum", {"twice", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return sum(x, {0, -2}); }},
      {"sum", {"axis 5", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return mean(x, {5}); }},
      {"max", {"axis 5", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return max(x, {5}); }},
      {"max", {"no elements", "[0, 3]"}, __LINE__ + 1,
       [](Var x) { return max(slice(x, 0, 1, 1)); }},
      {"max", {"axis 5", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return logsumexp(x, {5}); }},
      {"max", {"axis 5", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return softmax(x, 5); }},
      {"sum", {"axis 5", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return norm(x, {5}); }},
      {"sum", {"axis 5", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return squared_norm(x, {5}); }},
      {"mul", {"[2, 3]", "[4]"}, __LINE__ + 1,
       [](Var x) { return dot(x, Ones(x, {4})); }},
      {"sum", {"axis -1", "[]"}, __LINE__ + 1,
       [](Var x) { return dot(sum(x), 2.0); }},
      {"reshape", {"[2, 3]", "6 elements", "[4, 2]"}, __LINE__ + 1,
       [](Var x) { return reshape(x, {4, 2}); }},
      {"reshape", {"[2, 3]", "[4, -1]"}, __LINE__ + 1,
       [](Var x) { return reshape(x, {4, -1}); }},
      {"reshape", {"[2, 3]", "[-1, -1]"}, __LINE__ + 1,
       [](Var x) { return reshape(x, {-1, -1}); }},
      {"reshape", {"[2, 3]", "[-2, -3]"}, __LINE__ + 1,
       [](Var x) { return reshape(x, {-2, -3}); }},
      {"permute", {"[0]", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return permute(x, {0}); }},
      {"permute", {"[0, 0]", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return permute(x, {0, 0}); }},
      {"permute", {"[0, 2]", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return permute(x, {0, 2}); }},
      {"transpose", {"[3]"}, __LINE__ + 1,
       [](Var x) { return transpose(sum(x, {0})); }},
      {"broadcast_to", {"[2, 3]", "[2, 4]"}, __LINE__ + 1,
       [](Var x) { return broadcast_to(x, {2, 4}); }},
      {"broadcast_to", {"[2, 3]", "[3]"}, __LINE__ + 1,
       [](Var x) { return broadcast_to(x, {3}); }},
      {"broadcast_to", {"[]", "[-4]"}, __LINE__ + 1,
       [](Var x) { return broadcast_to(sum(x), {-4}); }},
      {"slice", {"[1 : 4]", "axis 1", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return slice(x, 1, 1, 4); }},
      {"slice", {"[2 : 1]", "axis 1", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return slice(x, 1, 2, 1); }},
      {"slice", {"[-1 : 2]", "axis 1", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return slice(x, 1, -1, 2); }},
      {"slice", {"axis 2", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return slice(x, 2, 0, 1); }},
      {"pad", {"(-1, 0)", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return pad(x, 1, -1, 0); }},
      {"pad", {"axis 2", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return pad(x, 2, 1, 0); }},
      {"concat", {"[2, 3]", "[3, 2]", "axis 0"}, __LINE__ + 1,
       [](Var x) { return concat({x, transpose(x)}, 0); }},
      {"concat", {"[2, 3]", "[]"}, __LINE__ + 1,
       [](Var x) { return concat({x, sum(x)}, 0); }},
      {"concat", {"axis 2", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return concat({x, x}, 2); }},
      {"concat", {"no tape"}, __LINE__ + 1,
       [](Var x) { return concat({x, Var()}, 0); }},
      {"stack", {"[2, 3]", "[3, 2]"}, __LINE__ + 1,
       [](Var x) { return stack({x, transpose(x)}); }},
      {"stack", {"axis 3", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return stack({x, x}, 3); }},
      {"stack", {"axis -4", "[2, 3]"}, __LINE__ + 1,
       [](Var x) { return stack({x, x}, -4); }},
      {"stack", {"no tape"}, __LINE__ + 1,
       [](Var x) { return stack({x, Var()}); }},
      {"matmul", {"[2, 3]", "inner extents"}, __LINE__ + 1,
       [](Var x) { return matmul(x, x); }},
      {"matmul", {"[2, 3] (transposed)", "[3, 2]"}, __LINE__ + 1,
       [](Var x) { return matmul(x, transpose(x), {.transpose_a = true}); }},
      {"matmul", {"[2, 3]", "[3]", "dot"}, __LINE__ + 1,
       [](Var x) { return matmul(x, sum(x, {0})); }},
      {"matmul", {"[2, 3]", "[]"}, __LINE__ + 1,
       [](Var x) { return matmul(x, 2.0); }},
      {"matmul", {"[4, 2, 3]", "[5, 3, 2]", "leading"}, __LINE__ + 1,
       [](Var x) { return matmul(broadcast_to(x, {4, 2, 3}), Ones(x, {5, 3, 2})); }},
      {"conv2d", {"[2, 3]", "[N, H, W, C]"}, __LINE__ + 1,
       [](Var x) { return conv2d(x, x); }},
      {"conv2d", {"[1, 8, 8, 3]", "3 channels, w 2"}, __LINE__ + 1,
       [](Var x) { return conv2d(Ones(x, {1, 8, 8, 3}), Ones(x, {3, 3, 2, 4})); }},
      {"conv2d", {"[1, 2, 8, 3]", "[3, 3, 3, 4]", "larger"}, __LINE__ + 1,
       [](Var x) { return conv2d(Ones(x, {1, 2, 8, 3}), Ones(x, {3, 3, 3, 4})); }},
      {"conv2d", {"stride"}, __LINE__ + 1,
       [](Var x) { return conv2d(Ones(x, {1, 8, 8, 3}), Ones(x, {3, 3, 3, 4}), {.stride_h = 0}); }},
      {"conv2d", {"padding"}, __LINE__ + 1,
       [](Var x) { return conv2d(Ones(x, {1, 8, 8, 3}), Ones(x, {3, 3, 3, 4}), {.pad_left = -1}); }},
      {"conv2d_input_adjoint", {"[2, 3]"}, __LINE__ + 1,
       [](Var x) { return conv2d_input_adjoint(x, x, 2, 3); }},
      {"conv2d_input_adjoint", {"[1, 6, 6, 4]", "[3, 3, 3, 4]"}, __LINE__ + 1,
       [](Var x) { return conv2d_input_adjoint(Ones(x, {1, 6, 6, 4}), Ones(x, {3, 3, 3, 4}), 9, 8); }},
      {"conv2d_weight_adjoint", {"[1, 8, 8, 3]", "[2, 6, 6, 4]"}, __LINE__ + 1,
       [](Var x) { return conv2d_weight_adjoint(Ones(x, {1, 8, 8, 3}), Ones(x, {2, 6, 6, 4}), 3, 3); }},
      // clang-format on
  };
}

TEST(Mistakes, NameTheOpBothShapesAndTheLine) {
  for (const Mistake& m : Mistakes()) {
    SCOPED_TRACE(absl::StrCat(m.op, " in line ", m.line));
    Tape tape;
    const Var wrong = m.make(tape.Input("x", {2, 3}));
    EXPECT_FALSE(wrong.ok());
    EXPECT_EQ(tape.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message = Message(tape);
    EXPECT_EQ(message.rfind(absl::StrCat(m.op, ": "), 0), 0u) << message;
    EXPECT_NE(message.find(At(m.line)), std::string::npos) << message;
    for (const std::string& part : m.said) EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(Mistakes, PoisonWhatIsMadeOfThem) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  const Var wrong = matmul(x, x);
  EXPECT_EQ(wrong.shape(), Shape());
  const std::vector<Var> all = {wrong + 1.0,
                                1.0 - wrong,
                                exp(wrong),
                                sum(wrong),
                                sum(wrong, {7}),
                                mean(wrong),
                                max(wrong, {0}),
                                softmax(wrong),
                                logsumexp(wrong, {1}),
                                norm(wrong, {1}),
                                reshape(wrong, {1}),
                                permute(wrong, {1}),
                                transpose(wrong),
                                broadcast_to(wrong, {4}),
                                slice(wrong, 3, 1, 2),
                                pad(wrong, 3, 1, 1),
                                concat({x, wrong}, 0),
                                stack({x, wrong}),
                                matmul(x, wrong),
                                conv2d(wrong, wrong),
                                gelu(wrong),
                                silu(wrong),
                                where(x, x, wrong),
                                stop_gradient(wrong),
                                dot(wrong, x),
                                grad(wrong, x),
                                grad(sum(x), wrong),
                                leaky_relu(wrong),
                                pow(wrong, 3.0),
                                squared_norm(wrong, {1})};
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(all[i].ok()) << i;
    EXPECT_EQ(all[i].tape(), &tape) << i;
  }
}

TEST(Mistakes, TheFirstOneIsReportedByCompile) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  const int line = __LINE__ + 1;
  const Var first = matmul(x, x);
  const Var second = reshape(x, {5});
  const Var third = first + second;
  EXPECT_FALSE(third.ok());
  const std::string message = Message(tape);
  EXPECT_NE(message.find(At(line)), std::string::npos) << message;
  EXPECT_EQ(message.find("reshape"), std::string::npos) << message;
  // Also when the outputs have nothing to do with it: the user meant something else than what was recorded.
  const absl::Status of_others = Compile({.inputs = {x}, .state = {}, .outputs = {sum(x)}}).status();
  EXPECT_EQ(of_others, tape.status());
  EXPECT_EQ(Evaluate({third}, {x}, {Tensor({2, 3})}).status(), tape.status());
}

TEST(Mistakes, VarsOfDifferentTapes) {
  Tape tape, other;
  const Var x = tape.Input("x", {3}), y = other.Input("y", {3});
  const int line = __LINE__ + 1;
  EXPECT_FALSE((x + y).ok());
  EXPECT_NE(Message(tape).find("add: the operands are on different tapes"), std::string::npos) << tape.status();
  EXPECT_NE(Message(tape).find(At(line)), std::string::npos) << tape.status();
  EXPECT_FALSE(concat({y, x}, 0).ok());
  EXPECT_NE(Message(other).find("concat"), std::string::npos) << other.status();
  Tape third;
  const Var z = third.Input("z", {3});
  EXPECT_FALSE(grad(sum(z), x).ok());
  EXPECT_NE(Message(third).find("grad"), std::string::npos) << third.status();
}

TEST(Mistakes, AnOperandOfNoTape) {
  Tape tape;
  const Var x = tape.Input("x", {3});
  const int line = __LINE__ + 1;
  EXPECT_FALSE((x * Var()).ok());
  EXPECT_NE(Message(tape).find("mul: an operand belongs to no tape"), std::string::npos) << tape.status();
  EXPECT_NE(Message(tape).find(At(line)), std::string::npos) << tape.status();
}

TEST(Mistakes, NegativeExtents) {
  Tape tape;
  const int line = __LINE__ + 1;
  EXPECT_FALSE(tape.Input("x", {2, -3}).ok());
  EXPECT_NE(Message(tape).find("input: \"x\" cannot have shape [2, -3]"), std::string::npos) << tape.status();
  EXPECT_NE(Message(tape).find(At(line)), std::string::npos) << tape.status();
}

// --- Which line ---

constexpr int kInnermostLine = __LINE__ + 1;
Var Innermost(Var a, Var b) { return matmul(a, b); }
Var Middle(Var a, Var b) { return tanh(Innermost(a, b)); }
Var Outermost(Var a, Var b) { return sum(Middle(a, b)); }

TEST(Lines, AreTheUsersOwnHoweverDeep) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  EXPECT_FALSE(Outermost(x, x).ok());
  EXPECT_NE(Message(tape).find(At(kInnermostLine)), std::string::npos) << tape.status();
}

// As the layers of the library are written: operands by Arg, a CallSite first.
Var Layer(Arg x, Arg w) {
  CallSite site(x);
  const Var product = matmul(x, w);
  return silu(product) + product;
}
Var TwoLayers(Arg x, Arg w) {
  CallSite site(x);
  const Var h = exp(x);
  return Layer(h, w);
}
Var Network(Var x, Var w) {
  const Var h = tanh(x);
  return Layer(h, w);
}
constexpr int kNetworkLine = __LINE__ - 2;

TEST(Lines, OfALayerAreWhereItWasCalled) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  const int line = __LINE__ + 1;
  const Var y = Layer(x, x);
  EXPECT_FALSE(y.ok());
  EXPECT_NE(Message(tape).find("matmul: "), std::string::npos) << tape.status();
  EXPECT_NE(Message(tape).find(At(line)), std::string::npos) << tape.status();
}

TEST(Lines, OfALayerInAUsersFunctionAreInThatFunction) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  EXPECT_FALSE(Network(x, x).ok());
  EXPECT_NE(Message(tape).find(At(kNetworkLine)), std::string::npos) << tape.status();
}

TEST(Lines, OfNestedLayersAreWhereTheOutermostWasCalled) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  const int line = __LINE__ + 1;
  const Var y = TwoLayers(x, x);
  EXPECT_FALSE(y.ok());
  EXPECT_NE(Message(tape).find(At(line)), std::string::npos) << tape.status();
}

TEST(Lines, ACallSiteEndsWithItsLayer) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  EXPECT_TRUE(TwoLayers(x, transpose(x)).ok());
  const int line = __LINE__ + 1;
  const Var y = matmul(x, x);
  EXPECT_FALSE(y.ok());
  EXPECT_NE(Message(tape).find(At(line)), std::string::npos) << tape.status();
}

TEST(Lines, OfAnOperandThatIsANumber) {
  Tape tape;
  const Var x = tape.Input("x", {2, 3});
  const int line = __LINE__ + 1;
  const Var y = matmul(2.0, x);
  EXPECT_FALSE(y.ok());
  EXPECT_NE(Message(tape).find(At(line)), std::string::npos) << tape.status();
}

}  // namespace
}  // namespace autodiff
