// The energies of docs/write_your_own_energy.md. tests/examples/guide_test.cc keeps the two alike.
#ifndef NEB_EXAMPLES_WRITE_YOUR_OWN_ENERGY_H_
#define NEB_EXAMPLES_WRITE_YOUR_OWN_ENERGY_H_

#include <cmath>
#include <string>
#include <vector>

#include "neb/neb.h"

namespace examples {

using neb::Arg;
using neb::Energy;
using neb::Params;
using neb::Tensor;
using neb::Var;

// φ(y) = ‖y − c‖² / 2w²:  [batch, d] -> [batch]
inline Var Quadratic(Var y, Params& p) {
  Var c = p("c", {y.dim(1)}, autodiff::Zeros());
  Var w = exp(p("log_w", {}, autodiff::Zeros()));
  return squared_norm((y - c) / w, {1}) * 0.5;
}

// A Gaussian with its normalising constant: the experts of a mixture need theirs.
inline Var Expert(Var y, Params& p) {
  Var c = p("c", {y.dim(1)}, autodiff::Normal(1));
  Var log_w = p("log_w", {}, autodiff::Zeros());
  return 0.5 * squared_norm((y - c) * exp(-log_w), {1}) + static_cast<double>(y.dim(1)) * log_w;
}

// φ = −log Σ_k exp(−φ_k)
inline Energy Mixture(const Energy& expert, int k) {
  return [expert, k](Var y, Params& p) {
    std::vector<Var> terms;
    for (int i = 0; i < k; ++i) {
      Params scope = p.Scope("expert" + std::to_string(i));
      terms.push_back(-expert(y, scope));
    }
    return -logsumexp(autodiff::stack(terms), {0});
  };
}

// φ = ½‖z‖² + a n(z): a bowl that the data's scales make, and a network that starts at zero.
inline Energy Network(const neb::Scales& scales, neb::Activation activation) {
  return [scales, activation](Var y, Params& p) {
    neb::Standardized s = neb::Standardize(y, scales, p);
    Var n = neb::Mlp(p.Scope("net"), s.bounded, {128, 128, 1},
                     {.activation = activation, .last_weight_init = autodiff::Zeros()});
    Var a = std::sqrt(static_cast<double>(y.dim(1))) / scales.sigma * s.noisy_stddev;
    return 0.5 * squared_norm(s.z, {1}) + a * reshape(n, {-1});
  };
}

// φ = ‖y − ν(y)‖² / 2σ², ν from a network R^d -> R^d.
inline Energy Denoiser(const neb::Scales& scales) {
  return neb::ResidualDenoiser(
      [](Var z, Params& p) {
        Var h = silu(neb::Dense(p, "in", z, 128));
        h = h + silu(neb::Dense(p, "middle", h, 128));
        return neb::Dense(p, "out", h, z.dim(1), {.weight_init = autodiff::Zeros()});
      },
      scales);
}

// log cosh x, the smooth |x| of independent component analysis. For large −x: x + (−2x).
inline Var LogCosh(Arg x) { return x + softplus(-2.0 * x) - std::log(2.0); }

// φ = Σ_k log cosh(⟨w_k, y − c⟩): a product of experts with heavy tails.
inline Var HeavyTails(Var y, Params& p) {
  Var c = p("c", {y.dim(1)}, autodiff::Zeros());
  return sum(LogCosh(neb::Dense(p, "w", y - c, 8, {.bias = false})), {1});
}

// PyTorch's GELU, x Φ(x).
inline Var ExactGelu(Arg x) { return 0.5 * x * (1.0 + erf(x * std::sqrt(0.5))); }

// Uniform on the box [−1, 1]^d, with noise: φ = −Σ_j log(Φ((y_j + 1)/σ) − Φ((y_j − 1)/σ)) + const, for |y_j| up to
// 1 + 4σ or so, where the difference leaves float32.
inline Energy Box(double sigma) {
  return [sigma](Var y, Params& /*p*/) {
    const double to_erf = std::sqrt(0.5) / sigma;
    Var inside = 0.5 * (erf((y + 1.0) * to_erf) - erf((y - 1.0) * to_erf));
    return -sum(log(inside), {1});
  };
}

}  // namespace examples

#endif  // NEB_EXAMPLES_WRITE_YOUR_OWN_ENERGY_H_
