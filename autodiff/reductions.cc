// Sums, maxima and what is made of them. A node reduces one run of neighbouring axes; others are split into runs here.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/ops.h"
#include "autodiff/record.h"

namespace autodiff {
namespace {

// `shape` with 1 at `axes`.
Shape KeepDims(Shape shape, absl::Span<const int> axes) {
  for (int a : axes) shape[a] = 1;
  return shape;
}

// Removes axes begin .. end-1 of x by a reduction.
Var ReduceRun(OpKind kind, Var x, int begin, int end) {
  Shape shape;
  int64_t count = 1;
  for (int i = 0; i < x.rank(); ++i) {
    if (i < begin || i >= end) {
      shape.push_back(x.shape()[i]);
    } else {
      count *= x.shape()[i];
    }
  }
  if (count == 1) return reshape(x, shape);
  return AppendNode(kind, {x}, shape, {begin, end});
}

Var Reduce(const char* op, OpKind kind, Arg x, std::optional<std::vector<int>> axes, bool keepdims) {
  CallSite site(x);
  Operands in = Resolve(op, {x});
  if (!in.ok) return in.poisoned;
  const auto normal = NormalizeAxes(op, in.vars[0], std::move(axes), in.location);
  if (!normal.has_value()) return in.tape->var(-1);
  Var v = in.vars[0];
  if (kind == OpKind::kMax) {
    for (int a : *normal) {
      if (v.shape()[a] == 0) {
        return in.tape->Fail(op, absl::StrCat("of no elements, shape ", v.shape().ToString()), in.location);
      }
    }
  }
  // From the last run to the first, so that the earlier axes keep their numbers.
  for (size_t end = normal->size(); end > 0;) {
    size_t begin = end - 1;
    while (begin > 0 && (*normal)[begin - 1] == (*normal)[begin] - 1) --begin;
    v = ReduceRun(kind, v, (*normal)[begin], (*normal)[end - 1] + 1);
    end = begin;
  }
  return keepdims ? reshape(v, KeepDims(in.vars[0].shape(), *normal)) : v;
}

// g of the reduced shape, repeated along the axes that the node reduced.
Var Repeated(const Vjp& v, Var g) {
  Shape keep = v.x[0].shape();
  for (int64_t a = v.node.attributes[0]; a < v.node.attributes[1]; ++a) keep[static_cast<int>(a)] = 1;
  return broadcast_to(reshape(g, keep), v.x[0].shape());
}

// What to subtract from x before exp so that nothing overflows: the maximum along the axes. Shifting by any constant
// leaves the value and all derivatives of logsumexp and softmax as they are; an infinite maximum must not be subtracted
// from itself.
Var Shift(Arg x, std::vector<int> axes) {
  const Var largest = stop_gradient(max(x, std::move(axes), true));
  return where(less(abs(largest), HUGE_VAL), largest, 0.0);
}

}  // namespace

Var sum(Arg x) { return Reduce("sum", OpKind::kSum, x, std::nullopt, false); }
Var sum(Arg x, std::vector<int> axes, bool keepdims) {
  return Reduce("sum", OpKind::kSum, x, std::move(axes), keepdims);
}

void SumRule(Vjp& v) { v.Contribute(0, Repeated(v, v.g)); }

Var mean(Arg x) {
  CallSite site(x);
  const Var s = sum(x);
  return s.ok() ? s * (1.0 / static_cast<double>(x.var().shape().num_elements())) : s;
}
Var mean(Arg x, std::vector<int> axes, bool keepdims) {
  CallSite site(x);
  const Var s = sum(x, std::move(axes), keepdims);
  if (!s.ok()) return s;
  return s * (static_cast<double>(s.shape().num_elements()) / static_cast<double>(x.var().shape().num_elements()));
}

Var max(Arg x) { return Reduce("max", OpKind::kMax, x, std::nullopt, false); }
Var max(Arg x, std::vector<int> axes, bool keepdims) {
  return Reduce("max", OpKind::kMax, x, std::move(axes), keepdims);
}

// Ties share the gradient equally.
void MaxRule(Vjp& v) {
  const Var at_max = equal(v.x[0], Repeated(v, v.y));
  std::vector<int> axes;
  for (int64_t a = v.node.attributes[0]; a < v.node.attributes[1]; ++a) axes.push_back(static_cast<int>(a));
  v.Contribute(0, Repeated(v, v.g / sum(at_max, axes)) * at_max);
}

Var logsumexp(Arg x, const std::vector<int>& axes, bool keepdims) {
  Operands in = Resolve("logsumexp", {x});
  if (!in.ok) return in.poisoned;
  const Var shift = Shift(x, axes);
  const Var result = log(sum(exp(x - shift), axes, true)) + shift;
  if (keepdims || !result.ok()) return result;
  return reshape(result, sum(x, axes).shape());
}

Var softmax(Arg x, int axis) {
  // Not exp(x − logsumexp(x)): the rounding of a large logsumexp would become a relative error of the result.
  const Var e = exp(x - Shift(x, {axis}));
  return e / sum(e, {axis}, true);
}

Var dot(Arg a, Arg b) {
  CallSite site(a.is_number() ? b : a);
  return sum(a * b, {-1});
}

Var squared_norm(Arg x, std::vector<int> axes, bool keepdims) {
  CallSite site(x);
  return sum(square(x), std::move(axes), keepdims);
}

Var norm(Arg x, std::vector<int> axes, bool keepdims) {
  CallSite site(x);
  const Var s = squared_norm(x, std::move(axes), keepdims);
  // sqrt has an infinite slope at 0: take it elsewhere, so that the gradient is 0 there and not NaN.
  const Var zero = equal(s, 0.0);
  return where(zero, 0.0, sqrt(where(zero, 1.0, s)));
}

Var stop_gradient(Arg x) {
  Operands in = Resolve("stop_gradient", {x});
  if (!in.ok) return in.poisoned;
  return AppendNode(OpKind::kStopGradient, {in.vars[0]}, in.vars[0].shape());
}

}  // namespace autodiff
