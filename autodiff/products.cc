// Matrix products and convolutions: bilinear maps, each with a rule made of its own family.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/ops.h"
#include "autodiff/record.h"

namespace autodiff {
namespace {

Var Matmul(Var a, Var b, bool transpose_a, bool transpose_b) {
  return matmul(a, b, {.transpose_a = transpose_a, .transpose_b = transpose_b});
}

Shape LeadingAxes(const Shape& shape) { return Shape(shape.dims().subspan(0, shape.dims().size() - 2)); }

Shape Joined(Shape lead, int64_t rows, int64_t columns) {
  lead.push_back(rows);
  lead.push_back(columns);
  return lead;
}

Attributes ToAttributes(const ConvOptions& o) {
  return {o.stride_h, o.stride_w, o.pad_top, o.pad_bottom, o.pad_left, o.pad_right};
}
ConvOptions ToOptions(const Attributes& a) { return {a[0], a[1], a[2], a[3], a[4], a[5]}; }

bool Valid(const ConvOptions& o) {
  return o.stride_h >= 1 && o.stride_w >= 1 && o.pad_top >= 0 && o.pad_bottom >= 0 && o.pad_left >= 0 &&
         o.pad_right >= 0;
}

// Extent of the output along one axis; < 1 when the kernel does not fit.
int64_t OutputExtent(int64_t in, int64_t before, int64_t after, int64_t kernel, int64_t stride) {
  const int64_t room = in + before + after - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

Var FailConv(const char* op, const Operands& in, const std::string& why) {
  return in.tape->Fail(
      op, absl::StrCat(why, ": shapes ", in.vars[0].shape().ToString(), " and ", in.vars[1].shape().ToString()),
      in.location);
}

}  // namespace

Var matmul(Arg a, Arg b, MatmulOptions options) {
  Operands in = Resolve("matmul", {a, b});
  if (!in.ok) return in.poisoned;
  Var p = in.vars[0], q = in.vars[1];
  const bool ta = options.transpose_a, tb = options.transpose_b;
  auto fail = [&](const char* why) {
    return in.tape->Fail("matmul",
                         absl::StrCat(why, ": shapes ", p.shape().ToString(), ta ? " (transposed)" : "", " and ",
                                      q.shape().ToString(), tb ? " (transposed)" : ""),
                         in.location);
  };
  if (p.rank() < 2 || q.rank() < 2) return fail("operands need two axes or more (dot multiplies vectors)");
  const int64_t m = p.dim(ta ? -1 : -2), k = p.dim(ta ? -2 : -1), n = q.dim(tb ? -2 : -1);
  if (k != q.dim(tb ? -1 : -2)) return fail("inner extents differ");

  const Shape lead_p = LeadingAxes(p.shape()), lead_q = LeadingAxes(q.shape());
  if (q.rank() == 2 && p.rank() > 2 && !ta) {  // one large product instead of many small ones
    const Var flat = matmul(reshape(p, {lead_p.num_elements() * m, k}), q, options);
    return reshape(flat, Joined(lead_p, m, n));
  }
  const absl::StatusOr<Shape> lead = BroadcastShapes(lead_p, lead_q);
  if (!lead.ok()) return fail("leading axes do not broadcast");
  if (k == 1) {  // an outer product is elementwise
    const Var column = reshape(p, Joined(lead_p, m, 1));
    const Var row = reshape(q, Joined(lead_q, 1, n));
    return column * row;
  }
  p = Broadcasted(p, Joined(*lead, p.dim(-2), p.dim(-1)));
  q = Broadcasted(q, Joined(*lead, q.dim(-2), q.dim(-1)));
  return AppendNode(OpKind::kMatmul, {p, q}, Joined(*lead, m, n), {ta, tb});
}

void MatmulRule(Vjp& v) {
  const bool ta = v.node.attributes[0] != 0, tb = v.node.attributes[1] != 0;
  const Var a = v.x[0], b = v.x[1], g = v.g;
  if (v.needs(0)) v.Contribute(0, ta ? Matmul(b, g, tb, true) : Matmul(g, b, false, !tb));
  if (v.needs(1)) v.Contribute(1, tb ? Matmul(g, a, true, ta) : Matmul(a, g, !ta, false));
}

Var conv2d(Arg x, Arg w, ConvOptions o) {
  Operands in = Resolve("conv2d", {x, w});
  if (!in.ok) return in.poisoned;
  const Shape& xs = in.vars[0].shape();
  const Shape& ws = in.vars[1].shape();
  if (xs.rank() != 4 || ws.rank() != 4) return FailConv("conv2d", in, "needs x [N, H, W, C] and w [KH, KW, C, O]");
  if (xs[3] != ws[2]) return FailConv("conv2d", in, absl::StrCat("x has ", xs[3], " channels, w ", ws[2]));
  if (!Valid(o)) return FailConv("conv2d", in, "strides must be at least 1 and padding at least 0");
  const int64_t ho = OutputExtent(xs[1], o.pad_top, o.pad_bottom, ws[0], o.stride_h);
  const int64_t wo = OutputExtent(xs[2], o.pad_left, o.pad_right, ws[1], o.stride_w);
  if (ho < 1 || wo < 1) return FailConv("conv2d", in, "the kernel is larger than the padded image");
  return AppendNode(OpKind::kConv, in.vars, {xs[0], ho, wo, ws[3]}, ToAttributes(o));
}

Var conv2d_input_adjoint(Arg g, Arg w, int64_t height, int64_t width, ConvOptions o) {
  Operands in = Resolve("conv2d_input_adjoint", {g, w});
  if (!in.ok) return in.poisoned;
  const Shape& gs = in.vars[0].shape();
  const Shape& ws = in.vars[1].shape();
  const bool fits = gs.rank() == 4 && ws.rank() == 4 && gs[3] == ws[3] && Valid(o) &&
                    gs[1] == OutputExtent(height, o.pad_top, o.pad_bottom, ws[0], o.stride_h) &&
                    gs[2] == OutputExtent(width, o.pad_left, o.pad_right, ws[1], o.stride_w);
  if (!fits) return FailConv("conv2d_input_adjoint", in, "g and w do not fit a convolution of this image size");
  return AppendNode(OpKind::kConvInputAdjoint, in.vars, {gs[0], height, width, ws[2]}, ToAttributes(o));
}

Var conv2d_weight_adjoint(Arg x, Arg g, int64_t kernel_h, int64_t kernel_w, ConvOptions o) {
  Operands in = Resolve("conv2d_weight_adjoint", {x, g});
  if (!in.ok) return in.poisoned;
  const Shape& xs = in.vars[0].shape();
  const Shape& gs = in.vars[1].shape();
  const bool fits = xs.rank() == 4 && gs.rank() == 4 && xs[0] == gs[0] && Valid(o) &&
                    gs[1] == OutputExtent(xs[1], o.pad_top, o.pad_bottom, kernel_h, o.stride_h) &&
                    gs[2] == OutputExtent(xs[2], o.pad_left, o.pad_right, kernel_w, o.stride_w);
  if (!fits) return FailConv("conv2d_weight_adjoint", in, "x and g do not fit a convolution with this kernel size");
  return AppendNode(OpKind::kConvWeightAdjoint, in.vars, {kernel_h, kernel_w, xs[3], gs[3]}, ToAttributes(o));
}

// y = conv(x, w)
void ConvRule(Vjp& v) {
  const Shape& x = v.x[0].shape();
  const Shape& w = v.x[1].shape();
  const ConvOptions o = ToOptions(v.node.attributes);
  if (v.needs(0)) v.Contribute(0, conv2d_input_adjoint(v.g, v.x[1], x[1], x[2], o));
  if (v.needs(1)) v.Contribute(1, conv2d_weight_adjoint(v.x[0], v.g, w[0], w[1], o));
}

// x = input_adjoint(g, w), with incoming adjoint of x's shape
void ConvInputAdjointRule(Vjp& v) {
  const Shape& w = v.x[1].shape();
  const ConvOptions o = ToOptions(v.node.attributes);
  if (v.needs(0)) v.Contribute(0, conv2d(v.g, v.x[1], o));
  if (v.needs(1)) v.Contribute(1, conv2d_weight_adjoint(v.g, v.x[0], w[0], w[1], o));
}

// w = weight_adjoint(x, g), with incoming adjoint of w's shape
void ConvWeightAdjointRule(Vjp& v) {
  const Shape& x = v.x[0].shape();
  const ConvOptions o = ToOptions(v.node.attributes);
  if (v.needs(0)) v.Contribute(0, conv2d_input_adjoint(v.x[1], v.g, x[1], x[2], o));
  if (v.needs(1)) v.Contribute(1, conv2d(v.x[0], v.g, o));
}

}  // namespace autodiff
