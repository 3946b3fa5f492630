// Sums of products become products of several terms, where nobody else reads a term; values agree to rounding.
#include "autodiff/passes/join_products.h"

#include <algorithm>
#include <vector>

#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/parallel.h"
#include "autodiff/passes/simplify.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

// The numbers of terms of the products that the pass leaves, in order, and of additions.
struct Joined {
  explicit Joined(const std::vector<Var>& outputs) : simple(outputs[0].tape()->dtype()), graph(simple.dtype()) {
    const std::vector<Var> roots = JoinProducts(Simplify(outputs, simple, true), graph);
    for (size_t i = 0; i < roots.size(); ++i) EXPECT_EQ(roots[i].shape(), outputs[i].shape());
    for (int id = 0; id < graph.size(); ++id) {
      const Node& n = graph.node(id);
      const bool product = n.kind == OpKind::kMatmul || n.kind == OpKind::kConv ||
                           n.kind == OpKind::kConvInputAdjoint || n.kind == OpKind::kConvWeightAdjoint;
      if (product) terms.push_back(n.inputs.size() / 2);
      additions += n.kind == OpKind::kElementwise && n.elementwise == Elementwise::add ? 1 : 0;
    }
  }
  size_t Count(size_t of) const { return static_cast<size_t>(std::count(terms.begin(), terms.end(), of)); }

  Tape simple, graph;
  std::vector<size_t> terms;
  int additions = 0;
};

using Terms = std::vector<size_t>;

TEST(JoinProducts, SumsOfProductsWithEqualFlags) {
  Tape tape;
  const Var a = tape.Input("a", {6, 5}), b = tape.Input("b", {6, 7}), c = tape.Input("c", {9, 5}),
            d = tape.Input("d", {9, 7});
  const Var first = matmul(a, b, {.transpose_a = true}), second = matmul(c, d, {.transpose_a = true});
  EXPECT_EQ(Joined({first + second}).terms, (Terms{2}));
  EXPECT_EQ(Joined({first + second}).additions, 0);
  EXPECT_EQ(Joined({exp(first + second)}).terms, (Terms{2}));
  // More than two, one after another and in pairs; no more than kMaxTerms in one.
  const auto term = [&](double i) { return matmul(a * i, b, {.transpose_a = true}); };
  EXPECT_EQ(Joined({first + second + term(2) + term(3)}).terms, (Terms{4}));
  EXPECT_EQ(Joined({(first + second) + (term(2) + term(3))}).terms, (Terms{4}));
  EXPECT_EQ(Joined({first + second + term(2) + term(3) + term(4)}).terms, (Terms{4, 1}));
}

TEST(JoinProducts, NotWhatIsReadElsewhereOrDiffers) {
  Tape tape;
  const Var a = tape.Input("a", {6, 5}), b = tape.Input("b", {6, 5}), c = tape.Input("c", {5, 5});
  const Var first = matmul(a, b, {.transpose_a = true}), second = matmul(b, a, {.transpose_a = true});
  EXPECT_EQ(Joined({first + second, first}).terms, (Terms{1, 1}));                // a result of its own
  EXPECT_EQ(Joined({first + second, exp(second)}).terms, (Terms{1, 1}));          // another reader
  EXPECT_EQ(Joined({first + first}).terms, (Terms{1}));                           // twice the same
  EXPECT_EQ(Joined({first + matmul(c, c)}).terms, (Terms{1, 1}));                 // other flags
  EXPECT_EQ(Joined({first - second}).terms, (Terms{1, 1}));                       // not a sum
  EXPECT_EQ(Joined({first + second, (first + second) * 2.0}).terms, (Terms{2}));  // the sum itself may be read
}

