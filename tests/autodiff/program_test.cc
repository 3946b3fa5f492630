// Compiled programs compute what was recorded: whatever the optimiser does, for any number of threads, in the caller's
// tensors, state included; and a wrong call changes nothing.
#include "autodiff/program.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/parallel.h"
#include "gtest/gtest.h"
#include "tests/autodiff/random_graph.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

constexpr CompileOptions kUnoptimised = {.optimize = false};

// --- Optimised against unoptimised, and against any number of threads ---

// Some values of the graph and gradients of first and second order of them.
std::vector<Var> SomeOutputs(const std::vector<Var>& values, const std::vector<Var>& inputs, uint64_t seed) {
  std::vector<Var> outputs = {values.back(), values[values.size() / 2], values[seed % values.size()]};
  const Var f = mean(tanh(values.back())) + mean(sin(values[values.size() - 2]));
  const std::vector<Var> g = grad(f, inputs);
  outputs.insert(outputs.end(), g.begin(), g.end());
  outputs.push_back(f);
  outputs.push_back(grad(sum(square(g[0])) + f, inputs[0]));
  return outputs;
}

struct RandomProgram {
  explicit RandomProgram(const RandomGraphOptions& options, const std::vector<Shape>& shapes) : tape(DType::kF64) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      inputs.push_back(tape.Input(absl::StrCat("x", i), shapes[i]));
      values.push_back(Uniform(shapes[i], -1.5, 1.5, options.seed * 10 + i));
    }
    outputs = SomeOutputs(RandomGraph(inputs, options), inputs, options.seed);
  }
  Tape tape;
  std::vector<Var> inputs, outputs;
  std::vector<Tensor> values;
};

TEST(Optimiser, KeepsEveryBitOfRandomGraphs) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomProgram p({.seed = seed}, {{3, 4}, {4}, {2, 1, 4}, {}});
    ASSERT_EQ(p.tape.status(), absl::OkStatus());
    const auto fast = Evaluate(p.outputs, p.inputs, p.values, {.contract = false});
    const auto plain = Evaluate(p.outputs, p.inputs, p.values, kUnoptimised);
    ASSERT_EQ(fast.status(), absl::OkStatus());
    ASSERT_EQ(plain.status(), absl::OkStatus());
    for (size_t i = 0; i < p.outputs.size(); ++i) EXPECT_TRUE(AllEqual((*fast)[i], (*plain)[i])) << "output " << i;
    if (HasFailure()) return;
  }
}

// A transposed operand is read in another order, so products agree to rounding only.
TEST(Optimiser, KeepsRandomGraphsWithProductsToRounding) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomProgram p({.seed = seed, .smooth = true}, {{3, 4}, {4}, {2, 1, 4}, {}});
    ASSERT_EQ(p.tape.status(), absl::OkStatus());
    const auto fast = Evaluate(p.outputs, p.inputs, p.values);
    const auto plain = Evaluate(p.outputs, p.inputs, p.values, kUnoptimised);
    ASSERT_EQ(fast.status(), absl::OkStatus());
    ASSERT_EQ(plain.status(), absl::OkStatus());
    for (size_t i = 0; i < p.outputs.size(); ++i) {
      EXPECT_TRUE(AllNear((*fast)[i], (*plain)[i], 1e-9)) << "output " << i;
    }
    if (HasFailure()) return;
  }
}

TEST(Threads, DoNotChangeABitOfRandomGraphs) {
  ThreadPool one(1), two(2), three(3);
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    // Large enough for every instruction of full size to be shared by the threads.
    RandomProgram p({.seed = seed, .ops = 8, .smooth = seed % 2 == 0, .max_elements = 100000}, {{200, 120}, {120}, {}});
    ASSERT_EQ(p.tape.status(), absl::OkStatus());
    const auto alone = Evaluate(p.outputs, p.inputs, p.values);
    ASSERT_EQ(alone.status(), absl::OkStatus());
    for (ThreadPool* pool : {&one, &two, &three}) {
      for (bool optimize : {true, false}) {
        SCOPED_TRACE(absl::StrCat("seed ", seed, ", threads ", pool->threads(), optimize ? "" : ", unoptimised"));
        const auto shared = Evaluate(p.outputs, p.inputs, p.values, {.optimize = optimize, .pool = pool});
        ASSERT_EQ(shared.status(), absl::OkStatus());
        const double tolerance = optimize ? 0 : 1e-9;
        for (size_t i = 0; i < p.outputs.size(); ++i) {
          EXPECT_TRUE(AllNear((*shared)[i], (*alone)[i], tolerance)) << "output " << i;
        }
        if (HasFailure()) return;
      }
    }
  }
}

