// Elementwise chains become one step, everything runs after what it reads, and no step waits for itself.
#include "autodiff/passes/schedule.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/passes/simplify.h"
#include "gtest/gtest.h"
#include "tests/autodiff/random_graph.h"

namespace autodiff {
namespace {

// The schedule of some outputs, after simplification, checked for what must hold of every one.
struct Scheduled {
  explicit Scheduled(const std::vector<Var>& outputs, bool fuse = true) : graph(outputs[0].tape()->dtype()) {
    for (Var v : Simplify(outputs, graph, fuse)) roots.push_back(v.id());
    steps = Schedule(graph, roots, fuse);
    Check(fuse);
  }

  void Check(bool fuse) {
    std::set<int> done;
    for (const Step& step : steps) {
      ASSERT_FALSE(step.nodes.empty());
      const bool chain = graph.node(step.nodes[0]).kind == OpKind::kElementwise;
      if (!fuse || !chain) {
        ASSERT_EQ(step.nodes.size(), 1u);
      }
      for (int id : step.nodes) {
        const Node& n = graph.node(id);
        ASSERT_FALSE(IsPassive(graph, id));
        ASSERT_EQ(n.kind == OpKind::kElementwise, chain);
        ASSERT_EQ(n.shape.num_elements(), graph.node(step.nodes[0]).shape.num_elements());
        for (int input : n.inputs) {
          int source = input;
          bool repeated = false;
          for (; fuse && chain && IsBroadcastLoad(graph, source); repeated = true) {
            source = graph.node(source).inputs[0];
          }
          const int root = StorageOf(graph, source).node;
          if (IsPassive(graph, root)) continue;
          // Done before: in an earlier step, or earlier in the chain, element by element.
          ASSERT_EQ(done.count(root), 1u) << "%" << id << " reads %" << root << " too early";
          if (std::count(step.nodes.begin(), step.nodes.end(), root) > 0) {
            ASSERT_FALSE(repeated);
          }
        }
        ASSERT_TRUE(done.insert(id).second) << "%" << id << " runs twice";
      }
    }
    for (int root : roots) {
      const int storage = StorageOf(graph, root).node;
      ASSERT_TRUE(IsPassive(graph, storage) || done.count(storage) == 1) << "%" << root << " never runs";
    }
  }

  size_t Chains() const {
    return static_cast<size_t>(std::count_if(steps.begin(), steps.end(), [this](const Step& s) {
      return graph.node(s.nodes[0]).kind == OpKind::kElementwise;
    }));
  }

