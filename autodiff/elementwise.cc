// Recording and gradients of the elementwise ops; all of it comes from the table elementwise.inc.
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/ops.h"
#include "autodiff/record.h"

namespace autodiff {
namespace {

// The table's oracle, on numbers.
double Fold(Elementwise op, absl::Span<const long double> in) {
  switch (op) {
#define UNARY(name, lanes, gradient, oracle, lo, hi)              \
  case Elementwise::name: {                                       \
    [[maybe_unused]] const long double x = in[0];                 \
    return static_cast<double>(static_cast<long double>(oracle)); \
  }
#define BINARY(name, lanes, gradient_a, gradient_b, oracle, lo, hi) \
  case Elementwise::name: {                                         \
    const long double a = in[0], b = in[1];                         \
    return static_cast<double>(static_cast<long double>(oracle));   \
  }
#define TERNARY(name, lanes, gradient_a, gradient_b, gradient_c, oracle, lo, hi) \
  case Elementwise::name: {                                                      \
    const long double a = in[0], b = in[1], c = in[2];                           \
    return static_cast<double>(static_cast<long double>(oracle));                \
  }
#define CONTRACTED(name, ...) case Elementwise::name:
#include "autodiff/elementwise.inc"
#undef UNARY
#undef BINARY
#undef TERNARY
    case Elementwise::kCount:
      break;
  }
  return 0;
}

bool Commutes(Elementwise op) {
  return op == Elementwise::add || op == Elementwise::mul || op == Elementwise::maximum || op == Elementwise::minimum ||
         op == Elementwise::equal || op == Elementwise::not_equal;
}

Var Record(Elementwise op, absl::Span<const Arg> args) {
  Operands in = Resolve(Name(op), args);
  if (!in.ok) return in.poisoned;
  Shape shape = in.vars[0].shape();
  for (size_t i = 1; i < in.vars.size(); ++i) {
    const absl::StatusOr<Shape> joined = BroadcastShapes(shape, in.vars[i].shape());
    if (!joined.ok()) return in.tape->Fail(Name(op), std::string(joined.status().message()), in.location);
    shape = *joined;
  }
  bool all_constant = true;
  absl::InlinedVector<long double, 3> numbers;
  for (Var v : in.vars) {
    all_constant = all_constant && v.node().kind == OpKind::kConstant;
    if (all_constant) {
      const double c = v.node().constant();
      numbers.push_back(in.tape->dtype() == DType::kF32 ? static_cast<double>(static_cast<float>(c)) : c);
    }
  }
  if (all_constant) return in.tape->Constant(Fold(op, numbers), shape);

  if (op == Elementwise::pow) {
    if (in.vars[1].node().kind != OpKind::kConstant) {
      return in.tape->Fail("pow", "the exponent must be a number", in.location);
    }
    const double p = in.vars[1].node().constant();
    if (p == 0) return in.tape->Constant(1.0, shape);
    if (p == 1) return Broadcasted(in.vars[0], shape);
    if (p == 2) return square(Broadcasted(in.vars[0], shape));
    if (p == 0.5) return sqrt(Broadcasted(in.vars[0], shape));
    if (p == -1) return reciprocal(Broadcasted(in.vars[0], shape));
  }
  Node node;
  node.kind = OpKind::kElementwise;
  node.elementwise = op;
  for (Var v : in.vars) node.inputs.push_back(Broadcasted(v, shape).id());
  if (Commutes(op) && node.inputs[0] > node.inputs[1]) std::swap(node.inputs[0], node.inputs[1]);
  node.shape = shape;
  return in.tape->Append(std::move(node));
}

}  // namespace

#define UNARY(name, ...) \
  Var name(Arg x) { return Record(Elementwise::name, {x}); }
#define BINARY(name, ...) \
  Var name(Arg a, Arg b) { return Record(Elementwise::name, {a, b}); }
// In the DSL the condition comes first, in the table and on the tape last.
#define TERNARY(name, ...) \
  Var name(Arg c, Arg a, Arg b) { return Record(Elementwise::name, {a, b, c}); }
#include "autodiff/elementwise.inc"
#undef UNARY
#undef BINARY
#undef TERNARY

Var operator-(Arg x) { return neg(x); }
Var operator+(Arg a, Arg b) { return add(a, b); }
Var operator-(Arg a, Arg b) { return sub(a, b); }
Var operator*(Arg a, Arg b) { return mul(a, b); }
Var operator/(Arg a, Arg b) { return div(a, b); }

Var silu(Arg x) {
  CallSite site(x);
  return x * sigmoid(x);
}

Var gelu(Arg x) {
  CallSite site(x);
  const double k = std::sqrt(2 * std::numbers::inv_pi);
  return 0.5 * x * (1.0 + tanh(k * (x + 0.044715 * x * square(x))));
}

Var leaky_relu(Arg x, double slope) {
  CallSite site(x);
  return where(greater(x, 0.0), x, slope * x);
}

// One row of the table each: `gradient` with g, the inputs and y in scope.
void ElementwiseRule(Vjp& v) {
  static constexpr Var (*kNoGradient)() = [] { return Var(); };
#define NO_GRAD kNoGradient()
  const Var g = v.g;
  [[maybe_unused]] const Var y = v.y;
  switch (v.node.elementwise) {
#define UNARY(name, lanes, gradient, oracle, lo, hi) \
  case Elementwise::name: {                          \
    [[maybe_unused]] const Var x = v.x[0];           \
    if (v.needs(0)) v.Contribute(0, gradient);       \
    break;                                           \
  }
#define BINARY(name, lanes, gradient_a, gradient_b, oracle, lo, hi) \
  case Elementwise::name: {                                         \
    [[maybe_unused]] const Var a = v.x[0];                          \
    [[maybe_unused]] const Var b = v.x[1];                          \
    if (v.needs(0)) v.Contribute(0, gradient_a);                    \
    if (v.needs(1)) v.Contribute(1, gradient_b);                    \
    break;                                                          \
  }
#define TERNARY(name, lanes, gradient_a, gradient_b, gradient_c, oracle, lo, hi) \
  case Elementwise::name: {                                                      \
    [[maybe_unused]] const Var a = v.x[0];                                       \
    [[maybe_unused]] const Var b = v.x[1];                                       \
    [[maybe_unused]] const Var c = v.x[2];                                       \
    if (v.needs(0)) v.Contribute(0, gradient_a);                                 \
    if (v.needs(1)) v.Contribute(1, gradient_b);                                 \
    if (v.needs(2)) v.Contribute(2, gradient_c);                                 \
    break;                                                                       \
  }
#define CONTRACTED(name, ...) case Elementwise::name:
#include "autodiff/elementwise.inc"
#undef UNARY
#undef BINARY
#undef TERNARY
#undef NO_GRAD
    case Elementwise::kCount:
      break;
  }
}

}  // namespace autodiff