// A training step: products of all kinds, reductions over rows and columns, and a state that is overwritten.
TEST(Threads, DoNotChangeABitOfATrainingStep) {
  std::vector<std::vector<Tensor>> results;
  for (int threads : {0, 1, 2, 3}) {
    Tape tape;
    const Var x = tape.Input("x", {37, 200}), y = tape.Input("y", {37, 200});
    const Var w1 = tape.Input("w1", {200, 301}), b1 = tape.Input("b1", {301}), w2 = tape.Input("w2", {301, 1});
    const Var phi = reshape(matmul(silu(matmul(y, w1) + b1), w2), {-1}) + 0.5 * squared_norm(y, {1});
    const Var loss = mean(squared_norm(x - (y - 0.25 * grad(phi, y)), {1}));
    const std::vector<Var> p = {w1, b1, w2};
    const std::vector<Var> g = grad(loss, p);
    ProgramSpec spec = {.inputs = {x, y}, .state = {}, .outputs = {loss}};
    std::vector<Tensor> state;
    for (size_t i = 0; i < p.size(); ++i) {
      spec.state.push_back({p[i], p[i] - 0.01 * g[i]});
      state.push_back(Uniform(p[i].shape(), -0.1, 0.1, i, DType::kF32));
    }
    ThreadPool pool(std::max(1, threads));
    absl::StatusOr<Program> program = Compile(spec, {.optimize = true, .pool = threads == 0 ? nullptr : &pool});
    ASSERT_EQ(program.status(), absl::OkStatus());
    const Tensor xs = Uniform(x.shape(), -1, 1, 11, DType::kF32), ys = Uniform(y.shape(), -1, 1, 12, DType::kF32);
    Tensor value{Shape()};
    for (int step = 0; step < 3; ++step) {
      ASSERT_EQ(program->Run({&xs, &ys}, {&state[0], &state[1], &state[2]}, {&value}), absl::OkStatus());
    }
    state.push_back(value);
    results.push_back(state);
    for (size_t i = 0; i < state.size(); ++i) EXPECT_TRUE(AllEqual(state[i], results[0][i])) << threads << " " << i;
  }
}

TEST(Threads, DoNotChangeABitOfAConvolutionalEnergy) {
  std::vector<Tensor> alone;
  for (int threads : {1, 2, 3}) {
    Tape tape;
    const Var y = tape.Input("y", {5, 20, 18, 3});
    const Var k1 = tape.Input("k1", {4, 4, 3, 16}), k2 = tape.Input("k2", {3, 3, 16, 24});
    const Var h = silu(conv2d(silu(conv2d(y, k1, ConvOptions::Same(2, 1))), k2, ConvOptions::Same(1, 1)));
    const Var phi = sum(h, {1, 2, 3});
    const Var score = grad(phi, y);
    std::vector<Var> outputs = grad(mean(square(score)), {k1, k2});
    outputs.insert(outputs.end(), {phi, score});
    ThreadPool pool(threads);
    const auto values =
        Evaluate(outputs, {y, k1, k2},
                 {Uniform(y.shape(), -1, 1, 1, DType::kF32), Uniform(k1.shape(), -0.2, 0.2, 2, DType::kF32),
                  Uniform(k2.shape(), -0.2, 0.2, 3, DType::kF32)},
                 {.optimize = true, .pool = &pool});
    ASSERT_EQ(values.status(), absl::OkStatus());
    if (threads == 1) alone = *values;
    for (size_t i = 0; i < outputs.size(); ++i) EXPECT_TRUE(AllEqual((*values)[i], alone[i])) << threads << " " << i;
  }
}

// --- State ---

