#include "autodiff/check_grad.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "autodiff/random.h"

namespace autodiff {
namespace {

Tensor Random(const Shape& shape, const NoiseKey& key) {
  Tensor t(shape, DType::kF64);
  FillNormal(key, 0, t.data<double>());
  return t;
}

// `value` recorded on the tape as a function of the inputs x, checked at the points `at`.
absl::Status Check(Tape& tape, Var value, const std::vector<Var>& x, const std::vector<Tensor>& at,
                   const CheckGradOptions& options) {
  auto random = [&](const Shape& shape, uint64_t which) {
    return Random(shape, {.seed = options.seed, .stream = kFirstFreeStream, .step = which});
  };
  if (!value.ok()) return tape.status();
  value = sum(value * tape.Constant(random(value.shape(), 0)));

  for (int order = 1; order <= options.order; ++order) {
    // Var: the derivative along u. Tensors: x ± h u.
    Var along = tape.Constant(0.0);
    std::vector<Tensor> plus = at, minus = at;
    const std::vector<Var> g = grad(value, x);
    for (size_t i = 0; i < x.size(); ++i) {
      const Tensor u = random(at[i].shape(), static_cast<uint64_t>(order) * 1000 + i + 1);
      along = along + sum(g[i] * tape.Constant(u));
      for (int64_t j = 0; j < u.num_elements(); ++j) {
        plus[i].set(j, at[i].at(j) + options.step * u.at(j));
        minus[i].set(j, at[i].at(j) - options.step * u.at(j));
      }
    }
    const auto here = Evaluate({along}, x, at);
    if (!here.ok()) return here.status();
    const auto above = Evaluate({value}, x, plus);
    const auto below = Evaluate({value}, x, minus);
    if (!above.ok()) return above.status();
    const double recorded = (*here)[0].at(0);
    const double difference = ((*above)[0].at(0) - (*below)[0].at(0)) / (2 * options.step);
    if (!(std::abs(recorded - difference) <= options.tolerance * (1 + std::abs(difference)))) {
      return absl::InternalError(
          absl::StrCat("derivative ", order, ": recorded ", recorded, ", finite differences ", difference));
    }
    value = along;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckGrad(const std::function<Var(absl::Span<const Var>)>& f, const std::vector<Tensor>& at,
                       const CheckGradOptions& options) {
  Tape tape(DType::kF64);
  std::vector<Var> x;
  for (size_t i = 0; i < at.size(); ++i) x.push_back(tape.Input(absl::StrCat("x", i), at[i].shape()));
  return Check(tape, f(x), x, at, options);
}

absl::Status CheckGrad(const std::function<Var(Var x, Params& p)>& f, const Tensor& at,
                       const CheckGradOptions& options) {
  Tape tape(DType::kF64);
  ParamStore store(options.seed);
  Params p(&tape, &store);
  std::vector<Var> x = {tape.Input("x", at.shape())};
  std::vector<Tensor> values = {at};
  const Var value = f(x[0], p);
  for (const Params::Bound& b : p.bound()) {
    x.push_back(b.var);
    values.push_back(store[b.index].value);
  }
  return Check(tape, value, x, values, options);
}

}  // namespace autodiff
