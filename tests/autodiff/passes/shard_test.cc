// Sharded programs compute what the whole batch would, for any number of shards and threads, whatever mixes samples.
#include "autodiff/passes/shard.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/parallel.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/random_graph.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

// What a program leaves in its states, and then its outputs.
std::vector<Tensor> RunOnce(const ProgramSpec& spec, const std::vector<Tensor>& inputs,
                            const std::vector<Tensor>& state, const CompileOptions& options,
                            int64_t* shards = nullptr) {
  absl::StatusOr<Program> program = Compile(spec, options);
  EXPECT_EQ(program.status(), absl::OkStatus());
  if (!program.ok()) return {};
  if (shards != nullptr) *shards = program->stats().shards;
  std::vector<Tensor> left = state;
  for (Var v : spec.outputs) left.emplace_back(v.shape(), v.tape()->dtype());
  std::vector<const Tensor*> in;
  for (const Tensor& t : inputs) in.push_back(&t);
  std::vector<Tensor*> states, outputs;
  for (size_t i = 0; i < left.size(); ++i) (i < state.size() ? states : outputs).push_back(&left[i]);
  EXPECT_EQ(program->Run(in, states, outputs), absl::OkStatus());
  return left;
}

void ExpectSame(const std::vector<Tensor>& got, const std::vector<Tensor>& expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(AllNear(got[i], expected[i], tolerance)) << "result " << i;
}

TEST(Shard, RandomGraphsAgreeWithTheWholeBatchForAnyNumberOfShardsAndThreads) {
  ThreadPool two(2), three(3);
  int sharded = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const int64_t batch = seed % 3 == 0 ? 12 : 7;
    Tape tape(DType::kF64);
    const std::vector<Var> inputs = {tape.Input("x", {batch, 4}), tape.Input("z", {batch, 3, 2}),
                                     tape.Input("w", {4, 3}), tape.Input("b", {4}), tape.Input("t", {batch, 4})};
    std::vector<Tensor> values;
    for (Var v : inputs) values.push_back(Uniform(v.shape(), -1.5, 1.5, seed * 10 + values.size()));
    const std::vector<Var> all = RandomGraph(inputs, {.seed = seed, .smooth = true, .max_elements = 900});
    ProgramSpec spec{.inputs = inputs, .state = {}, .outputs = {}, .samples = {inputs[0], inputs[1], inputs[4]}};
    const Var f = mean(tanh(all.back())) + mean(sin(all[all.size() - 2])) + sum(square(inputs[0]));
    spec.outputs = grad(f, inputs);
    spec.outputs.insert(spec.outputs.end(), {f, all.back(), all[seed % all.size()], all[all.size() / 2]});
    spec.outputs.push_back(grad(sum(square(spec.outputs[0])), inputs[2]));
    ASSERT_EQ(tape.status(), absl::OkStatus());
    const std::vector<Tensor> expected = RunOnce(spec, values, {}, {.optimize = false});
    for (int64_t shards : {2, 3, 7}) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", shards, " shards"));
      int64_t used = 0;
      const std::vector<Tensor> one = RunOnce(spec, values, {}, {.shards = shards}, &used);
      sharded += used > 1;
      ExpectSame(one, expected, 1e-9);
      if (seed % 4 == 0) {
        ExpectSame(RunOnce(spec, values, {}, {.pool = &two, .shards = shards}), one, 0);
        ExpectSame(RunOnce(spec, values, {}, {.pool = &three, .shards = shards}), one, 0);
      }
      if (::testing::Test::HasFailure()) return;
    }
  }
  EXPECT_EQ(sharded, 600);
}