// Gradient descent on ½ a w² multiplies w by 1 − rate · a.
TEST(State, GradientDescentOnAQuadratic) {
  for (const CompileOptions& options : {CompileOptions{}, kUnoptimised}) {
    Tape tape(DType::kF64);
    const Var w = tape.Input("w", {3}), a = tape.Constant(Tensor::From<double>({3}, {1, 2, 4}));
    const Var loss = 0.5 * sum(a * square(w));
    absl::StatusOr<Program> program =
        Compile({.inputs = {}, .state = {{w, w - 0.125 * grad(loss, w)}}, .outputs = {loss}}, options);
    ASSERT_EQ(program.status(), absl::OkStatus());
    Tensor weights = Tensor::From<double>({3}, {8, 8, 8}), value({}, DType::kF64);
    for (int step = 0; step < 3; ++step) {
      double expected = 0;
      for (int i = 0; i < 3; ++i) expected += 0.5 * (1 << i) * weights.at(i) * weights.at(i);
      ASSERT_EQ(program->Run({}, {&weights}, {&value}), absl::OkStatus());
      EXPECT_EQ(value.at(0), expected);  // of the weights before the step
    }
    const double left[] = {0.875, 0.75, 0.5};
    for (int i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(weights.at(i), 8 * std::pow(left[i], 3));
  }
}

// Kingma & Ba, "Adam", algorithm 1, against the same lines on doubles: moments are read after their own update.
TEST(State, AdamMatchesTheAlgorithm) {
  for (const CompileOptions& options : {CompileOptions{}, kUnoptimised}) {
    Tape tape(DType::kF64);
    const Var w = tape.Input("w", {5}), m = tape.Input("m", {5}), v = tape.Input("v", {5}), t = tape.Input("t", {});
    const Var g = grad(sum(square(square(w) - 1.0)), w);
    const Var next_t = t + 1.0;
    const Var next_m = 0.9 * m + 0.1 * g, next_v = 0.999 * v + 0.001 * square(g);
    const Var m_hat = next_m / (1.0 - exp(next_t * std::log(0.9))),
              v_hat = next_v / (1.0 - exp(next_t * std::log(0.999)));
    const Var next_w = w - 0.05 * m_hat / (sqrt(v_hat) + 1e-8);
    absl::StatusOr<Program> program =
        Compile({.inputs = {}, .state = {{w, next_w}, {m, next_m}, {v, next_v}, {t, next_t}}, .outputs = {}}, options);
    ASSERT_EQ(program.status(), absl::OkStatus());
    Tensor weights = Uniform({5}, -2, 2, 1), first({5}, DType::kF64), second({5}, DType::kF64), time({}, DType::kF64);
    std::vector<double> ws = Numbers(weights), ms(5, 0.0), vs(5, 0.0);
    for (int step = 1; step <= 20; ++step) {
      ASSERT_EQ(program->Run({}, {&weights, &first, &second, &time}, {}), absl::OkStatus());
      for (size_t i = 0; i < 5; ++i) {
        const double gradient = 4 * ws[i] * (ws[i] * ws[i] - 1);
        ms[i] = 0.9 * ms[i] + 0.1 * gradient;
        vs[i] = 0.999 * vs[i] + 0.001 * gradient * gradient;
        ws[i] -= 0.05 * ms[i] / (1 - std::pow(0.9, step)) / (std::sqrt(vs[i] / (1 - std::pow(0.999, step))) + 1e-8);
      }
    }
    EXPECT_TRUE(AllNear(weights, ws, 1e-10));
    EXPECT_TRUE(AllNear(first, ms, 1e-10));
    EXPECT_TRUE(AllNear(second, vs, 1e-10));
    EXPECT_EQ(time.at(0), 20);
  }
}

// Runs once with a = (1, 2), b = (10, 20), and gives what is left in a, b and the outputs.
std::vector<std::vector<double>> RunAB(const std::function<ProgramSpec(Var a, Var b)>& make,
                                       const CompileOptions& options, int runs = 1) {
  Tape tape(DType::kF64);
  const Var a = tape.Input("a", {2}), b = tape.Input("b", {2});
  const ProgramSpec spec = make(a, b);
  absl::StatusOr<Program> program = Compile(spec, options);
  EXPECT_EQ(program.status(), absl::OkStatus());
  if (!program.ok()) return {};
  Tensor ta = Tensor::From<double>({2}, {1, 2}), tb = Tensor::From<double>({2}, {10, 20});
  std::vector<const Tensor*> inputs;
  std::vector<Tensor*> state, outputs;
  for (Var v : spec.inputs) inputs.push_back(v == a ? &ta : &tb);
  for (const Update& u : spec.state) state.push_back(u.before == a ? &ta : &tb);
  std::vector<Tensor> results;
  for (Var v : spec.outputs) results.push_back(Tensor::Full(v.shape(), -7, DType::kF64));
  for (Tensor& r : results) outputs.push_back(&r);
  for (int i = 0; i < runs; ++i) EXPECT_EQ(program->Run(inputs, state, outputs), absl::OkStatus());
  std::vector<std::vector<double>> left = {Numbers(ta), Numbers(tb)};
  for (const Tensor& r : results) left.push_back(Numbers(r));
  return left;
}

using Rows = std::vector<std::vector<double>>;

class EitherWay : public ::testing::TestWithParam<bool> {
 protected:
  CompileOptions options() const { return {.optimize = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(Program, EitherWay, ::testing::Values(true, false),
                         [](const auto& way) { return way.param ? "Optimised" : "Unoptimised"; });

TEST_P(EitherWay, TheOldValueOfAStateIsAnOutput) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, a + b}}, {a, a * 2.0}};
                },
                options()),
            (Rows{{11, 22}, {10, 20}, {1, 2}, {2, 4}}));
}

