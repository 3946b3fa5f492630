// NaN in whole programs: optimised, fused, sharded.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/for_each_target.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

// An energy of 6 × 6 images with every kind of layer: convolution, dense, softmax and norm over a sample's own axes.
Var Energy(Var y, const std::vector<Tensor>& weights) {
  Tape& tape = *y.tape();
  const Var image = reshape(y, {y.dim(0), 6, 6, 1});
  Var h = silu(conv2d(image, tape.Constant(weights[0]), ConvOptions::Same(2, 1)));
  h = reshape(h, {y.dim(0), -1});
  h = softplus(matmul(h, tape.Constant(weights[1])));
  return squared_norm(y, {1}) + norm(h, {1}) + logsumexp(h, {1}) + max(h, {1});
}

// One sample is NaN, or infinite, in one pixel. The energies and gradients of the others keep every bit.
TEST(NonFinite, ASampleDoesNotReachTheOthers) {
  const std::vector<Tensor> weights = {Uniform({3, 3, 1, 5}, -1, 1, 1), Uniform({45, 19}, -1, 1, 2)};
  ForEachTarget([&] {
    for (const int64_t batch : {1, 2, 7, 33}) {
      for (const int64_t shards : {1, 3}) {
        if (shards > batch) continue;
        SCOPED_TRACE(absl::StrCat("batch ", batch, ", shards ", shards));
        Tape tape;
        const Var y = tape.Input("y", {batch, 36});
        const Var phi = Energy(y, weights), slope = grad(sum(phi), y);
        absl::StatusOr<Program> program =
            Compile({.inputs = {y}, .state = {}, .outputs = {phi, slope}, .samples = {y}}, {.shards = shards});
        ASSERT_TRUE(program.ok()) << program.status();
        Tensor at = Uniform({batch, 36}, -1, 1, 3, DType::kF32);
        Tensor clean[2] = {Tensor({batch}), Tensor({batch, 36})}, spoilt[2] = {Tensor({batch}), Tensor({batch, 36})};
        ASSERT_TRUE(program->Run({&at}, {}, {&clean[0], &clean[1]}).ok());
        for (const int64_t row : {int64_t{0}, batch / 2, batch - 1}) {
          const double kept = at.at(row * 36 + 17);
          at.set(row * 36 + 17, std::numeric_limits<double>::quiet_NaN());
          ASSERT_TRUE(program->Run({&at}, {}, {&spoilt[0], &spoilt[1]}).ok());
          at.set(row * 36 + 17, kept);
          EXPECT_TRUE(std::isnan(spoilt[0].at(row)));
          EXPECT_TRUE(std::isnan(spoilt[1].at(row * 36 + 17)));
          for (int64_t other = 0; other < batch; ++other) {
            if (other == row) continue;
            ASSERT_EQ(spoilt[0].at(other), clean[0].at(other)) << other;
            for (int64_t k = other * 36; k < (other + 1) * 36; ++k) ASSERT_EQ(spoilt[1].at(k), clean[1].at(k)) << k;
          }
        }
      }
    }
  });
}

// Through the DSL as through the kernels: of two numbers, one of them NaN, neither order and no target prefers the
// number; relu keeps it; and a fused chain does what its ops do.
TEST(NonFinite, NanGoesThroughMaximumMinimumAndRelu) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    ForEachTarget([&] {
      Tape tape(dtype);
      const Var x = tape.Input("x", {21}), y = tape.Input("y", {21});
      for (const int64_t spoilt : {0, 3, 20}) {
        Tensor number = Uniform({21}, -1, 1, 1, dtype), with_nan = number;
        with_nan.set(spoilt, nan);
        for (const Var v : {maximum(x, y), maximum(y, x), minimum(x, y), minimum(y, x), relu(x),
                            relu(maximum(x * 2.0, minimum(x, y)) + 1.0), maximum(x, 0.0), minimum(0.0, x)}) {
          const Tensor got = Value(v, {x, y}, {with_nan, number});
          for (int64_t i = 0; i < 21; ++i) EXPECT_EQ(std::isnan(got.at(i)), i == spoilt) << i;
        }
      }
    });
  }
}

}  // namespace
}  // namespace autodiff
