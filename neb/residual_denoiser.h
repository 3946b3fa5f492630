// The energy of a denoising autoencoder, φ(y) = ‖y − ν(y)‖² / 2σ² ([MGM] calls it MEM; ∇φ = (I − J_ν)ᵀ (y − ν) / σ²).
// Of the forms that we tried it trains fastest and gives the best samples of images.
//
//   Scales scales = MeasureScales(train.x, /*sigma=*/0.3);
//   Energy energy = ResidualDenoiser([](Var z, Params& p) { return Mlp(p, z, {1024, 1024, 784}); }, scales);
#ifndef NEB_NEB_RESIDUAL_DENOISER_H_
#define NEB_NEB_RESIDUAL_DENOISER_H_

#include <functional>

#include "autodiff/autodiff.h"
#include "neb/energy.h"

namespace neb {

// What the network must know of the data to see inputs of order one, whatever σ and the data are.
struct Scales {
  Tensor mean;        // μ, [d]
  double stddev = 1;  // s: root mean square over the coordinates of the deviation from μ
  double sigma = 1;   // σ of the noise
  // The network is shown no point farther from μ than this, in units of √d √(s² + σ²); <= 0: no bound. See below.
  double radius = 0;
};
// From samples x [n, d], n >= 1. radius is set to 1.25 times that of the farthest sample (its noise included).
Scales MeasureScales(const Tensor& x, double sigma);

// R^d -> R^d: [batch, d] -> [batch, d].
using Network = std::function<Var(Var z, Params& p)>;

// φ(y) = ½ ‖z − n(c(z))‖², z = (y − μ) / √(s² + σ²), n the network and c(z) = z · min(1, radius √d / ‖z‖).
// That is ‖y − ν(y)‖² / 2σ² with ν(y) = μ + (1 − σ/√(s² + σ²)) (y − μ) + σ n(c(z)): with n = 0 the estimate x̂ is the
// isotropic Wiener filter μ + s²/(s² + σ²) (y − μ), so let the network's last layer start at zero.
//
// Why c: n ∘ c is bounded, so that far away φ grows like ½ ‖z‖² and ∇φ points home: ⟨z, ∇_z φ⟩ >= ‖z‖² − O(‖z‖), and a
// walk y − δ²∇φ + √2 δ ε with δ² < 2 (s² + σ²) contracts from any start. Nearer than the radius, where all the data and
// its noise are, c is the identity and nothing is changed, so the walk is not biased there. And φ remains one function,
// with its own gradient.
//
// Parameters: the network's in scope "nu"; not trained but saved: mean, stddev, radius.
Energy ResidualDenoiser(Network network, Scales scales);

}  // namespace neb

#endif  // NEB_NEB_RESIDUAL_DENOISER_H_