TEST_P(EitherWay, TheNewValueOfAStateIsAnOutput) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, a + b}}, {a + b, a + b}};
                },
                options()),
            (Rows{{11, 22}, {10, 20}, {11, 22}, {11, 22}}));
}

TEST_P(EitherWay, AStateIsReadAfterItsUpdate) {
  // The sum reads the new value, the product the old one, in this order of recording.
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  const Var next = a + b;
                  const Var total = sum(next);
                  return ProgramSpec{{b}, {{a, next}}, {total * a}};
                },
                options()),
            (Rows{{11, 22}, {10, 20}, {33, 66}}));
}

TEST_P(EitherWay, AnUpdateThatMixesTheElements) {
  // Every new element needs all old ones.
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, a + sum(a)}}, {}};
                },
                options(), 2),
            (Rows{{4 + 9, 5 + 9}, {10, 20}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, broadcast_to(slice(a, 0, 1, 2), {2}) - a}}, {}};
                },
                options()),
            (Rows{{1, 0}, {10, 20}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, concat({slice(a, 0, 1, 2), slice(a, 0, 0, 1)}, 0)}}, {}};
                },
                options()),
            (Rows{{2, 1}, {10, 20}}));
}

TEST_P(EitherWay, TwoStatesEachNeedTheOther) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{}, {{a, a + b}, {b, a - b}}, {}};
                },
                options()),
            (Rows{{11, 22}, {-9, -18}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{}, {{a, 2.0 * b}, {b, a + 0.5}}, {}};
                },
                options()),
            (Rows{{20, 40}, {1.5, 2.5}}));
}

// "The previous value" of a state, kept in another one, in either order of listing.
TEST_P(EitherWay, AStateRemembersTheOldValueOfAnother) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{}, {{a, a + 1.0}, {b, a * 1.0}}, {}};
                },
                options(), 2),
            (Rows{{3, 4}, {2, 3}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{}, {{b, a * 1.0}, {a, a + 1.0}}, {}};
                },
                options(), 2),
            (Rows{{3, 4}, {2, 3}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{}, {{a, sum(a) + a}, {b, a}}, {a, b}};
                },
                options(), 2),
            (Rows{{13, 14}, {4, 5}, {4, 5}, {1, 2}}));
}

TEST_P(EitherWay, TwoStatesAreSwapped) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{}, {{a, b}, {b, a}}, {}};
                },
                options()),
            (Rows{{10, 20}, {1, 2}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{}, {{a, b * 1.0}, {b, stop_gradient(a)}}, {a}};
                },
                options()),
            (Rows{{10, 20}, {1, 2}, {1, 2}}));
}

TEST_P(EitherWay, AStateTakesTheValueOfAnInputOrAConstant) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, b}}, {a}};
                },
                options()),
            (Rows{{10, 20}, {10, 20}, {1, 2}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, a.tape()->Constant(3.0, {2})}}, {a + b}};
                },
                options()),
            (Rows{{3, 3}, {10, 20}, {11, 22}}));
}

TEST_P(EitherWay, AStateThatDoesNotChange) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, a}}, {a}};
                },
                options()),
            (Rows{{1, 2}, {10, 20}, {1, 2}}));
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  return ProgramSpec{{b}, {{a, 1.0 * a}}, {exp(a - a)}};
                },
                options()),
            (Rows{{1, 2}, {10, 20}, {1, 1}}));
}

