// Reshape, permute, broadcast, slice, pad, concat: linear maps that only move elements. Each one's adjoint is another
// (broadcast's is a sum), so the rules close among themselves.
#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "autodiff/ops.h"
#include "autodiff/record.h"

namespace autodiff {
namespace {

Var Slice(Var x, Attributes begins, Shape shape) {
  if (shape == x.shape()) return x;
  return AppendNode(OpKind::kSlice, {x}, std::move(shape), std::move(begins));
}

Var Pad(Var x, Attributes before, Shape shape) {
  if (shape == x.shape()) return x;
  return AppendNode(OpKind::kPad, {x}, std::move(shape), std::move(before));
}

// Checks one axis; returns it non-negative, or -1 after recording the mistake.
int CheckedAxis(const char* op, Var x, int axis, SourceLocation location) {
  const auto axes = NormalizeAxes(op, x, std::vector<int>{axis}, location);
  return axes.has_value() ? (*axes)[0] : -1;
}

}  // namespace

Var reshape(Arg x, Shape shape) {
  Operands in = Resolve("reshape", {x});
  if (!in.ok) return in.poisoned;
  const Var v = in.vars[0];
  const Shape asked = shape;
  int64_t known = 1;
  int inferred = -1;
  bool valid = true;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && inferred < 0) {
      inferred = i;
    } else {
      valid = valid && shape[i] >= 0;
      known *= shape[i];
    }
  }
  const int64_t n = v.shape().num_elements();
  if (valid && inferred >= 0) {
    valid = known > 0 && n % known == 0;
    if (valid) shape[inferred] = n / known;
  }
  if (!valid || shape.num_elements() != n) {
    return in.tape->Fail(
        "reshape",
        absl::StrCat("cannot turn shape ", v.shape().ToString(), " (", n, " elements) into ", asked.ToString()),
        in.location);
  }
  if (shape == v.shape()) return v;
  if (v.node().kind == OpKind::kConstant) return in.tape->Constant(v.node().constant(), shape);
  return AppendNode(OpKind::kReshape, {v}, shape);
}

void ReshapeRule(Vjp& v) { v.Contribute(0, reshape(v.g, v.x[0].shape())); }

Var permute(Arg x, const std::vector<int>& axes) {
  Operands in = Resolve("permute", {x});
  if (!in.ok) return in.poisoned;
  const Var v = in.vars[0];
  std::vector<int> sorted = axes;
  for (int& a : sorted) a = a < 0 ? a + v.rank() : a;
  const std::vector<int> order = sorted;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int> all(static_cast<size_t>(v.rank()));
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all) {
    return in.tape->Fail("permute",
                         absl::StrCat("axes [", absl::StrJoin(axes, ", "),
                                      "] are not a permutation of the axes of shape ", v.shape().ToString()),
                         in.location);
  }
  if (order == all) return v;
  Shape shape;
  for (int a : order) shape.push_back(v.shape()[a]);
  return AppendNode(OpKind::kPermute, {v}, shape, Attributes(order.begin(), order.end()));
}

void PermuteRule(Vjp& v) {
  std::vector<int> inverse(v.node.attributes.size());
  for (size_t i = 0; i < inverse.size(); ++i) inverse[static_cast<size_t>(v.node.attributes[i])] = static_cast<int>(i);
  v.Contribute(0, permute(v.g, inverse));
}

Var transpose(Arg x) {
  Operands in = Resolve("transpose", {x});
  if (!in.ok) return in.poisoned;
  const int rank = in.vars[0].rank();
  if (rank < 2) {
    return in.tape->Fail("transpose", absl::StrCat("needs two axes, got shape ", in.vars[0].shape().ToString()),
                         in.location);
  }
  std::vector<int> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[static_cast<size_t>(rank) - 1], axes[static_cast<size_t>(rank) - 2]);
  return permute(x, axes);
}

Var broadcast_to(Arg x, const Shape& shape) {
  Operands in = Resolve("broadcast_to", {x});
  if (!in.ok) return in.poisoned;
  const absl::StatusOr<Shape> joined = BroadcastShapes(in.vars[0].shape(), shape);
  if (!joined.ok() || !(*joined == shape) || !shape.valid()) {
    return in.tape->Fail(
        "broadcast_to",
        absl::StrCat("shape ", in.vars[0].shape().ToString(), " does not broadcast to ", shape.ToString()),
        in.location);
  }
  return Broadcasted(in.vars[0], shape);
}

// The one place where broadcasting is undone: sum over what was repeated.
void BroadcastRule(Vjp& v) {
  const Shape& from = v.x[0].shape();
  const int lead = v.g.rank() - from.rank();
  std::vector<int> axes;
  for (int i = 0; i < v.g.rank(); ++i) {
    if (i < lead || (from[i - lead] == 1 && v.g.shape()[i] != 1)) axes.push_back(i);
  }
  v.Contribute(0, reshape(sum(v.g, axes), from));
}

