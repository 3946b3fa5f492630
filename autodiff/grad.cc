#include "autodiff/grad.h"

#include <algorithm>

#include "autodiff/ops.h"
#include "autodiff/record.h"

namespace autodiff {
namespace {

void ApplyRule(Vjp& v) {
  switch (v.node.kind) {
    case OpKind::kInput:
    case OpKind::kConstant:
    case OpKind::kTensor:
    case OpKind::kStopGradient:
      return;
    case OpKind::kElementwise:
      return ElementwiseRule(v);
    case OpKind::kBroadcast:
      return BroadcastRule(v);
    case OpKind::kSum:
      return SumRule(v);
    case OpKind::kMax:
      return MaxRule(v);
    case OpKind::kReshape:
      return ReshapeRule(v);
    case OpKind::kPermute:
      return PermuteRule(v);
    case OpKind::kSlice:
      return SliceRule(v);
    case OpKind::kPad:
      return PadRule(v);
    case OpKind::kConcat:
      return ConcatRule(v);
    case OpKind::kMatmul:
      return MatmulRule(v);
    case OpKind::kConv:
      return ConvRule(v);
    case OpKind::kConvInputAdjoint:
      return ConvInputAdjointRule(v);
    case OpKind::kConvWeightAdjoint:
      return ConvWeightAdjointRule(v);
  }
}

}  // namespace

std::vector<Var> grad(Var f, absl::Span<const Var> xs) {
  std::vector<Var> result(xs.size());
  Tape* const tape = f.tape();
  if (tape == nullptr) return result;
  for (size_t i = 0; i < xs.size(); ++i) {
    result[i] = tape->var(-1);
    if (!f.ok()) continue;
    if (!xs[i].ok() || xs[i].tape() != tape) {
      tape->Fail("grad", "x is poisoned or not on the tape of f", {});
      f = tape->var(-1);
    }
  }
  if (!f.ok()) return result;

  // Only what lies between xs and f takes part.
  const size_t size = static_cast<size_t>(f.id()) + 1;
  std::vector<bool> depends(size, false);
  for (Var x : xs) {
    if (x.id() <= f.id()) depends[static_cast<size_t>(x.id())] = true;
  }
  for (int id = 0; id <= f.id(); ++id) {
    const Node& node = tape->node(id);
    if (node.kind == OpKind::kStopGradient) continue;
    for (int input : node.inputs) {
      if (depends[static_cast<size_t>(input)]) depends[static_cast<size_t>(id)] = true;
    }
  }

  std::vector<Var> adjoint(size);
  adjoint[static_cast<size_t>(f.id())] = tape->Constant(1.0, f.shape());
  // Everything between is an earlier node than f, so one sweep by falling id is a reverse topological order.
  for (int id = f.id(); id >= 0; --id) {
    const Var g = adjoint[static_cast<size_t>(id)];
    if (g.tape() == nullptr || !depends[static_cast<size_t>(id)]) continue;
    Vjp v{.node = tape->node(id), .y = tape->var(id), .g = g, .x = {}, .needed = {}, .adjoint = {}};
    for (int input : v.node.inputs) {
      v.x.push_back(tape->var(input));
      v.needed.push_back(depends[static_cast<size_t>(input)]);
      v.adjoint.emplace_back();
    }
    tape->set_gradient_of(id);
    ApplyRule(v);
    for (size_t i = 0; i < v.x.size(); ++i) {
      if (!v.needed[i] || v.adjoint[i].tape() == nullptr) continue;
      Var& sum = adjoint[static_cast<size_t>(v.x[i].id())];
      sum = sum.tape() == nullptr ? v.adjoint[i] : sum + v.adjoint[i];
    }
  }
  tape->set_gradient_of(-1);
  for (size_t i = 0; i < xs.size(); ++i) {
    const size_t id = static_cast<size_t>(xs[i].id());
    const bool reached = id < size && adjoint[id].tape() != nullptr;
    result[i] = reached ? adjoint[id] : tape->Constant(0.0, xs[i].shape());
  }
  return result;
}

Var grad(Var f, Var x) { return grad(f, absl::Span<const Var>(&x, 1))[0]; }

}  // namespace autodiff
