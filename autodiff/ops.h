// The DSL's dictionary: every operation that an energy can be written in.
//
//   Var phi = sum(square(y - mu), {1}) * (0.5 / (sigma * sigma));
//   Var h = silu(matmul(y, w) + b);
//
// Operands are Vars of one tape or numbers, at least one of them a Var. Nothing is computed here: each call records a
// node (tape.h) and returns its Var. A mistake poisons the result (see Var) and is reported by Compile with the op,
// both shapes and the line of the call. Axes may be negative, counting from the end; in a list, in any order, each
// once. Every op has derivatives of every order, itself written in these ops; conventions at kinks: abs'(0) = relu'(0)
// = 0, maximum and minimum of equals (and max over ties) share the gradient equally, norm'(0) = 0. Comparisons give 1
// and 0, and no gradient.
#ifndef NEB_AUTODIFF_OPS_H_
#define NEB_AUTODIFF_OPS_H_

#include <vector>

#include "absl/types/span.h"
#include "autodiff/shape.h"
#include "autodiff/tape.h"

namespace autodiff {

// --- Elementwise, from the table elementwise.inc, whose `oracle` column is the formula ---
//   neg abs sign square sqrt rsqrt reciprocal exp expm1 log log1p sin cos tanh sigmoid softplus erf relu   (x)
//   add sub mul div pow maximum minimum equal not_equal less less_equal greater greater_equal              (a, b)
//   where                                                                                                  (c, a, b)
// Shapes broadcast as in NumPy: aligned at the last axis, extents equal or 1. Angles are in radians. Outside a
// function's domain the value is <cmath>'s: log(-1) and sqrt(-1) are NaN, log(0) is -inf. pow's exponent must be a
// number, and only the base has a gradient; where gives a where c is not 0, else b, and only the chosen one receives a
// gradient. maximum and minimum of a NaN are NaN. The kernels err by 2 to 3 ulp at most (kernels/math-inl.h).
#define UNARY(name, ...) Var name(Arg x);
#define BINARY(name, ...) Var name(Arg a, Arg b);
#define TERNARY(name, ...) Var name(Arg c, Arg a, Arg b);
#include "autodiff/elementwise.inc"
#undef UNARY
#undef BINARY
#undef TERNARY

Var operator-(Arg x);
Var operator+(Arg a, Arg b);
Var operator-(Arg a, Arg b);
Var operator*(Arg a, Arg b);
Var operator/(Arg a, Arg b);

// x · sigmoid(x), also called swish (Elfwing et al. 2018; Ramachandran et al. 2017).
Var silu(Arg x);
// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))): the tanh form of GELU (Hendrycks & Gimpel 2016), JAX's default. PyTorch's
// is 0.5 x (1 + erf(x/√2)).
Var gelu(Arg x);
// x where x > 0, slope · x elsewhere.
Var leaky_relu(Arg x, double slope = 0.01);
// The identity, with derivative zero.
Var stop_gradient(Arg x);

// --- Reductions ---
// Over the axes given, which leave the shape, or stay with extent 1 with keepdims; without axes, over all: -> []. An
// empty list of axes reduces nothing. Errors: an axis that x does not have, or that is named twice.
// Of no elements: 0.
Var sum(Arg x);
Var sum(Arg x, std::vector<int> axes, bool keepdims = false);
// Of no elements: NaN.
Var mean(Arg x);
Var mean(Arg x, std::vector<int> axes, bool keepdims = false);
// The largest element; NaN if there is one. Error: of no elements.
Var max(Arg x);
Var max(Arg x, std::vector<int> axes, bool keepdims = false);
// log Σ exp(x), without overflow; −inf where all x are. −logsumexp(−φ_k) is the energy of a sum of densities.
Var logsumexp(Arg x, const std::vector<int>& axes, bool keepdims = false);
// exp(x) / Σ exp(x) along one axis, without overflow. x's shape.
Var softmax(Arg x, int axis = -1);
// Σ a·b along the last axis, after broadcasting: [.., n], [.., n] -> [..].
Var dot(Arg a, Arg b);
// √Σ x² along the axes; its gradient at 0 is 0.
Var norm(Arg x, std::vector<int> axes, bool keepdims = false);
// Σ x² along the axes.
Var squared_norm(Arg x, std::vector<int> axes, bool keepdims = false);

// --- Layout ---
// The same elements in row-major order under another shape; one extent may be -1 and is inferred. Error: another number
// of elements.
Var reshape(Arg x, Shape shape);
// Axis i of the result is axis axes[i] of x. Error: axes that are not all of x's, each once.
Var permute(Arg x, const std::vector<int>& axes);
// Swaps the last two axes: [.., m, n] -> [.., n, m]. Error: fewer than two axes.
Var transpose(Arg x);
// x repeated to `shape`, by NumPy's rule. Error: a shape that x does not broadcast to.
Var broadcast_to(Arg x, const Shape& shape);
// x[begin : end] along one axis; 0 <= begin <= end <= extent.
Var slice(Arg x, int axis, int64_t begin, int64_t end);
// Zeros around x along one axis, before and after >= 0 of them.
Var pad(Arg x, int axis, int64_t before, int64_t after);
// Joins along an axis that they have; other extents must agree. One Var at least.
Var concat(const std::vector<Var>& xs, int axis, SourceLocation location = SourceLocation::Here());
// Joins Vars of one shape along a new axis, −rank − 1 <= axis <= rank: n of [batch] -> [n, batch] with axis 0.
Var stack(const std::vector<Var>& xs, int axis = 0, SourceLocation location = SourceLocation::Here());

// --- Products ---
struct MatmulOptions {
  bool transpose_a = false;  // the last two axes of the operand are swapped first
  bool transpose_b = false;
};
// [.., m, k] · [.., k, n] -> [.., m, n]; leading axes broadcast. Errors: inner extents that differ; an operand with
// fewer than two axes (dot multiplies vectors).
Var matmul(Arg a, Arg b, MatmulOptions options = {});

struct ConvOptions {
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

  // The same stride on both axes and the same zero padding on all sides.
  static ConvOptions Same(int64_t stride, int64_t padding) {
    return {stride, stride, padding, padding, padding, padding};
  }
};
// Cross-correlation, the convolution of machine learning. Layout: x [N, H, W, C], w [KH, KW, C, O] -> [N, HO, WO, O]
// with HO = (H + pad_top + pad_bottom − KH) / stride_h + 1, rounded down, and WO likewise. Errors: other ranks,
// channels that differ, strides below 1, negative padding, a kernel larger than the padded image.
Var conv2d(Arg x, Arg w, ConvOptions options = {});
// The two adjoints of conv2d, which is linear in x and in w: ⟨conv2d(x, w), g⟩ = ⟨x, conv2d_input_adjoint(g, w)⟩ =
// ⟨w, conv2d_weight_adjoint(x, g)⟩. `height` and `width` are x's, `kernel_h` and `kernel_w` are w's; g is
// [N, HO, WO, O], the results [N, height, width, C] and [kernel_h, kernel_w, C, O]. The gradient of each of the three
// is made of the other two. Error: g that is not what a convolution of these sizes gives.
Var conv2d_input_adjoint(Arg g, Arg w, int64_t height, int64_t width, ConvOptions options = {});
Var conv2d_weight_adjoint(Arg x, Arg g, int64_t kernel_h, int64_t kernel_w, ConvOptions options = {});

}  // namespace autodiff

#endif  // NEB_AUTODIFF_OPS_H_
