// Products that only a sum or a difference reads become multiply-adds; values agree to rounding.
#include "autodiff/passes/contract.h"

#include <string>
#include <vector>

#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/passes/simplify.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

// The elementwise ops that are left, in order.
std::string Ops(const std::vector<Var>& outputs) {
  Tape simple(outputs[0].tape()->dtype()), graph(simple.dtype());
  const std::vector<Var> roots = Contract(Simplify(outputs, simple, true), graph);
  for (size_t i = 0; i < roots.size(); ++i) EXPECT_EQ(roots[i].shape(), outputs[i].shape());
  std::string ops;
  for (int id = 0; id < graph.size(); ++id) {
    if (graph.node(id).kind == OpKind::kElementwise)
      ops += std::string(ops.empty() ? "" : " ") + graph.node(id).op_name();
  }
  return ops;
}

struct Fixture {
  Tape tape{DType::kF64};
  Var x = tape.Input("x", {3, 4}), y = tape.Input("y", {3, 4}), z = tape.Input("z", {3, 4});
};

TEST(Contract, SumsAndDifferences) {
  Fixture f;
  const auto& [tape, x, y, z] = f;
  EXPECT_EQ(Ops({x * y + z}), "mul_add");
  EXPECT_EQ(Ops({z + x * y}), "mul_add");
  EXPECT_EQ(Ops({x * y - z}), "mul_sub");
  EXPECT_EQ(Ops({z - x * y}), "neg_mul_add");
  EXPECT_EQ(Ops({x * y + z * z}), "mul mul_add");
  EXPECT_EQ(Ops({x * y - y * z}), "mul neg_mul_add");
  EXPECT_EQ(Ops({exp(x * y + z) * x + y}), "mul_add exp mul_add");
  EXPECT_EQ(Ops({2.0 * x + 1.0}), "mul_add");
}

TEST(Contract, NotWhatIsReadElsewhere) {
  Fixture f;
  const auto& [tape, x, y, z] = f;
  EXPECT_EQ(Ops({x * y + z, x * y}), "mul add");           // a result of its own
  EXPECT_EQ(Ops({x * y + z, exp(x * y)}), "mul add exp");  // another reader
  EXPECT_EQ(Ops({x * y + x * y}), "mul add");              // twice the same
  EXPECT_EQ(Ops({sum(x * y, {0}) + sum(z, {0})}), "mul add");
  EXPECT_EQ(Ops({reshape(x * y, {12}) + reshape(z, {12})}), "mul add");  // what stands next to it alone counts
  EXPECT_EQ(Ops({x / y + z}), "div add");
}

TEST(Contract, ValuesAgreeToRounding) {
  Fixture f;
  const auto& [tape, x, y, z] = f;
  const std::vector<Tensor> at = {Uniform({3, 4}, -1, 1, 1), Uniform({3, 4}, -1, 1, 2), Uniform({3, 4}, -1, 1, 3)};
  for (const Var v : {x * y + z, z + x * y, x * y - z, z - x * y, x * y + y * z, x * y - y * z, 2.0 * x - 0.5,
                      0.25 - 3.0 * (x * y + z)}) {
    const Tensor plain = Value(v, {x, y, z}, at, {.optimize = false});
    EXPECT_TRUE(AllNear(Value(v, {x, y, z}, at), Numbers(plain), 4e-16)) << Ops({v});
  }
}

// Of a two-layer network's double backprop, at least a tenth of all ops.
TEST(Contract, FiresOnDoubleBackprop) {
  Tape tape;
  const Var y = tape.Input("y", {8, 6}), w = tape.Input("w", {6, 6}), u = tape.Input("u", {6, 1});
  const Var phi = matmul(silu(matmul(silu(matmul(y, w)), w)), u);
  const std::string ops = Ops(grad(sum(square(grad(phi, y))), {w, u}));
  int all = 1, fused = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    all += ops[i] == ' ' ? 1 : 0;
    fused += ops.compare(i, 4, "mul_") == 0 ? 1 : 0;
  }
  EXPECT_GE(10 * fused, all) << ops;
}

}  // namespace
}  // namespace autodiff