  Tape graph;
  std::vector<int> roots;
  std::vector<Step> steps;
};

TEST(Schedule, AnElementwiseExpressionIsOneStep) {
  Tape tape;
  const Var x = tape.Input("x", {8, 5}), row = tape.Input("row", {5}), scale = tape.Input("scale", {});
  Var y = x;
  for (int i = 0; i < 12; ++i) y = tanh(y * row + scale) - 0.5;
  const Scheduled s({y});
  ASSERT_EQ(s.steps.size(), 1u);
  EXPECT_EQ(s.steps[0].nodes.size(), 48u);
  EXPECT_EQ(Scheduled({y}, /*fuse=*/false).steps.size(), 48u + 2u);  // and two broadcasts
}

TEST(Schedule, ReshapesDoNotBreakAChain) {
  Tape tape;
  const Var x = tape.Input("x", {8, 5});
  EXPECT_EQ(Scheduled({exp(reshape(sin(x), {40})) + 1.0}).steps.size(), 1u);
  EXPECT_EQ(Scheduled({exp(reshape(stop_gradient(sin(x)), {2, 20}))}).steps.size(), 1u);
}

// max; the shift (of one element per row); exp; sum; the division.
TEST(Schedule, SoftmaxIsTwoReductionsAndThreeChains) {
  Tape tape;
  const Var x = tape.Input("x", {8, 5});
  const Scheduled s({softmax(x)});
  EXPECT_EQ(s.steps.size(), 5u);
  EXPECT_EQ(s.Chains(), 3u);
  // With elementwise work on both sides, no more.
  EXPECT_EQ(Scheduled({tanh(softmax(2.0 * x)) * x}).steps.size(), 6u);
}

// The mean and the normalised rows: sum; centring (and the square); sum; scaling.
TEST(Schedule, LayerNormIsTwoReductionsAndThreeChains) {
  Tape tape;
  const Var x = tape.Input("x", {8, 5}), gain = tape.Input("gain", {5}), bias = tape.Input("bias", {5});
  const Var centred = x - mean(x, {1}, true);
  const Var y = centred * rsqrt(mean(square(centred), {1}, true) + 1e-5) * gain + bias;
  const Scheduled s({y});
  size_t reductions = 0;
  for (const Step& step : s.steps) reductions += s.graph.node(step.nodes[0]).kind == OpKind::kSum ? 1 : 0;
  EXPECT_EQ(reductions, 2u);
  // The two means are chains of one element per row.
  EXPECT_EQ(s.Chains(), 4u);
}

// The value and the derivative of an activation read the same product: one chain, which reads it once.
TEST(Schedule, ChainsThatReadTheSameAreJoined) {
  Tape tape;
  const Var x = tape.Input("x", {8, 5}), y = tape.Input("y", {8, 5});
  EXPECT_EQ(Scheduled({tanh(x), sin(x)}).steps.size(), 1u);
  EXPECT_EQ(Scheduled({tanh(x), sin(y)}).steps.size(), 2u);
  const Var w = tape.Input("w", {5, 6});
  const Var h = matmul(x, w);
  EXPECT_EQ(Scheduled({silu(h), grad(silu(h), h)}).steps.size(), 2u);
}

// A value of inputs alone could be computed first of all, but its only reader waits for a product.
TEST(Schedule, ANodeSinksIntoTheChainOfItsReaders) {
  Tape tape;
  const Var x = tape.Input("x", {5, 5}), m = tape.Input("m", {5, 5}), n = tape.Input("n", {5, 5});
  EXPECT_EQ(Scheduled({0.9 * m + matmul(x, x)}).steps.size(), 2u);
  // Together with what only it reads, and with two readers of one depth.
  const Var late = exp(0.9 * m) + sin(n), product = matmul(x, x);
  EXPECT_EQ(Scheduled({late * product, late + product}).steps.size(), 2u);
  // An output, an operand of a product and a node read at two depths stay.
  EXPECT_EQ(Scheduled({late + product, late}).Chains(), 2u);
  EXPECT_EQ(Scheduled({late + matmul(late, x)}).Chains(), 2u);
  const Var a = late + product;
  EXPECT_EQ(Scheduled({late * matmul(a, x), a}).Chains(), 3u);
}

// One value waits for the late chain, whichever it is; two in the place of one would take memory.
TEST(Schedule, SinkingKeepsNoMoreValuesThanBefore) {
  Tape tape;
  const Var x = tape.Input("x", {5, 5});
  const Var p = matmul(x, x), q = matmul(p, x), last = matmul(q, p);
  EXPECT_EQ(Scheduled({exp(p) + last}).Chains(), 1u);
  EXPECT_EQ(Scheduled({exp(p) * q + last}).Chains(), 2u);
  EXPECT_EQ(Scheduled({exp(p) * q + last, q}).Chains(), 1u);
}

// The state, its moments and the step in one pass over memory.
TEST(Schedule, AdamIsOneChain) {
  Tape tape;
  const Var x = tape.Input("x", {7, 5}), w = tape.Input("w", {5, 3}), m = tape.Input("m", {5, 3});
  const Var v = tape.Input("v", {5, 3}), rate = tape.Input("rate", {});
  const Var g = grad(sum(square(matmul(x, w))), w);
  const Var m_new = 0.9 * m + 0.1 * g, v_new = 0.999 * v + 0.001 * square(g);
  const Scheduled s({w - rate * m_new / (sqrt(v_new) + 1e-8), m_new, v_new});
  // Two products, 2 · x w between them, and Adam.
  EXPECT_EQ(s.steps.size(), 4u);
  EXPECT_EQ(s.Chains(), 2u);
}

// a -> sum -> back to a's shape -> joined with a: fusing a with the last step would make it wait for itself.
TEST(Schedule, NoCycleThroughAReduction) {
  Tape tape;
  const Var x = tape.Input("x", {8, 5});
  const Var a = exp(x);
  const Scheduled s({a / sum(a, {1}, true)});
  EXPECT_EQ(s.steps.size(), 3u);
  // The same with another side branch, and twice in a row.
  const Var b = a * sum(a), c = b + a, d = c / sum(c * x);
  EXPECT_EQ(Scheduled({d, a, b}).Chains(), 3u);
}

TEST(Schedule, NoCycleThroughALayoutOrAProduct) {
  Tape tape;
  const Var x = tape.Input("x", {6, 6});
  const Var a = exp(x);
  EXPECT_EQ(Scheduled({a + transpose(a)}).steps.size(), 3u);
  EXPECT_EQ(Scheduled({a + matmul(a, a)}).steps.size(), 3u);
  EXPECT_EQ(Scheduled({a + pad(slice(a, 1, 1, 6), 1, 1, 0)}).steps.size(), 4u);
}

TEST(Schedule, LongChainsAreCut) {
  Tape tape;
  const Var x = tape.Input("x", {8}), y = tape.Input("y", {8});
  Var h = x;
  for (int i = 0; i < 500; ++i) h = sin(h) + y;
  const Scheduled s({h});
  EXPECT_GT(s.steps.size(), 5u);
  EXPECT_LT(s.steps.size(), 50u);
}

TEST(Schedule, WhatNobodyNeedsDoesNotRun) {
  Tape tape;
  const Var x = tape.Input("x", {8, 5});
  EXPECT_TRUE(Scheduled({x, reshape(x, {40}), tape.Constant(1.0, {3}), slice(x, 0, 2, 4)}).steps.empty());
  // A broadcast that only chains read is read through.
  EXPECT_EQ(Scheduled({x + broadcast_to(slice(x, 0, 0, 1), {8, 5})}).steps.size(), 1u);
  EXPECT_EQ(Scheduled({broadcast_to(slice(x, 0, 0, 1), {8, 5})}).steps.size(), 1u);
}

TEST(Schedule, RandomGraphsAreInOrder) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Tape tape;
    const std::vector<Var> inputs = {tape.Input("a", {3, 4}), tape.Input("b", {4}), tape.Input("c", {2, 1, 4})};
    const std::vector<Var> values = RandomGraph(inputs, {.seed = seed, .ops = 25, .smooth = seed % 2 == 0});
    std::vector<Var> outputs = grad(sum(values.back()) + sum(values[values.size() - 2]), inputs);
    outputs.push_back(values.back());
    outputs.push_back(values[values.size() / 2]);
    for (bool fuse : {true, false}) Scheduled(outputs, fuse);
    if (HasFatalFailure()) return;
  }
}

