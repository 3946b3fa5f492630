#include "neb/energy.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace neb {

using autodiff::Shape;

Energy Sum(std::vector<Term> terms) {
  return [terms = std::move(terms)](Var y, Params& p) {
    Var total = y.tape()->Constant(0.0, {y.dim(0)});
    for (const Term& term : terms) {
      Params scope = p.Scope(term.name);
      total = total + RecordEnergy(term.energy, y, scope);
    }
    return total;
  };
}

Energy Scale(double weight, Energy energy) {
  return [weight, energy = std::move(energy)](Var y, Params& p) { return weight * RecordEnergy(energy, y, p); };
}

Var RecordEnergy(const Energy& energy, Var y, Params& p) {
  if (!y.ok()) return y;
  if (!energy) return y.tape()->Fail("energy", "is an empty function", {});
  const Var phi = energy(y, p);
  if (phi.tape() != y.tape()) {
    return y.tape()->Fail(
        "energy", phi.tape() == nullptr ? "returned a Var that belongs to no tape" : "returned a Var of another tape",
        {});
  }
  if (phi.ok() && !(phi.shape() == Shape{y.dim(0)})) {
    return y.tape()->Fail("energy",
                          absl::StrCat("must return one number per row, shape [", y.dim(0), "], got ",
                                       phi.shape().ToString(), " for y of shape ", y.shape().ToString()),
                          phi.node().location);
  }
  return phi;
}

Var XHat(Var phi, Var y, double sigma) { return y - (sigma * sigma) * autodiff::grad(phi, y); }

Var NebLoss(const Energy& energy, Var x, Var y, double sigma, Params& p) {
  const Var phi = RecordEnergy(energy, y, p);
  return autodiff::squared_norm(x - XHat(phi, y, sigma), {1});
}

}  // namespace neb