// Random graphs over four states of one shape, each of which takes some value of that shape, perhaps the old value of
// another state: as if all outputs and all new values were computed first and stored afterwards.
TEST(State, RandomUpdatesInPlaceMatchComputingThemAside) {
  ThreadPool pool(2);
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    // Every fifth is large enough for two threads.
    const Shape shape = seed % 5 == 0 ? Shape{160, 110} : Shape{3, 4};
    Tape tape(DType::kF64);
    std::vector<Var> before;
    std::vector<Tensor> values;
    for (size_t i = 0; i < 4; ++i) {
      before.push_back(tape.Input(absl::StrCat("s", i), shape));
      values.push_back(Uniform(shape, -1, 1, seed * 10 + i));
    }
    const std::vector<Var> all = RandomGraph(before, {.seed = seed, .max_elements = 4 * shape.num_elements()});
    std::vector<Var> candidates;
    for (Var v : all) {
      if (v.shape() == shape) candidates.push_back(v);
    }
    std::mt19937_64 random(seed);
    ProgramSpec spec;
    std::vector<Var> results;
    for (Var v : before) {
      spec.state.push_back({v, candidates[random() % candidates.size()]});
      results.push_back(spec.state.back().after);
    }
    for (int i = 0; i < 3; ++i) spec.outputs.push_back(all[random() % all.size()]);
    results.insert(results.end(), spec.outputs.begin(), spec.outputs.end());
    const auto expected = Evaluate(results, before, values, {.contract = false});
    ASSERT_EQ(expected.status(), absl::OkStatus());

    for (bool optimize : {true, false}) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, optimize ? "" : ", unoptimised"));
      absl::StatusOr<Program> program = Compile(spec, {.optimize = optimize, .contract = false, .pool = &pool});
      ASSERT_EQ(program.status(), absl::OkStatus());
      std::vector<Tensor> left = values;
      for (Var v : spec.outputs) left.emplace_back(v.shape(), DType::kF64);
      std::vector<Tensor*> state, outputs;
      for (size_t i = 0; i < left.size(); ++i) (i < 4 ? state : outputs).push_back(&left[i]);
      ASSERT_EQ(program->Run({}, state, outputs), absl::OkStatus());
      for (size_t i = 0; i < left.size(); ++i) {
        ASSERT_TRUE(AllEqual(left[i], (*expected)[i])) << (i < 4 ? "state " : "output ") << i % 4 << "\n"
                                                       << program->ToString();
      }
    }
  }
}

// --- Outputs ---

TEST_P(EitherWay, OutputsThatNeedNoComputation) {
  EXPECT_EQ(
      RunAB(
          [](Var a, Var b) {
            Tape& tape = *a.tape();
            return ProgramSpec{{a, b}, {}, {a, a, tape.Constant(5.0), tape.Constant(Tensor::From<float>({2}, {6, 7}))}};
          },
          options()),
      (Rows{{1, 2}, {10, 20}, {1, 2}, {1, 2}, {5}, {6, 7}}));
}

TEST_P(EitherWay, OutputsThatAreViewsOfInputsAndOfEachOther) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  const Var c = a + b;
                  return ProgramSpec{{a, b},
                                     {},
                                     {slice(a, 0, 1, 2), reshape(b, {1, 2}), c, slice(c, 0, 1, 2), reshape(c, {2, 1}),
                                      transpose(reshape(c, {1, 2})), broadcast_to(slice(c, 0, 0, 1), {3})}};
                },
                options()),
            (Rows{{1, 2}, {10, 20}, {2}, {10, 20}, {11, 22}, {22}, {11, 22}, {11, 22}, {11, 11, 11}}));
}

TEST_P(EitherWay, OutputsThatAreUsedFurther) {
  EXPECT_EQ(RunAB(
                [](Var a, Var b) {
                  const Var c = a * b, d = c + 1.0, e = sum(d);
                  return ProgramSpec{{a, b}, {}, {d, e, c, e * c, d}};
                },
                options()),
            (Rows{{1, 2}, {10, 20}, {11, 41}, {52}, {10, 40}, {520, 2080}, {11, 41}}));
}

TEST_P(EitherWay, ConstantsOnly) {
  Tape tape(DType::kF64);
  const Var c = tape.Constant(Tensor::From<double>({2, 2}, {1, 2, 3, 4}));
  EXPECT_EQ(Numbers(Value(matmul(c, c) + 1.0, {}, {}, options())), (std::vector<double>{8, 11, 16, 23}));
  EXPECT_EQ(Numbers(Value(slice(tape.Constant(2.0, {5}), 0, 1, 3), {}, {}, options())), (std::vector<double>{2, 2}));
}

