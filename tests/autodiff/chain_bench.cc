// What fused elementwise chains cost: cycles per vector (64 bytes of float32) and op, for operands in the first-level
// cache, in the second and beyond. A cycle is the time in which a core can do two fused multiply-adds on such vectors,
// measured beside.
//
//   bazel run -c opt //tests/autodiff:chain_bench
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "autodiff/random.h"
#include "tests/autodiff/kernels/fma_peak.h"

namespace autodiff {
namespace {

using Record = std::function<std::vector<Var>(const std::vector<Var>& x)>;

struct Case {
  const char* name;
  int inputs;
  Record record;
};

std::vector<Case> Cases() {
  return {
      {"add", 2, [](const auto& x) { return std::vector<Var>{x[0] + x[1]}; }},
      {"20 adds and products", 2,
       [](const auto& x) {
         Var y = x[0];
         for (int i = 0; i < 10; ++i) y = y * x[1] + x[0];
         return std::vector<Var>{y};
       }},
      {"20 with constants", 1,
       [](const auto& x) {
         Var y = x[0];
         for (int i = 0; i < 10; ++i) y = y * 0.5 + (1.0 + i);
         return std::vector<Var>{y};
       }},
      {"div", 2, [](const auto& x) { return std::vector<Var>{x[0] / x[1]}; }},
      {"sqrt", 1, [](const auto& x) { return std::vector<Var>{sqrt(x[0])}; }},
      {"exp", 1, [](const auto& x) { return std::vector<Var>{exp(x[0])}; }},
      {"sigmoid", 1, [](const auto& x) { return std::vector<Var>{sigmoid(x[0])}; }},
      {"silu", 1, [](const auto& x) { return std::vector<Var>{silu(x[0])}; }},
      {"silu, first derivative", 2,
       [](const auto& x) { return std::vector<Var>{grad(sum(silu(x[0]) * stop_gradient(x[1])), x[0])}; }},
      {"silu, second derivative", 3,
       [](const auto& x) {
         const Var first = grad(sum(silu(x[0]) * x[1]), x[0]);
         return grad(sum(first * stop_gradient(x[2])), {x[0], x[1]});
       }},
      {"Adam", 4,
       [](const auto& x) {
         const Var w = x[0], m = x[1], v = x[2], g = x[3];
         const Var m_new = 0.9 * m + 0.1 * g, v_new = 0.999 * v + 0.001 * square(g);
         return std::vector<Var>{w - 0.001 * (m_new * 1.5 / (sqrt(v_new * 1.25) + 1e-8)), m_new, v_new};
       }},
  };
}

void Run(const Case& c, int64_t n) {
  Tape tape;
  std::vector<Var> x;
  for (int i = 0; i < c.inputs; ++i) x.push_back(tape.Input(absl::StrCat("x", i), {n}));
  const std::vector<Var> y = c.record(x);
  absl::StatusOr<Program> program = Compile({.inputs = x, .state = {}, .outputs = y});
  if (!program.ok() || program->stats().instructions != 1) {
    std::printf("%s is not one chain\n", c.name);
    return;
  }
  std::vector<Tensor> in, out;
  for (int i = 0; i < c.inputs; ++i) {
    in.emplace_back(Shape{n});
    FillUniform({.seed = static_cast<uint64_t>(i), .stream = kSynthetic}, 0, in.back().data<float>());
    for (float& value : in.back().data<float>()) value += 0.5f;
  }
  for (Var v : y) out.emplace_back(v.shape());
  std::vector<const Tensor*> inputs;
  for (const Tensor& t : in) inputs.push_back(&t);
  std::vector<Tensor*> outputs;
  for (Tensor& t : out) outputs.push_back(&t);
  const int ops = std::max(1, program->stats().fused_nodes);
  // Two fused multiply-adds are 64 operations on a vector of 16.
  const double vectors = static_cast<double>(n) / 16;
  const Share share = ShareOfPeak(64 * vectors, [&] {
    if (!program->Run(inputs, {}, outputs).ok()) std::abort();
  });
  std::printf("%-24s %3d ops %8ld elements  %6.2f cycles per vector, %5.2f per op  %5.2f G elements/s\n", c.name, ops,
              n, 1 / share.median, 1 / share.median / ops, static_cast<double>(n) / share.seconds * 1e-9);
  std::fflush(stdout);
}

}  // namespace
}  // namespace autodiff

int main() {
  for (const autodiff::Case& c : autodiff::Cases()) {
    for (int64_t n : {1024, 32 << 10, 4 << 20}) autodiff::Run(c, n);
  }
}
