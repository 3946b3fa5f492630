// An energy: a C++ function from noisy points to numbers, written in the DSL of autodiff/ops.h.
//
//   Var Quadratic(Var y, Params& p) {                          // y: [batch, d] -> [batch]
//     return 0.5 * sum(square(y - p("center", {y.dim(1)}, Zeros())), {1});
//   }
//   Energy energy = Sum({{"left", Quadratic}, {"right", Scale(0.5, Quadratic)}});
//
// φ(y) stands for −log p(y) + const, p the density of the data with N(0, σ²) noise added. Row i of the result depends
// on row i of y only; φ must be smooth (SiLU, softplus, tanh, ...: with ReLU its gradient is piecewise constant).
#ifndef NEB_NEB_ENERGY_H_
#define NEB_NEB_ENERGY_H_

#include <functional>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"

namespace neb {

// The words an energy is written with.
using autodiff::Arg;
using autodiff::Params;
using autodiff::Tensor;
using autodiff::Var;

// y: [batch, d] -> [batch].
using Energy = std::function<Var(Var y, Params& p)>;

struct Term {
  std::string name;  // the scope of its parameters; two terms of one name are an error if they have parameters
  Energy energy;
};
// Σ of the energies: the product of the smoothed densities, renormalised. Its jump is a denoiser of that product, which
// is not E[X|Y] of a product of clean densities.
Energy Sum(std::vector<Term> terms);

// weight · φ: the density to the power `weight`, an inverse temperature; > 0 for a density. Barriers grow with it.
Energy Scale(double weight, Energy energy);

// φ recorded for y [batch, d], checked to have shape [batch] and to be on y's tape (otherwise the mistake is on the
// tape and the result poisoned).
Var RecordEnergy(const Energy& energy, Var y, Params& p);

// The least-squares estimate of x from y, x̂ = y − σ² ∇φ(y) ([NEB] eq. 3; Robbins 1956, Miyasawa 1961). `phi` is the
// energy recorded for y, [batch]; the result has y's shape, [batch, d], and the units of y, as σ has.
Var XHat(Var phi, Var y, double sigma);

// The NEB objective sample by sample: ‖x − x̂(y)‖², summed over the d components. x, y: [batch, d], y = x + σ ε with
// ε ~ N(0, 1) -> [batch]. With φ = 0 its expectation is σ² d. ([NEB] eq. 8.)
Var NebLoss(const Energy& energy, Var x, Var y, double sigma, Params& p);

}  // namespace neb

#endif  // NEB_NEB_ENERGY_H_
