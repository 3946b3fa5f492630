// Internal: what the recording functions of ops.h share.
#ifndef NEB_AUTODIFF_RECORD_H_
#define NEB_AUTODIFF_RECORD_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// The operands of one op, numbers turned into scalar constants.
struct Operands {
  Tape* tape = nullptr;  // null: no operand is on a tape
  absl::InlinedVector<Var, 3> vars;
  bool ok = false;  // all are on `tape` and none is poisoned; if not, the mistake is recorded
  Var poisoned;     // what the op returns when !ok
  SourceLocation location;
};
Operands Resolve(const char* op, absl::Span<const Arg> args);

// `v` broadcast to `shape`, which it must fit.
Var Broadcasted(Var v, const Shape& shape);

// Axes made non-negative, sorted and checked; all axes for nullopt. Records the mistake and returns nullopt if wrong.
std::optional<std::vector<int>> NormalizeAxes(const char* op, Var x, std::optional<std::vector<int>> axes,
                                              SourceLocation location);

// A node on the tape of its first input.
Var AppendNode(OpKind kind, absl::Span<const Var> inputs, Shape shape, Attributes attributes = {});

// --- Gradient rules: one function per family ---
// Everything a rule may look at. It calls `Contribute(i, v)` with the part of input i's adjoint that comes from here,
// for inputs with needs(i) (others are ignored); v must have input i's shape. No call means zero.
struct Vjp {
  const Node& node;
  Var y;                          // the node's value
  Var g;                          // its adjoint
  absl::InlinedVector<Var, 3> x;  // the inputs
  absl::InlinedVector<bool, 3> needed;
  absl::InlinedVector<Var, 3> adjoint;  // result; a Var without a tape is zero

  bool needs(int i) const { return needed[static_cast<size_t>(i)]; }
  void Contribute(int i, Var v) { adjoint[static_cast<size_t>(i)] = v; }
};
void ElementwiseRule(Vjp& v);
void BroadcastRule(Vjp& v);
void SumRule(Vjp& v);
void MaxRule(Vjp& v);
void ReshapeRule(Vjp& v);
void PermuteRule(Vjp& v);
void SliceRule(Vjp& v);
void PadRule(Vjp& v);
void ConcatRule(Vjp& v);
void MatmulRule(Vjp& v);
void ConvRule(Vjp& v);
void ConvInputAdjointRule(Vjp& v);
void ConvWeightAdjointRule(Vjp& v);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_RECORD_H_
