// A compiled program runs without allocating.
#include <memory>
#include <vector>

#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/parallel.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/count_allocations.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

class Allocation : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
  }
};

TEST_F(Allocation, IsCounted) {
  int64_t before = allocations;
  auto number = std::make_unique<int>(1);
  EXPECT_EQ(allocations - before, 1);
  before = allocations;
  const Tensor t({3});
  EXPECT_GE(allocations - before, 1);
}

// Every kind of instruction, on one thread and on two.
TEST_F(Allocation, DoesNotHappenInARun) {
  ThreadPool pool(2);
  for (bool threads : {false, true}) {
    for (bool optimize : {true, false}) {
      Tape tape;
      const Var x = tape.Input("x", {60, 100}), w = tape.Input("w", {100, 80}), b = tape.Input("b", {80});
      const Var h = silu(matmul(x, w) + b);
      const Var image = reshape(h, {2, 30, 20, 4});
      const Var k = tape.Constant(Uniform({3, 3, 4, 5}, -1, 1, 1));
      const Var c = conv2d(image, k, ConvOptions::Same(1, 1));
      const Var parts = concat({slice(h, 1, 3, 40), pad(transpose(slice(h, 1, 0, 60)), 1, 2, 2)}, 1);
      const Var phi = sum(softmax(h)) + logsumexp(parts, {0, 1}) + max(h) + mean(square(c)) +
                      sum(matmul(broadcast_to(h, {2, 60, 80}), broadcast_to(transpose(h), {2, 80, 60})));
      const Var score = grad(phi, x);
      const Var loss = mean(squared_norm(score, {1}));
      const std::vector<Var> g = grad(loss, {w, b});
      absl::StatusOr<Program> program =
          Compile({{x}, {{w, w - 0.01 * g[0]}, {b, b - 0.01 * g[1]}}, {loss, x, permute(image, {3, 0, 2, 1}), w}},
                  {.optimize = optimize, .pool = threads ? &pool : nullptr});
      ASSERT_EQ(program.status(), absl::OkStatus());
      const Tensor xs = Uniform(x.shape(), -1, 1, 1, DType::kF32);
      Tensor ws = Uniform(w.shape(), -0.1, 0.1, 2, DType::kF32), bs({80});
      Tensor out0{Shape()}, out1({60, 100}), out2({4, 2, 20, 30}), out3({100, 80});
      for (int run = 0; run < 3; ++run) {
        const int64_t before = allocations;
        const absl::Status status = program->Run({&xs}, {&ws, &bs}, {&out0, &out1, &out2, &out3});
        EXPECT_EQ(allocations - before, 0)
            << "run " << run << (threads ? ", two threads" : "") << (optimize ? "" : ", unoptimised");
        EXPECT_EQ(status, absl::OkStatus());
      }
    }
  }
}

}  // namespace
}  // namespace autodiff
