// Inputs that stay as they are for many runs: what products keep of them changes no bit, and is made anew when they
// change.
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/parallel.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/count_allocations.h"
#include "tests/autodiff/for_each_target.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

// The gradient of a small MLP: each matrix of weights is a right factor as it is and transposed, w0 with two columns
// left of a tile's width, and v too small to keep.
struct Recorded {
  Tape tape;
  ProgramSpec spec;
  std::vector<Tensor> values;

  Recorded(int64_t batch, DType dtype) : tape(dtype) {
    const Var y = tape.Input("y", {batch, 130});
    const Var w0 = tape.Input("w0", {130, 98}), w1 = tape.Input("w1", {98, 98}), v = tape.Input("v", {98, 1});
    const Var phi = matmul(silu(matmul(silu(matmul(y, w0)), w1)), v);
    spec = {.inputs = {y, w0, w1, v},
            .state = {},
            .outputs = {phi, grad(sum(phi), y)},
            .samples = {y},
            .fixed = {w0, w1, v}};
    for (Var input : spec.inputs) values.push_back(Uniform(input.shape(), -1, 1, values.size(), dtype));
  }
  std::vector<const Tensor*> in() const {
    std::vector<const Tensor*> in;
    for (const Tensor& t : values) in.push_back(&t);
    return in;
  }
  std::vector<Tensor> Results() const {
    std::vector<Tensor> out;
    for (Var v : spec.outputs) out.emplace_back(v.shape(), tape.dtype());
    return out;
  }
};

std::vector<Tensor> After(Program& program, const Recorded& r, bool again) {
  std::vector<Tensor> out = r.Results();
  EXPECT_EQ(again ? program.RunAgain(r.in(), {}, {&out[0], &out[1]}) : program.Run(r.in(), {}, {&out[0], &out[1]}),
            absl::OkStatus());
  return out;
}

void ExpectSame(const std::vector<Tensor>& got, const std::vector<Tensor>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(AllEqual(got[i], expected[i])) << "result " << i;
}

TEST(FixedInputs, ChangeNoBit) {
  ThreadPool two(2), three(3);
  ForEachTarget([&] {
    for (DType dtype : {DType::kF32, DType::kF64}) {
      for (const auto& [batch, shards] : {std::pair<int64_t, int64_t>{1, 1}, {37, 1}, {61, 1}, {250, 4}}) {
        Recorded r(batch, dtype);
        ProgramSpec free = r.spec;
        free.fixed = {};
        for (ThreadPool* pool : {static_cast<ThreadPool*>(nullptr), &two, &three}) {
          SCOPED_TRACE(testing::Message() << Name(dtype) << " batch " << batch << ", " << shards << " shards");
          const CompileOptions options{.pool = pool, .shards = shards};
          absl::StatusOr<Program> plain = Compile(free, options), program = Compile(r.spec, options);
          ASSERT_EQ(plain.status(), absl::OkStatus());
          ASSERT_EQ(program.status(), absl::OkStatus());
          EXPECT_EQ(plain->stats().packed_bytes, 0);
          EXPECT_EQ(program->stats().packed_bytes > 2 * (130 + 98) * 98 * SizeOf(dtype), batch > 1);
          if (shards > 1) {
            EXPECT_EQ(program->stats().shards, shards);
            EXPECT_TRUE(absl::StrContains(program->ToString(), "matmul(%0, %1) [63, 98]")) << program->ToString();
          }
          const std::vector<Tensor> expected = After(*plain, r, false);
          ExpectSame(After(*program, r, false), expected);
          for (int run = 0; run < 2; ++run) ExpectSame(After(*program, r, true), expected);
        }
      }
    }
  });
}

// The user changes the weights, and says so by calling Run.
TEST(FixedInputs, AreLookedAtAnewByRun) {
  Recorded r(37, DType::kF32);
  absl::StatusOr<Program> program = Compile(r.spec);
  ASSERT_EQ(program.status(), absl::OkStatus());
  for (int change = 0; change < 3; ++change) {
    r.values[1].set(change, 2.0 + change);
    r.values[2].set(98 * 98 - 1 - change, -1.0 - change);
    absl::StatusOr<Program> fresh = Compile(r.spec);
    ASSERT_EQ(fresh.status(), absl::OkStatus());
    const std::vector<Tensor> expected = After(*fresh, r, false);
    ExpectSame(After(*program, r, false), expected);
    ExpectSame(After(*program, r, true), expected);
    ExpectSame(After(*program, r, true), expected);
  }
}

TEST(FixedInputs, RunAgainAllocatesNothing) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
  ThreadPool pool(2);
  Recorded r(61, DType::kF32);
  absl::StatusOr<Program> program = Compile(r.spec, {.pool = &pool});
  ASSERT_EQ(program.status(), absl::OkStatus());
  std::vector<Tensor> out = r.Results();
  const std::vector<const Tensor*> in = r.in();
  const std::vector<Tensor*> results = {&out[0], &out[1]};
  ASSERT_EQ(program->Run(in, {}, absl::MakeSpan(results)), absl::OkStatus());
  for (int run = 0; run < 3; ++run) {
    const int64_t before = allocations;
    const absl::Status status = program->RunAgain(in, {}, absl::MakeSpan(results));
    EXPECT_EQ(allocations - before, 0) << run;
    EXPECT_EQ(status, absl::OkStatus());
  }
}

TEST(FixedInputs, Mistakes) {
  Recorded r(5, DType::kF32);
  absl::StatusOr<Program> program = Compile(r.spec);
  ASSERT_EQ(program.status(), absl::OkStatus());
  std::vector<Tensor> out = r.Results();
  const auto again = [&] { return program->RunAgain(r.in(), {}, {&out[0], &out[1]}); };
  EXPECT_EQ(again().code(), absl::StatusCode::kFailedPrecondition) << "there was no run";
  After(*program, r, false);
  EXPECT_EQ(again(), absl::OkStatus());
  const Tensor old = r.values[2];
  r.values[2] = Uniform(old.shape(), -1, 1, 9, DType::kF32);
  const absl::Status other = again();
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(other.message(), "input 2 (\"w1\")")) << other;
  After(*program, r, false);
  EXPECT_EQ(again(), absl::OkStatus());

  r.spec.fixed.push_back(r.tape.Input("elsewhere", {3}));
  EXPECT_TRUE(absl::StrContains(Compile(r.spec).status().message(), "must be among the inputs"));
}

}  // namespace
}  // namespace autodiff
