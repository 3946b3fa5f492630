// A large product's only chain becomes its epilogue, and nothing else does; values are those of the separate steps, to
// the bit, for any number of threads and with state updated in place.
#include "autodiff/passes/epilogues.h"

#include <algorithm>
#include <string>
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

constexpr int64_t kSide = 512;  // a product of this side has kMinEpilogueBytes bytes in float32
static_assert(kSide * kSide * 4 >= kMinEpilogueBytes);

struct Fused {
  explicit Fused(const std::vector<Var>& outputs) : graph(outputs[0].tape()->dtype()) {
    std::vector<int> roots;
    for (Var v : Simplify(outputs, graph, true)) roots.push_back(v.id());
    steps = Schedule(graph, roots, true);
    before = steps.size();
    FuseEpilogues(graph, roots, steps);
  }
  size_t Count() const {
    return static_cast<size_t>(std::count_if(steps.begin(), steps.end(), [](const Step& s) { return s.product >= 0; }));
  }
  Tape graph;
  std::vector<Step> steps;
  size_t before = 0;
};

TEST(FuseEpilogues, AChainThatAloneReadsAProduct) {
  Tape tape;
  const Var a = tape.Input("a", {kSide, 8}), b = tape.Input("b", {8, kSide}), w = tape.Input("w", {kSide, kSide});
  const Fused f({w - 0.1 * matmul(a, b)});
  ASSERT_EQ(f.steps.size(), 1u);
  EXPECT_EQ(f.before, 2u);
  EXPECT_EQ(f.graph.node(f.steps[0].product).kind, OpKind::kMatmul);
  // Of two products in one chain, one.
  const Fused two({matmul(a, b) * matmul(a, sin(b))});
  EXPECT_EQ(two.Count(), 1u);
  EXPECT_EQ(two.steps.size(), two.before - 1);
}

TEST(FuseEpilogues, NotAnyOther) {
  Tape tape;
  const Var a = tape.Input("a", {kSide, 8}), b = tape.Input("b", {8, kSide}), c = tape.Input("c", {kSide, kSide});
  const Var g = matmul(a, b);
  EXPECT_EQ(Fused({exp(g), g}).Count(), 0u);                                          // a result of its own
  EXPECT_EQ(Fused({exp(g), sum(g, {0})}).Count(), 0u);                                // another reader
  EXPECT_EQ(Fused({exp(g) / sum(exp(g))}).Count(), 1u);                               // the exponential alone reads it
  EXPECT_EQ(Fused({g / sum(g)}).Count(), 0u);                                         // two chains' worth of reading
  EXPECT_EQ(Fused({broadcast_to(slice(g, 0, 0, 1), {3, kSide}) * 2.0}).Count(), 0u);  // not element by element
  EXPECT_EQ(Fused({exp(matmul(slice(a, 0, 0, 16), b))}).Count(), 0u);                 // too small to matter
  EXPECT_EQ(Fused({exp(matmul(slice(c, 0, 0, 500), slice(c, 1, 0, 500), {.transpose_a = false}))}).Count(),
            0u);  // rows end within a cache line
}

// Three Adam steps on an energy of two layers; `observed`: the gradients are outputs too, so that nothing is fused.
std::vector<Tensor> AdamSteps(bool observed, int threads, DType dtype, std::string* text) {
  Tape tape(dtype);
  const Var x = tape.Input("x", {40, 304}), t = tape.Input("t", {}), rate = tape.Input("rate", {});
  std::vector<Var> w = {tape.Input("w1", {304, 1008}), tape.Input("b1", {1008}), tape.Input("w2", {1008, 272})};
  const Var h = silu(matmul(x, w[0]) + w[1]);
  const Var out = matmul(h, w[2]);
  const Var energy = sum(square(out), {1});
  const Var loss = mean(squared_norm(x - 0.1 * grad(energy, x), {1}));
  const std::vector<Var> g = grad(loss, w);
  ProgramSpec spec = {.inputs = {x, rate}, .state = {{t, t + 1.0}}, .outputs = {loss}};
  std::vector<Tensor> state;
  state.push_back(Tensor::Full({}, 0, dtype));
  for (size_t i = 0; i < w.size(); ++i) {
    const Var m = tape.Input("m", w[i].shape()), v = tape.Input("v", w[i].shape());
    const Var next_m = 0.9 * m + 0.1 * g[i], next_v = 0.99 * v + 0.01 * square(g[i]);
    const Var step = rate * (next_m / (1.0 - exp((t + 1.0) * -0.105))) / (sqrt(next_v) + 1e-6);
    spec.state.push_back({w[i], w[i] - step});
    spec.state.push_back({m, next_m});
    spec.state.push_back({v, next_v});
    state.push_back(Uniform(w[i].shape(), -0.05, 0.05, i, dtype));
    state.emplace_back(w[i].shape(), dtype);
    state.emplace_back(w[i].shape(), dtype);
    if (observed) spec.outputs.push_back(g[i]);
  }
  ThreadPool pool(threads);
  absl::StatusOr<Program> program = Compile(spec, {.optimize = true, .pool = &pool});
  EXPECT_EQ(program.status(), absl::OkStatus());
  if (text != nullptr) *text = program->ToString();
  std::vector<Tensor> outputs;
  std::vector<Tensor*> state_p, output_p;
  for (Var v : spec.outputs) outputs.emplace_back(v.shape(), dtype);
  for (Tensor& s : state) state_p.push_back(&s);
  for (Tensor& o : outputs) output_p.push_back(&o);
  const Tensor xs = Uniform(x.shape(), -1, 1, 11, dtype), rates = Tensor::Full({}, 1e-3, dtype);
  for (int step = 0; step < 3; ++step) {
    EXPECT_EQ(program->Run({&xs, &rates}, state_p, output_p), absl::OkStatus());
  }
  state.push_back(std::move(outputs[0]));
  return state;
}

