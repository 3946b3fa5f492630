// What a chain can compute again for less than a load is not stored, and everything else stays as it was.
#include "autodiff/passes/recompute.h"

#include <set>
#include <vector>

#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/passes/schedule.h"
#include "autodiff/passes/simplify.h"
#include "gtest/gtest.h"

namespace autodiff {
namespace {

// The number of elementwise values that one step stores and another one loads.
size_t Stored(const std::vector<Var>& outputs, bool recompute) {
  Tape simplified, copied;
  std::vector<Var> roots = Simplify(outputs, simplified, /*rewrite=*/true);
  if (recompute) roots = Recompute(roots, copied);
  const Tape& graph = recompute ? copied : simplified;
  std::vector<int> ids;
  for (Var v : roots) ids.push_back(v.id());
  std::set<int> stored;
  for (const Step& step : Schedule(graph, ids, /*fuse=*/true)) {
    const std::set<int> here(step.nodes.begin(), step.nodes.end());
    for (int id : step.nodes) {
      for (const Edge& e : Reads(graph, id, /*fuse=*/true)) {
        if (graph.node(e.node).kind == OpKind::kElementwise && here.count(e.node) == 0) stored.insert(e.node);
      }
    }
  }
  return stored.size();
}

TEST(Recompute, OneMinusSigmoid) {
  Tape tape;
  const Var x = tape.Input("x", {6, 6}), w = tape.Input("w", {6, 6});
  const Var s = sigmoid(matmul(x, w)), t = 1.0 - s, p = matmul(s, w), q = matmul(p, w);
  const std::vector<Var> outputs = {s * t, p * t * s, q * t * s};
  EXPECT_EQ(Stored(outputs, false), 2u);  // s and t
  EXPECT_EQ(Stored(outputs, true), 1u);
}

// A product of two values that the later chain reads too, and a value made of such a product.
TEST(Recompute, TwoLevels) {
  Tape tape;
  const Var x = tape.Input("x", {6, 6}), y = tape.Input("y", {6, 6}), w = tape.Input("w", {6, 6});
  const Var a = x * y, b = a * y, p = matmul(b + a, w), q = matmul(p, w);
  const std::vector<Var> outputs = {p * a * b * x - y, q * a * b * x - y};
  EXPECT_GE(Stored(outputs, false), 2u);
  EXPECT_EQ(Stored(outputs, true), 1u);  // b + a, the operand of the product
}

// Loads of two operands in place of one, an expensive function, and what is in memory for another reader's sake.
TEST(Recompute, NotWhereItCostsMoreThanALoad) {
  Tape tape;
  const Var x = tape.Input("x", {6, 6}), y = tape.Input("y", {6, 6}), w = tape.Input("w", {6, 6});
  for (const Var value : {x * y, exp(x), x / y}) {
    const Var p = matmul(sin(value), w), q = matmul(p, w);
    const std::vector<Var> outputs = {cos(value), p * value, q * value};
    EXPECT_EQ(Stored(outputs, true), Stored(outputs, false));
  }
  const Var neg_x = neg(x), p = matmul(neg_x, w);
  EXPECT_EQ(Stored({p * neg_x, sin(neg_x)}, true), Stored({p * neg_x, sin(neg_x)}, false));
}

// The second derivative of a two-layer network, as in training: silu'' reads what silu and silu' have read.
TEST(Recompute, DoubleBackpropOfSilu) {
  Tape tape;
  const Var y = tape.Input("y", {8, 6}), w = tape.Input("w", {6, 6}), u = tape.Input("u", {6, 1});
  const Var phi = matmul(silu(matmul(silu(matmul(y, w)), w)), u);
  const std::vector<Var> gradients = grad(sum(square(grad(phi, y))), {w, u});
  EXPECT_LE(Stored(gradients, true) + 4, Stored(gradients, false));
}

TEST(Recompute, ThroughViews) {
  Tape tape;
  const Var x = tape.Input("x", {6, 6}), w = tape.Input("w", {6, 6});
  const Var s = sin(x), t = 1.0 - s, p = reshape(matmul(s, w), {36});
  EXPECT_EQ(Stored({t * x, p * reshape(t, {36}) * reshape(s, {36})}, true), 1u);
}

}  // namespace
}  // namespace autodiff