TEST_P(EitherWay, TheSecondRunGivesTheSame) {
  RandomProgram p({.seed = 5, .smooth = true}, {{3, 4}, {4}});
  absl::StatusOr<Program> program = Compile({.inputs = p.inputs, .state = {}, .outputs = p.outputs}, options());
  ASSERT_EQ(program.status(), absl::OkStatus());
  std::vector<std::vector<Tensor>> results;
  for (int run = 0; run < 3; ++run) {
    std::vector<Tensor> values;
    for (Var v : p.outputs) values.push_back(Tensor::Full(v.shape(), run, DType::kF64));  // other rubbish each time
    std::vector<Tensor*> outputs;
    for (Tensor& v : values) outputs.push_back(&v);
    ASSERT_EQ(program->Run({&p.values[0], &p.values[1]}, {}, outputs), absl::OkStatus());
    results.push_back(values);
    for (size_t i = 0; i < values.size(); ++i) EXPECT_TRUE(AllEqual(values[i], results[0][i])) << i;
  }
}

TEST_P(EitherWay, AProgramOutlivesItsTapeAndMayBeMoved) {
  std::vector<Program> programs;
  {
    Tape tape(DType::kF64);
    const Var x = tape.Input("x", {2});
    programs.push_back(*Compile({{x}, {}, {tape.Constant(Tensor::From<double>({2}, {3, 5})) * x}}, options()));
  }
  const Tensor x = Tensor::From<double>({2}, {1, 10});
  Tensor y({2}, DType::kF64);
  ASSERT_EQ(programs[0].Run({&x}, {}, {&y}), absl::OkStatus());
  EXPECT_EQ(Numbers(y), (std::vector<double>{3, 50}));
}

// --- Batches ---

// Rows of an energy do not mix, so any batch size gives each row what it gets alone, to rounding.
TEST_P(EitherWay, AnyBatchSizeGivesTheSameRows) {
  const Tensor rows = Uniform({33, 7}, -1, 1, 1), weights = Uniform({7, 9}, -1, 1, 2);
  std::vector<double> alone;
  for (int64_t batch : {1, 2, 5, 17, 33}) {
    Tape tape(DType::kF64);
    const Var y = tape.Input("y", {batch, 7}), w = tape.Input("w", {7, 9});
    const Var score = grad(logsumexp(tanh(matmul(y, w)), {1}), y);
    for (int64_t begin = 0; begin + batch <= 33; begin += batch) {
      const Tensor part = Value(slice(tape.Constant(rows), 0, begin, begin + batch));
      const std::vector<double> got = Numbers(Value(score, {y, w}, {part, weights}, options()));
      if (batch == 1) {
        alone.insert(alone.end(), got.begin(), got.end());
      } else {
        EXPECT_TRUE(AllNear(Tensor::From<double>({batch * 7}, got),
                            std::vector<double>(alone.begin() + begin * 7, alone.begin() + (begin + batch) * 7),
                            1e-14));
      }
    }
  }
}

TEST_P(EitherWay, EmptyArraysGoThroughEveryOp) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {0, 3}), w = tape.Input("w", {3, 2}), b = tape.Input("b", {2});
  const Var h = tanh(matmul(x, w) + b);
  const Var phi = logsumexp(h, {1}) + squared_norm(x, {1}) + norm(x, {1});
  const std::vector<Var> g = grad(phi, {x, w, b});
  const std::vector<Var> outputs = {h,
                                    phi,
                                    sum(phi),
                                    g[0],
                                    g[1],
                                    g[2],
                                    grad(sum(square(g[0])), w),
                                    transpose(h),
                                    pad(h, 0, 1, 2),
                                    concat({h, h}, 0),
                                    concat({h, h}, 1),
                                    stack({h, h}, 1),
                                    slice(h, 1, 0, 1),
                                    softmax(h),
                                    matmul(transpose(h), h),
                                    broadcast_to(x, {4, 0, 3}),
                                    reshape(x, {3, 0})};
  ASSERT_EQ(tape.status(), absl::OkStatus());
  const auto result = Evaluate(
      outputs, {x, w, b}, {Tensor({0, 3}, DType::kF64), Uniform({3, 2}, -1, 1, 1), Uniform({2}, -1, 1, 2)}, options());
  ASSERT_EQ(result.status(), absl::OkStatus());
  for (size_t i = 0; i < outputs.size(); ++i) {
    // What is not empty itself is a sum over nothing.
    for (double v : Numbers((*result)[i])) EXPECT_EQ(v, 0) << i;
  }
  EXPECT_EQ((*result)[4].shape(), Shape({3, 2}));
  EXPECT_EQ((*result)[8].shape(), Shape({3, 2}));
}