// Lines of a program that are a product with a chain.
int CountFused(const std::string& text) {
  int count = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    count += line.find("matmul(") != std::string::npos && line.find("; %") != std::string::npos ? 1 : 0;
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return count;
}

TEST(FuseEpilogues, AdamInPlaceIsTheSameToTheBit) {
  for (DType dtype : {DType::kF32, DType::kF64}) {
    std::string text;
    const std::vector<Tensor> plain = AdamSteps(/*observed=*/true, 1, dtype, &text);
    EXPECT_EQ(CountFused(text), 0);
    for (int threads : {1, 2, 3}) {
      const std::vector<Tensor> fused = AdamSteps(/*observed=*/false, threads, dtype, &text);
      EXPECT_EQ(CountFused(text), 2) << text;
      for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(AllEqual(fused[i], plain[i])) << threads << " " << i;
    }
  }
}

// Operands of the product that the chain reads too must outlive the product; biases along either axis are read
// through their broadcast.
TEST(FuseEpilogues, OperandsThatTheChainReadsToo) {
  for (int threads : {1, 2}) {
    Tape tape;
    const Var a = tape.Input("a", {kSide, kSide}), row = tape.Input("row", {kSide}),
              column = tape.Input("column", {kSide, 1});
    const Var scaled = 0.1 * a;  // dies in the chain
    const Var after = tanh(matmul(scaled, scaled, {.transpose_b = true}) * row + column) * scaled + a;
    const Var g = matmul(scaled, scaled, {.transpose_b = true});
    ThreadPool pool(threads);
    ProgramSpec spec = {.inputs = {row, column}, .state = {{a, after}}, .outputs = {}};
    absl::StatusOr<Program> program = Compile(spec, {.optimize = true, .pool = &pool});
    spec.outputs = {g};
    absl::StatusOr<Program> observed = Compile(spec, {.optimize = true, .pool = &pool});
    ASSERT_EQ(program.status(), absl::OkStatus());
    ASSERT_EQ(observed.status(), absl::OkStatus());
    EXPECT_EQ(CountFused(program->ToString()), 1) << program->ToString();
    EXPECT_EQ(CountFused(observed->ToString()), 0);
    Tensor one = Uniform(a.shape(), -1, 1, 1, DType::kF32), two = one, product(g.shape());
    const Tensor r = Uniform(row.shape(), -1, 1, 2, DType::kF32), c = Uniform(column.shape(), -1, 1, 3, DType::kF32);
    for (int step = 0; step < 2; ++step) {
      ASSERT_EQ(program->Run({&r, &c}, {&one}, {}), absl::OkStatus());
      ASSERT_EQ(observed->Run({&r, &c}, {&two}, {&product}), absl::OkStatus());
    }
    EXPECT_TRUE(AllEqual(one, two));
  }
}

// Every column of the product is used by the state it updates: the state cannot be overwritten meanwhile.
TEST(FuseEpilogues, AStateThatIsAFactor) {
  Tape tape;
  const Var w = tape.Input("w", {kSide, kSide}), x = tape.Input("x", {kSide, kSide});
  ProgramSpec spec = {.inputs = {x}, .state = {{w, w - 0.01 * matmul(x, w)}}, .outputs = {}};
  absl::StatusOr<Program> program = Compile(spec);
  ASSERT_EQ(program.status(), absl::OkStatus());
  EXPECT_EQ(CountFused(program->ToString()), 1);
  const Tensor xs = Uniform(x.shape(), -1, 1, 1, DType::kF32);
  Tensor ws = Uniform(w.shape(), -1, 1, 2, DType::kF32);
  const auto expected = Evaluate({spec.state[0].after}, {x, w}, {xs, ws}, {.optimize = false});
  ASSERT_EQ(expected.status(), absl::OkStatus());
  ASSERT_EQ(program->Run({&xs}, {&ws}, {}), absl::OkStatus());
  EXPECT_TRUE(AllNear(ws, (*expected)[0], 1e-5));
}

}  // namespace
}  // namespace autodiff