TEST(Shard, RandomUpdatesInPlaceAgreeWithComputingThemAside) {
  ThreadPool pool(2);
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Shape shape = {9, 4};
    Tape tape(DType::kF64);
    std::vector<Var> before;
    std::vector<Tensor> values;
    for (size_t i = 0; i < 4; ++i) {
      before.push_back(tape.Input(absl::StrCat("s", i), shape));
      values.push_back(Uniform(shape, -1, 1, seed * 10 + i));
    }
    const std::vector<Var> all = RandomGraph(before, {.seed = seed, .smooth = true});
    std::vector<Var> candidates;
    for (Var v : all) {
      if (v.shape() == shape) candidates.push_back(v);
    }
    std::mt19937_64 random(seed);
    // Three of the four are samples; the fourth only has as many rows.
    ProgramSpec spec{.inputs = {}, .state = {}, .outputs = {}, .samples = {before[0], before[1], before[2]}};
    for (Var v : before) spec.state.push_back({v, candidates[random() % candidates.size()]});
    for (int i = 0; i < 3; ++i) spec.outputs.push_back(all[random() % all.size()]);
    const std::vector<Tensor> expected = RunOnce(spec, {}, values, {.optimize = false});
    for (int64_t shards : {2, 4}) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", shards, " shards"));
      ExpectSame(RunOnce(spec, {}, values, {.pool = &pool, .shards = shards}), expected, 1e-9);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// A shard's last row ends within a vector of the next shard's: it must not be written over.
TEST(Shard, RowsThatDoNotFillAVector) {
  ThreadPool pool(3);
  for (const Shape& shape : {Shape{31, 1}, Shape{31}, Shape{29, 3}, Shape{64, 5}}) {
    for (DType dtype : {DType::kF32, DType::kF64}) {
      Tape tape(dtype);
      const Var x = tape.Input("x", shape), y = tape.Input("y", shape);
      const ProgramSpec spec{
          .inputs = {x}, .state = {{y, y + sin(x) * 0.5}}, .outputs = {x * y - 1.0}, .samples = {x, y}};
      const std::vector<Tensor> in = {Uniform(shape, -1, 1, 1, dtype)}, state = {Uniform(shape, -1, 1, 2, dtype)};
      const std::vector<Tensor> expected = RunOnce(spec, in, state, {.optimize = false});
      for (int64_t shards : {2, 5, 11, 29})
        ExpectSame(RunOnce(spec, in, state, {.contract = false, .pool = &pool, .shards = shards}), expected, 0);
    }
  }
}

// --- What becomes of typical programs ---

Var Energy(Var y, const std::vector<Var>& w) {
  Var h = y;
  for (size_t i = 0; i + 1 < w.size(); ++i) h = silu(matmul(h, w[i]));
  return reshape(matmul(h, w.back()), {-1});
}

TEST(Shard, AWalkIsOneShardedStage) {
  Tape tape;
  const Var y = tape.Input("y", {4096, 2}), noise = tape.Input("noise", {4096, 2});
  const std::vector<Var> w = {tape.Input("w0", {2, 128}), tape.Input("w1", {128, 128}), tape.Input("w2", {128, 1})};
  const Var next = y - 0.1 * grad(Energy(y, w), y) + noise;
  const auto program =
      Compile({.inputs = {noise, w[0], w[1], w[2]}, .state = {{y, next}}, .outputs = {}, .samples = {y, noise}});
  ASSERT_EQ(program.status(), absl::OkStatus());
  EXPECT_GE(program->stats().shards, 8);
  EXPECT_LE(program->stats().shard_arena_bytes, 2 << 20);
  EXPECT_EQ(program->stats().arena_bytes, 0) << program->ToString();
  EXPECT_FALSE(absl::StrContains(program->ToString(), "whole"));
}

// Whatever the batch, and however small its last shard: a sample's own results keep every bit.
TEST(Shard, RowsHaveTheBitsOfTheWholeBatch) {
  struct Case {
    int64_t batch, shards;
  };
  // 33 shards of 1025 samples: 32 of 32, and one of 1, whose products would add up in another order.
  for (const auto& [batch, shards] : {Case{1030, 0}, {4097, 0}, {1025, 33}}) {
    Tape tape;
    const Var y = tape.Input("y", {batch, 2});
    const std::vector<Var> w = {tape.Input("w0", {2, 64}), tape.Input("w1", {64, 64}), tape.Input("w2", {64, 1})};
    const ProgramSpec spec{
        .inputs = {y, w[0], w[1], w[2]}, .state = {}, .outputs = {grad(Energy(y, w), y)}, .samples = {y}};
    std::vector<Tensor> values;
    for (Var v : spec.inputs) values.push_back(Uniform(v.shape(), -1, 1, values.size(), DType::kF32));
    int64_t used = 0;
    ExpectSame(RunOnce(spec, values, {}, {.shards = shards}, &used), RunOnce(spec, values, {}, {.shards = 1}), 0);
    EXPECT_GT(used, 1) << batch;
  }
}

TEST(Shard, ATrainingStepIsAShardedStageAndAWholeOne) {
  Tape tape;
  const Var x = tape.Input("x", {1024, 2}), noise = tape.Input("noise", {1024, 2});
  const std::vector<Var> w = {tape.Input("w0", {2, 128}), tape.Input("w1", {128, 128}), tape.Input("w2", {128, 1})};
  const Var y = x + noise;
  const Var loss = mean(squared_norm(noise - grad(Energy(y, w), y), {1}));
  const std::vector<Var> g = grad(loss, w);
  const auto program =
      Compile({.inputs = {x, noise},
               .state = {{w[0], w[0] - 0.1 * g[0]}, {w[1], w[1] - 0.1 * g[1]}, {w[2], w[2] - 0.1 * g[2]}},
               .outputs = {loss},
               .samples = {x, noise}});
  ASSERT_EQ(program.status(), absl::OkStatus());
  EXPECT_GE(program->stats().shards, 4);
  const std::string text = program->ToString();
  EXPECT_EQ(text.find("each of"), text.rfind("each of")) << text;
  EXPECT_EQ(text.find("whole"), text.rfind("whole")) << text;
}

TEST(Shard, FewSamplesWithLargeWeightsStayWhole) {
  Tape tape;
  const Var y = tape.Input("y", {128, 784}), w = tape.Input("w", {784, 1024}), v = tape.Input("v", {1024, 1});
  const auto program =
      Compile({.inputs = {y, w, v}, .state = {}, .outputs = {grad(Energy(y, {w, v}), y)}, .samples = {y}});
  ASSERT_EQ(program.status(), absl::OkStatus());
  EXPECT_EQ(program->stats().shards, 0);
}

// A stage of shards, a product of the whole batch, shards again, which read sigmoid(x): they make 1 - sigmoid(x) for
// themselves, though the first stage could hand it to them.
TEST(Shard, ALaterStageMakesWhatItsOperandsGive) {
  Tape tape;
  const Var y = tape.Input("y", {64, 1024}), w = tape.Input("w", {1024, 512});
  const Var phi = sum(square(matmul(silu(y), w)));
  const auto program =
      Compile({.inputs = {y, w}, .state = {}, .outputs = {grad(phi, y)}, .samples = {y}}, {.shards = 4});
  ASSERT_EQ(program.status(), absl::OkStatus());
  const std::string text = program->ToString();
  const size_t whole = text.find("whole"), difference = text.find("sub(");
  ASSERT_NE(whole, std::string::npos) << text;
  ASSERT_NE(difference, std::string::npos) << text;
  EXPECT_GT(difference, whole) << text;
}

// A reshape that mixes samples sits between rows and the product that needs all of them: they are made a stage before,
// although the product's stage reads what they are made of, too.
TEST(Shard, WhatIsReadWholeIsMadeBefore) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {32, 4});
  const ProgramSpec spec{.inputs = {x}, .state = {}, .outputs = {matmul(x, reshape(tanh(x), {4, 32}))}, .samples = {x}};
  const std::vector<Tensor> values = {Uniform(x.shape(), -1, 1, 1)};
  int64_t used = 0;
  ExpectSame(RunOnce(spec, values, {}, {.shards = 2}, &used), RunOnce(spec, values, {}, {.optimize = false}), 1e-12);
  EXPECT_EQ(used, 2);
}