// --- Views ---

TEST(Views, RenameMemory) {
  Tape tape;
  const Var x = tape.Input("x", {4, 3, 2});
  const auto storage = [&](Var v) { return StorageOf(tape, v.id()); };
  EXPECT_EQ(storage(reshape(x, {24})).node, x.id());
  EXPECT_EQ(storage(stop_gradient(x)).node, x.id());
  // Whole rows, one run of memory.
  const Var rows = slice(x, 0, 1, 3);
  EXPECT_EQ(storage(rows).node, x.id());
  EXPECT_EQ(storage(rows).offset, 6);
  // Within one row, and through a chain of views.
  const Var part = slice(slice(rows, 0, 1, 2), 1, 1, 3);
  EXPECT_EQ(storage(reshape(part, {4})).node, x.id());
  EXPECT_EQ(storage(reshape(part, {4})).offset, 6 + 6 + 2);
  // Columns are not one run.
  const Var columns = slice(x, 1, 0, 2);
  EXPECT_EQ(storage(columns).node, columns.id());
  EXPECT_EQ(storage(slice(columns, 0, 2, 3)).node, columns.id());
  EXPECT_EQ(storage(slice(columns, 0, 2, 3)).offset, 8);
  const Var swapped = transpose(x);
  EXPECT_EQ(storage(swapped).node, swapped.id());
}

}  // namespace
}  // namespace autodiff