// Inner and outer layers of an MLP energy: every weight but the last layer's has its two products.
TEST(JoinProducts, FiresOnDoubleBackprop) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {24, 10}), y = tape.Input("y", {24, 10});
  const std::vector<Var> w = {tape.Input("w1", {10, 17}), tape.Input("w2", {17, 12}), tape.Input("w3", {12, 6})};
  const Var phi = sum(square(matmul(silu(matmul(silu(matmul(y, w[0])), w[1])), w[2])), {1});
  const Var loss = mean(squared_norm(x - (y - 0.25 * grad(phi, y)), {1}));
  std::vector<Var> outputs = grad(loss, w);
  outputs.push_back(loss);
  EXPECT_EQ(Joined(outputs).Count(2), 3u);
  // Nothing to join in the energy and its gradient.
  EXPECT_EQ(Joined({phi, grad(phi, y)}).Count(2), 0u);

  std::vector<Var> inputs = {x, y};
  inputs.insert(inputs.end(), w.begin(), w.end());
  std::vector<Tensor> values;
  for (size_t i = 0; i < inputs.size(); ++i) values.push_back(Uniform(inputs[i].shape(), -1, 1, i));
  const auto plain = Evaluate(outputs, inputs, values, {.optimize = false});
  ASSERT_EQ(plain.status(), absl::OkStatus());
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const auto fast = Evaluate(outputs, inputs, values, {.optimize = true, .pool = &pool});
    ASSERT_EQ(fast.status(), absl::OkStatus());
    for (size_t i = 0; i < outputs.size(); ++i) EXPECT_TRUE(AllNear((*fast)[i], (*plain)[i], 1e-12)) << i;
  }
}

TEST(JoinProducts, BatchedProducts) {
  Tape tape(DType::kF64);
  const Var a = tape.Input("a", {3, 6, 5}), b = tape.Input("b", {3, 5, 7}), c = tape.Input("c", {3, 6, 2}),
            d = tape.Input("d", {3, 2, 7});
  const std::vector<Var> outputs = {matmul(a, b) + matmul(c, d)};
  EXPECT_EQ(Joined(outputs).terms, (Terms{2}));
  const std::vector<Tensor> values = {Uniform(a.shape(), -1, 1, 1), Uniform(b.shape(), -1, 1, 2),
                                      Uniform(c.shape(), -1, 1, 3), Uniform(d.shape(), -1, 1, 4)};
  const auto fast = Evaluate(outputs, {a, b, c, d}, values);
  const auto plain = Evaluate(outputs, {a, b, c, d}, values, {.optimize = false});
  ASSERT_EQ(fast.status(), absl::OkStatus());
  EXPECT_TRUE(AllNear((*fast)[0], (*plain)[0], 1e-14));
}

// A convolution's weights get their two adjoints too. Sums of images stay sums.
TEST(JoinProducts, Convolutions) {
  Tape tape(DType::kF64);
  const Var y = tape.Input("y", {3, 8, 7, 2});
  const Var k1 = tape.Input("k1", {3, 3, 2, 5}), k2 = tape.Input("k2", {3, 3, 2, 5}),
            k3 = tape.Input("k3", {3, 3, 5, 4});
  const ConvOptions same = ConvOptions::Same(1, 1);
  const Var h = conv2d(y, k1, same) + conv2d(sin(y), k2, same);
  EXPECT_EQ(Joined({h}).Count(2), 0u);
  const Var phi = sum(silu(conv2d(silu(h), k3, same)), {1, 2, 3});
  const std::vector<Var> outputs = grad(sum(square(grad(phi, y))), {k1, k3});
  EXPECT_EQ(Joined(outputs).Count(2), 2u);
  const std::vector<Var> inputs = {y, k1, k2, k3};
  std::vector<Tensor> values;
  for (size_t i = 0; i < inputs.size(); ++i) values.push_back(Uniform(inputs[i].shape(), -0.5, 0.5, i));
  const auto plain = Evaluate(outputs, inputs, values, {.optimize = false});
  ASSERT_EQ(plain.status(), absl::OkStatus());
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const auto fast = Evaluate(outputs, inputs, values, {.optimize = true, .pool = &pool});
    ASSERT_EQ(fast.status(), absl::OkStatus());
    for (size_t i = 0; i < outputs.size(); ++i) EXPECT_TRUE(AllNear((*fast)[i], (*plain)[i], 1e-11)) << i;
  }
}

}  // namespace
}  // namespace autodiff
