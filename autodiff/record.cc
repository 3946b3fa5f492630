#include "autodiff/record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace autodiff {

Operands Resolve(const char* op, absl::Span<const Arg> args) {
  Operands out;
  out.location = args[0].location();
  for (const Arg& arg : args) {
    if (arg.tape() != nullptr && out.tape == nullptr) out.tape = arg.tape();
  }
  if (out.tape == nullptr) return out;
  out.tape->set_location(out.location);
  out.ok = true;
  for (const Arg& arg : args) {
    if (arg.is_number()) {
      out.vars.push_back(out.tape->Constant(arg.number()));
      continue;
    }
    out.vars.push_back(arg.var());
    if (arg.var().ok() && arg.tape() == out.tape) continue;
    out.ok = false;
    out.poisoned = out.tape->Fail(
        op, arg.tape() == nullptr ? "an operand belongs to no tape" : "the operands are on different tapes",
        arg.location());
  }
  return out;
}

Var AppendNode(OpKind kind, absl::Span<const Var> inputs, Shape shape, Attributes attributes) {
  Node node;
  node.kind = kind;
  for (Var v : inputs) node.inputs.push_back(v.id());
  node.shape = std::move(shape);
  node.attributes = std::move(attributes);
  return inputs[0].tape()->Append(std::move(node));
}

Var Broadcasted(Var v, const Shape& shape) {
  if (v.shape() == shape) return v;
  if (v.node().kind == OpKind::kConstant) return v.tape()->Constant(v.node().constant(), shape);
  return AppendNode(OpKind::kBroadcast, {v}, shape);
}

std::optional<std::vector<int>> NormalizeAxes(const char* op, Var x, std::optional<std::vector<int>> axes,
                                              SourceLocation location) {
  std::vector<int> out;
  if (!axes.has_value()) {
    for (int i = 0; i < x.rank(); ++i) out.push_back(i);
    return out;
  }
  for (int axis : *axes) {
    const int a = axis < 0 ? axis + x.rank() : axis;
    if (a < 0 || a >= x.rank()) {
      x.tape()->Fail(op, absl::StrCat("axis ", axis, " is not one of shape ", x.shape().ToString()), location);
      return std::nullopt;
    }
    out.push_back(a);
  }
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end()) {
    x.tape()->Fail(op, absl::StrCat("an axis is named twice, shape ", x.shape().ToString()), location);
    return std::nullopt;
  }
  return out;
}

}  // namespace autodiff
