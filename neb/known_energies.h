// Energies of known densities, written in the DSL: for walks, descents and tests where the truth is known, and as
// terms in sums with learned ones.
//
//   absl::StatusOr<SmoothedMixture> p = SmoothedMixture::Create({{.mean = {-2, 0}}, {.mean = {2, 0}}}, /*sigma=*/0.5);
//   absl::StatusOr<Model> model = Model::Create(GaussianMixtureEnergy(*p), {2}, /*sigma=*/0.5);
//
// All are −log p_Y with its constant. What they know is saved with the model, and is not trained.
#ifndef NEB_NEB_KNOWN_ENERGIES_H_
#define NEB_NEB_KNOWN_ENERGIES_H_

#include "autodiff/tensor.h"
#include "neb/closed_form.h"
#include "neb/energy.h"

namespace neb {

// X ~ N(mean, variance · I): φ = ‖y − mean‖² / 2(variance + σ²) + (d/2) log 2π(variance + σ²). mean [d]; variance >= 0,
// σ >= 0, not both 0 (not checked). Parameter: "mean".
Energy QuadraticEnergy(autodiff::Tensor mean, double variance, double sigma);

// Of a mixture with noise, −log p_Y, as SmoothedMixture::Evaluate has it in float64; or of the one Gaussian that it
// consists of. Parameters: "means" [K, d], "whitening" [K, d, d] (or [K] when all covariances are multiples of I),
// "log_factors" [K].
Energy GaussianMixtureEnergy(const SmoothedMixture& mixture);
// The same from those parameters, of these shapes (not checked).
Energy GaussianMixtureEnergy(autodiff::Tensor means, autodiff::Tensor whitening, autodiff::Tensor log_factors);

// Of the samples x [n, d], float32, with noise; see kernel_density.h. A batch costs a product of [batch, d] with [d,
// n], and memory for [batch, n]. In float32 the logarithms of the weights are exact to about 1e-7 ‖x‖‖y‖/σ², distances
// taken from the mean of the samples. Parameters: "samples" [n, d] (from their mean) and "mean" [d].
Energy KernelDensityEnergy(const autodiff::Tensor& x, double sigma);
// The same from those parameters, of these shapes (not checked).
Energy KernelDensityEnergy(autodiff::Tensor samples, autodiff::Tensor mean, double sigma);

}  // namespace neb

#endif  // NEB_NEB_KNOWN_ENERGIES_H_