Var slice(Arg x, int axis, int64_t begin, int64_t end) {
  Operands in = Resolve("slice", {x});
  if (!in.ok) return in.poisoned;
  const Var v = in.vars[0];
  const int a = CheckedAxis("slice", v, axis, in.location);
  if (a < 0) return Var(in.tape->var(-1));
  if (begin < 0 || begin > end || end > v.shape()[a]) {
    return in.tape->Fail(
        "slice",
        absl::StrCat("[", begin, " : ", end, "] is not within axis ", axis, " of shape ", v.shape().ToString()),
        in.location);
  }
  Attributes begins(static_cast<size_t>(v.rank()), 0);
  begins[static_cast<size_t>(a)] = begin;
  Shape shape = v.shape();
  shape[a] = end - begin;
  return Slice(v, begins, shape);
}

void SliceRule(Vjp& v) { v.Contribute(0, Pad(v.g, v.node.attributes, v.x[0].shape())); }

Var pad(Arg x, int axis, int64_t before, int64_t after) {
  Operands in = Resolve("pad", {x});
  if (!in.ok) return in.poisoned;
  const Var v = in.vars[0];
  const int a = CheckedAxis("pad", v, axis, in.location);
  if (a < 0) return in.tape->var(-1);
  if (before < 0 || after < 0) {
    return in.tape->Fail("pad",
                         absl::StrCat("negative padding (", before, ", ", after, ") of shape ", v.shape().ToString()),
                         in.location);
  }
  Attributes befores(static_cast<size_t>(v.rank()), 0);
  befores[static_cast<size_t>(a)] = before;
  Shape shape = v.shape();
  shape[a] += before + after;
  return Pad(v, befores, shape);
}

void PadRule(Vjp& v) { v.Contribute(0, Slice(v.g, v.node.attributes, v.x[0].shape())); }

Var concat(const std::vector<Var>& xs, int axis, SourceLocation location) {
  if (xs.empty()) return Var();
  std::vector<Arg> args;
  for (Var x : xs) args.emplace_back(x, location.file, location.line);
  Operands in = Resolve("concat", args);
  if (!in.ok) return in.poisoned;
  const int a = CheckedAxis("concat", xs[0], axis, location);
  if (a < 0) return in.tape->var(-1);
  Shape shape = xs[0].shape();
  for (size_t i = 1; i < xs.size(); ++i) {
    Shape expected = xs[i].shape();
    if (expected.rank() == shape.rank()) expected[a] = shape[a];
    if (!(expected == shape)) {
      return in.tape->Fail("concat",
                           absl::StrCat("shapes ", xs[0].shape().ToString(), " and ", xs[i].shape().ToString(),
                                        " differ beside axis ", axis),
                           location);
    }
    shape[a] += xs[i].shape()[a];
  }
  if (xs.size() == 1) return xs[0];
  return AppendNode(OpKind::kConcat, xs, shape, {a});
}

void ConcatRule(Vjp& v) {
  const int axis = static_cast<int>(v.node.attributes[0]);
  int64_t begin = 0;
  for (size_t i = 0; i < v.x.size(); ++i) {
    const int64_t end = begin + v.x[i].shape()[axis];
    if (v.needed[i]) v.Contribute(static_cast<int>(i), slice(v.g, axis, begin, end));
    begin = end;
  }
}

Var stack(const std::vector<Var>& xs, int axis, SourceLocation location) {
  if (xs.empty()) return Var();
  std::vector<Arg> args;
  for (Var x : xs) args.emplace_back(x, location.file, location.line);
  const Operands in = Resolve("stack", args);
  if (!in.ok) return in.poisoned;
  std::vector<Var> expanded;
  for (Var x : xs) {
    const int a = axis < 0 ? axis + x.rank() + 1 : axis;
    if (a < 0 || a > x.rank()) {
      return x.tape()->Fail("stack", absl::StrCat("axis ", axis, " is no place in shape ", x.shape().ToString()),
                            location);
    }
    if (!(x.shape() == xs[0].shape())) {
      return x.tape()->Fail("stack",
                            absl::StrCat("shapes ", xs[0].shape().ToString(), " and ", x.shape().ToString(), " differ"),
                            location);
    }
    Shape shape;
    for (int i = 0; i < a; ++i) shape.push_back(x.shape()[i]);
    shape.push_back(1);
    for (int i = a; i < x.rank(); ++i) shape.push_back(x.shape()[i]);
    expanded.push_back(reshape(x, shape));
  }
  return concat(expanded, axis, location);
}

}  // namespace autodiff