// A shard's new rows must not be written while others read all of the old ones; and a state that a later stage changes
// is an input of an earlier one.
TEST(Shard, StatesThatAreReadWhole) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {32, 4}), y = tape.Input("y", {32, 4}), w = tape.Input("w", {4, 4});
  const std::vector<Tensor> state = {Uniform(x.shape(), -1, 1, 1), Uniform(w.shape(), -1, 1, 2)};
  for (const ProgramSpec& spec :
       {ProgramSpec{.inputs = {},
       .state = {{x, tanh(slice(matmul(x, reshape(x, {4, 32})), 1, 0, 4))}, {w, 0.5 * w}},
       .outputs = {},
       .samples = {x}},
        {.inputs = {}, .state = {{y, y - matmul(y, w)}, {w, 0.5 * w}}, .outputs = {}, .samples = {y}}}) {
    const std::vector<Tensor> expected = RunOnce(spec, {}, state, {.optimize = false});
    for (int64_t shards : {2, 4}) ExpectSame(RunOnce(spec, {}, state, {.shards = shards}), expected, 1e-12);
  }
}

TEST(Shard, SamplesAreChecked) {
  Tape tape;
  const Var x = tape.Input("x", {4, 2}), y = tape.Input("y", {3, 2}), z = tape.Input("z", {4});
  EXPECT_TRUE(
      absl::StrContains(Compile({.inputs = {x, y}, .state = {}, .outputs = {x}, .samples = {x, y}}).status().message(),
                        "\"y\" and \"x\" differ in their number of samples: shapes [3, 2] and [4, 2]"));
  EXPECT_TRUE(
      absl::StrContains(Compile({.inputs = {x}, .state = {}, .outputs = {x}, .samples = {z}}).status().message(),
                        "among the inputs and states"));
}

}  // namespace
}  // namespace autodiff
