#include "autodiff/passes/simplify.h"

#include <bit>
#include <utility>

#include "autodiff/ops.h"

namespace autodiff {
namespace {

bool IsElementwise(Var v, Elementwise op) {
  return v.node().kind == OpKind::kElementwise && v.node().elementwise == op;
}
// To the bit: −0 is not 0.
bool IsConstant(Var v, double value) {
  return v.node().kind == OpKind::kConstant && v.node().attributes[0] == std::bit_cast<int64_t>(value);
}
Var Input(Var v, int i) { return v.tape()->var(v.node().inputs[static_cast<size_t>(i)]); }
// Of two reshapes in a row the last one counts.
Var Reshaped(Var x, const Shape& shape) { return reshape(x.node().kind == OpKind::kReshape ? Input(x, 0) : x, shape); }

bool SwapsLastTwo(const Node& n) {
  const int64_t rank = static_cast<int64_t>(n.attributes.size());
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t expected = i == rank - 1 ? rank - 2 : i == rank - 2 ? rank - 1 : i;
    if (n.attributes[static_cast<size_t>(i)] != expected) return false;
  }
  return rank >= 2;
}

// Whether a permutation keeps the order of the axes that have more than one element.
bool MovesNothing(const Node& n, const Shape& from) {
  int64_t last = -1;
  for (int64_t axis : n.attributes) {
    if (from[static_cast<int>(axis)] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

// The value of `n`, whose inputs are `in` (already simplified, on the new tape), or a Var without a tape when there is
// nothing simpler than n itself.
Var Simpler(const Node& n, absl::Span<const Var> in) {
  switch (n.kind) {
    case OpKind::kStopGradient:
      return in[0];
    case OpKind::kReshape:
      return Reshaped(in[0], n.shape);
    case OpKind::kPermute: {
      if (MovesNothing(n, in[0].shape())) return Reshaped(in[0], n.shape);
      if (in[0].node().kind != OpKind::kPermute) return Var();
      std::vector<int> axes;
      for (int64_t a : n.attributes) axes.push_back(static_cast<int>(in[0].node().attributes[static_cast<size_t>(a)]));
      return permute(Input(in[0], 0), axes);
    }
    case OpKind::kMatmul: {
      bool ta = n.attributes[0] != 0, tb = n.attributes[1] != 0;
      Var a = in[0], b = in[1];
      if (a.node().kind == OpKind::kPermute && SwapsLastTwo(a.node())) {
        a = Input(a, 0);
        ta = !ta;
      }
      if (b.node().kind == OpKind::kPermute && SwapsLastTwo(b.node())) {
        b = Input(b, 0);
        tb = !tb;
      }
      if (a == in[0] && b == in[1]) return Var();
      return matmul(a, b, {.transpose_a = ta, .transpose_b = tb});
    }
    case OpKind::kElementwise:
      break;
    default:
      return Var();
  }
  switch (n.elementwise) {
    case Elementwise::neg:
      return IsElementwise(in[0], Elementwise::neg) ? Input(in[0], 0) : Var();
    case Elementwise::mul:
      if (IsConstant(in[1], 1)) return in[0];
      if (IsConstant(in[0], 1)) return in[1];
      if (IsElementwise(in[0], Elementwise::neg) && IsElementwise(in[1], Elementwise::neg)) {
        return Input(in[0], 0) * Input(in[1], 0);
      }
      return Var();
    case Elementwise::div:
      return IsConstant(in[1], 1) ? in[0] : Var();
    case Elementwise::add:
      if (IsElementwise(in[1], Elementwise::neg)) return in[0] - Input(in[1], 0);
      if (IsElementwise(in[0], Elementwise::neg)) return in[1] - Input(in[0], 0);
      return Var();
    case Elementwise::sub:
      if (IsConstant(in[1], 0)) return in[0];
      if (IsElementwise(in[1], Elementwise::neg)) return in[0] + Input(in[1], 0);
      return Var();
    default:
      return Var();
  }
}

}  // namespace

std::vector<Var> Simplify(absl::Span<const Var> roots, Tape& to, bool rewrite) {
  if (roots.empty()) return {};
  Tape& from = *roots[0].tape();
  std::vector<bool> live(static_cast<size_t>(from.size()), false);
  for (Var r : roots) live[static_cast<size_t>(r.id())] = true;
  for (int id = from.size() - 1; id >= 0; --id) {
    if (!live[static_cast<size_t>(id)]) continue;
    for (int input : from.node(id).inputs) live[static_cast<size_t>(input)] = true;
  }
  std::vector<Var> mapped(live.size());
  for (int id = 0; id < from.size(); ++id) {
    if (!live[static_cast<size_t>(id)]) continue;
    Node node = from.node(id);
    absl::InlinedVector<Var, 3> in;
    for (int& input : node.inputs) {
      in.push_back(mapped[static_cast<size_t>(input)]);
      input = in.back().id();
    }
    Var& out = mapped[static_cast<size_t>(id)];
    if (rewrite) out = Simpler(node, in);
    if (out.tape() == nullptr) out = to.Append(std::move(node));
  }
  std::vector<Var> result;
  for (Var r : roots) result.push_back(mapped[static_cast<size_t>(r.id())]);
  return result;
}

}  // namespace autodiff