TEST(Empty, WithThreadsAndState) {
  ThreadPool pool(2);
  Tape tape;
  const Var a = tape.Input("a", {0}), big = tape.Input("big", {300, 300});
  absl::StatusOr<Program> program =
      Compile({{big}, {{a, exp(a) + 1.0}}, {sum(a), exp(big), a}}, {.optimize = true, .pool = &pool});
  ASSERT_EQ(program.status(), absl::OkStatus());
  Tensor state({0}), total = Tensor::Full({}, 5), out({300, 300}), copy({0});
  const Tensor in({300, 300});
  ASSERT_EQ(program->Run({&in}, {&state}, {&total, &out, &copy}), absl::OkStatus());
  EXPECT_EQ(total.at(0), 0);
  EXPECT_EQ(out.at(89999), 1);
}

// --- Wrong calls ---

TEST(Errors, OfCompile) {
  Tape tape, other;
  const Var x = tape.Input("x", {2}), y = tape.Input("y", {2}), z = other.Input("z", {2});
  const auto message = [](const ProgramSpec& spec) {
    const absl::Status status = Compile(spec).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_NE(message({{x}, {}, {x * y}}).find("\"y\""), std::string::npos);
  EXPECT_NE(message({{x}, {{y, x + 1.0}}, {exp(z)}}).find("not on this tape"), std::string::npos);
  EXPECT_NE(message({{x}, {}, {Var()}}).find("not on this tape"), std::string::npos);
  EXPECT_NE(message({{x, exp(x)}, {}, {x}}).find("input 1"), std::string::npos);
  EXPECT_NE(message({{x, x}, {}, {x}}).find("\"x\" is listed twice"), std::string::npos);
  EXPECT_NE(message({{x}, {{x, 2.0 * x}}, {}}).find("\"x\" is listed twice"), std::string::npos);
  const std::string shapes = message({{}, {{x, sum(x)}}, {}});
  EXPECT_NE(shapes.find("\"x\""), std::string::npos);
  EXPECT_NE(shapes.find("[2]"), std::string::npos);
  EXPECT_NE(shapes.find("[]"), std::string::npos);
  EXPECT_NE(message({}).find("nothing to compute"), std::string::npos);
  // An input that is listed and not needed is no mistake.
  EXPECT_EQ(Compile({{x, y}, {}, {exp(x)}}).status(), absl::OkStatus());
}

TEST(Errors, OfRunChangeNothing) {
  Tape tape;
  const Var x = tape.Input("x", {2}), w = tape.Input("w", {3});
  absl::StatusOr<Program> program = Compile({{x}, {{w, w + sum(x)}}, {exp(x), sum(w)}});
  ASSERT_EQ(program.status(), absl::OkStatus());
  const Tensor in = Tensor::From<float>({2}, {1, 2}), wide = in.Cast(DType::kF64), longer({3});
  Tensor state = Tensor::Full({3}, 7), out = Tensor::Full({2}, 8), total = Tensor::Full({}, 9), column({3, 1});
  Tensor same = Tensor::Full({2}, 1);
  const auto message = [&](absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> states,
                           absl::Span<Tensor* const> outputs) {
    const absl::Status status = program->Run(inputs, states, outputs);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_NE(message({}, {&state}, {&out, &total}).find("got 0 inputs"), std::string::npos);
  EXPECT_NE(message({&in, &in}, {&state}, {&out, &total}).find("got 2 inputs"), std::string::npos);
  EXPECT_NE(message({&in}, {}, {&out, &total}).find("0 state"), std::string::npos);
  EXPECT_NE(message({&in}, {&state}, {&out}).find("1 outputs"), std::string::npos);
  EXPECT_NE(message({&longer}, {&state}, {&out, &total}).find("input 0 (\"x\") must be f32[2], got f32[3]"),
            std::string::npos);
  EXPECT_NE(message({&wide}, {&state}, {&out, &total}).find("must be f32[2], got f64[2]"), std::string::npos);
  EXPECT_NE(message({&in}, {&column}, {&out, &total}).find("state 0 (\"w\") must be f32[3], got f32[3, 1]"),
            std::string::npos);
  EXPECT_NE(message({&in}, {&state}, {&out, &out}).find("output 1 must be f32[], got f32[2]"), std::string::npos);
  EXPECT_NE(message({nullptr}, {&state}, {&out, &total}).find("got null"), std::string::npos);
  EXPECT_NE(message({&same}, {&state}, {&same, &total}).find("output 0 is the same tensor as input 0 (\"x\")"),
            std::string::npos);
  EXPECT_EQ(Numbers(state), (std::vector<double>{7, 7, 7}));
  EXPECT_EQ(Numbers(out), (std::vector<double>{8, 8}));
  EXPECT_EQ(total.at(0), 9);
  EXPECT_EQ(Numbers(same), (std::vector<double>{1, 1}));
  // And the program still works.
  ASSERT_EQ(program->Run({&in}, {&state}, {&out, &total}), absl::OkStatus());
  EXPECT_EQ(Numbers(state), (std::vector<double>{10, 10, 10}));
  EXPECT_EQ(total.at(0), 21);
}

TEST(Errors, OneTensorMayBeSeveralInputs) {
  Tape tape;
  const Var x = tape.Input("x", {2}), y = tape.Input("y", {2});
  absl::StatusOr<Program> program = Compile({{x, y}, {}, {x * y}});
  const Tensor in = Tensor::From<float>({2}, {3, 4});
  Tensor out({2});
  ASSERT_EQ(program->Run({&in, &in}, {}, {&out}), absl::OkStatus());
  EXPECT_EQ(Numbers(out), (std::vector<double>{9, 16}));
}

// --- Memory and size ---

// A chain of n products of one shape: two values are alive at a time, so the arena holds two of them, not n.
TEST(Stats, MemoryOfADeepChainDoesNotGrowWithItsDepth) {
  for (int depth : {8, 64}) {
    Tape tape;
    const Var x = tape.Input("x", {32, 32}), w = tape.Input("w", {32, 32});
    Var h = x;
    for (int i = 0; i < depth; ++i) h = matmul(h, w);
    absl::StatusOr<Program> program = Compile({{x, w}, {}, {h}});
    ASSERT_EQ(program.status(), absl::OkStatus());
    const int64_t bytes = PaddedBytes(32 * 32 * 4);
    EXPECT_EQ(program->stats().arena_bytes, 2 * bytes);
    // All but the last, which is computed in the caller's tensor.
    EXPECT_EQ(program->stats().unplanned_bytes, (depth - 1) * bytes);
    EXPECT_EQ(program->stats().instructions, depth);
  }
}

// An elementwise op may write over the operand that dies in it: product, tanh over it, product, ...
TEST(Stats, ElementwiseOpsReuseTheirOperand) {
  Tape tape;
  const Var x = tape.Input("x", {32, 32}), w = tape.Input("w", {32, 32});
  Var h = x;
  for (int i = 0; i < 20; ++i) h = tanh(matmul(h, w));
  const absl::StatusOr<Program> program = Compile({{x, w}, {}, {h}});
  ASSERT_EQ(program.status(), absl::OkStatus());
  EXPECT_EQ(program->stats().arena_bytes, 2 * PaddedBytes(32 * 32 * 4));
}

TEST(Stats, AnElementwiseExpressionIsOneInstructionWithoutMemory) {
  Tape tape;
  const Var x = tape.Input("x", {1000}), y = tape.Input("y", {1000});
  Var h = x;
  for (int i = 0; i < 10; ++i) h = tanh(h) * y + 0.5;
  const absl::StatusOr<Program> program = Compile({{x, y}, {}, {h}});
  ASSERT_EQ(program.status(), absl::OkStatus());
  EXPECT_EQ(program->stats().instructions, 1);
  EXPECT_EQ(program->stats().fused_nodes, 20);
  EXPECT_EQ(program->stats().arena_bytes, 0);
  EXPECT_NE(program->ToString().find("tanh"), std::string::npos);
}

TEST(EvaluateTest, ChecksItsValues) {
  Tape tape;
  const Var x = tape.Input("x", {2});
  EXPECT_FALSE(Evaluate({x}, {x}, {}).ok());
  EXPECT_FALSE(Evaluate({x}, {x}, {Tensor({3})}).ok());
  EXPECT_FALSE(Evaluate({x}, {}, {}).ok());
  EXPECT_TRUE(Evaluate({}, {x}, {Tensor({2})}).ok());
}

}  // namespace
}  // namespace autodiff
