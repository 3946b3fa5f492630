// Test only: checks recorded gradients against central finite differences, in float64, to any order.
//
//   EXPECT_TRUE(CheckGrad([](absl::Span<const Var> x) { return x[0] * tanh(x[1]); }, {a, b}).ok());
//   EXPECT_TRUE(CheckGrad(energy, points).ok());                     // with respect to points and parameters
#ifndef NEB_AUTODIFF_CHECK_GRAD_H_
#define NEB_AUTODIFF_CHECK_GRAD_H_

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "autodiff/params.h"
#include "autodiff/tape.h"
#include "autodiff/tensor.h"

namespace autodiff {

struct CheckGradOptions {
  int order = 2;            // checks the first, ..., this derivative
  double step = 1e-5;       // of the finite differences
  double tolerance = 1e-6;  // relative to 1 + |derivative|
  uint64_t seed = 1;        // of the directions
};

// f of any shape is reduced to a number by a fixed random weighting ⟨r, f(x)⟩; its derivative along a random direction
// u, ⟨∇, u⟩, is compared with (f(x + h u) − f(x − h u)) / 2h, and then the same is done to x -> ⟨∇f(x), u⟩ for the next
// order. A wrong rule shows with probability one. Inputs must be float64. OK, or what differs and by how much.
absl::Status CheckGrad(const std::function<Var(absl::Span<const Var>)>& f, const std::vector<Tensor>& at,
                       const CheckGradOptions& options = {});

// The same of a function with parameters, such as an energy: with respect to x, float64, and to all that it asks for,
// at the values that they begin with. (A layer that begins at zero hides the layers before it: give it other values.)
absl::Status CheckGrad(const std::function<Var(Var x, Params& p)>& f, const Tensor& at,
                       const CheckGradOptions& options = {});

}  // namespace autodiff

#endif  // NEB_AUTODIFF_CHECK_GRAD_H_
