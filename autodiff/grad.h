// Reverse-mode differentiation, from graph to graph: the adjoints are recorded on the same tape, in the same ops, so a
// gradient can be differentiated again, to any order.
//
//   Var score = -grad(phi, y);                                  // phi: [batch], each row of its own y
//   std::vector<Var> g = grad(loss_with_score, {w, b});         // double backprop
#ifndef NEB_AUTODIFF_GRAD_H_
#define NEB_AUTODIFF_GRAD_H_

#include <vector>

#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// The gradients of the sum of f's elements with respect to each of `xs`: one Var of the same shape for each. With f of
// shape [batch] in which row i depends on row i of x only, that is the gradient row by row. Zeros where f does not
// depend on x. Cost of running the result: a small multiple (at most about four) of running f.
std::vector<Var> grad(Var f, absl::Span<const Var> xs);
Var grad(Var f, Var x);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_GRAD_H_
